"""Which examples are shown, and where."""

from __future__ import annotations

import pytest

from promptlabel.records import Trace
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.shots import Neighbours, balanced
from promptlabel.rules.spec import RuleSpec, TaskSpec

TASK = TaskSpec(task="quality", labels={"good": "", "bad": ""})
EXAMPLES = [
    {"input": "the parcel came late", "vote": "bad"},
    {"input": "the colour is wrong", "vote": "bad"},
    {"input": "the password was refused", "vote": "bad"},
    {"input": "lovely parcel, thanks", "vote": "good"},
]


def rule(**keys: object) -> PromptRule:
    return PromptRule(
        "r", RuleSpec.model_validate({"prompt": "{{ trace.input }}?", "examples": EXAMPLES, **keys}), TASK
    )


def shown(made: PromptRule, text: str, *, few_shot: bool = False) -> list[str]:
    question = made.question(Trace("t", input=text), decode="json", few_shot=few_shot)
    return [shot.prompt for shot in question.shots]


def test_balanced_takes_labels_in_turns_in_the_order_of_the_file():
    assert balanced(["bad", "bad", "bad", "good"], 2) == [0, 3]
    assert balanced(["bad", "bad", "bad", "good"], 3) == [0, 1, 3]
    assert balanced(["a"], 5) == [0]


def test_the_nearest_come_last_and_rare_words_count_more():
    near = Neighbours(["the parcel", "the colour", "the colour of the parcel box"])
    assert near.nearest("which colour", 2) == [2, 1]
    assert near.nearest("nothing alike", 1) == [0]


@pytest.mark.parametrize("few_shot", [True, False])
def test_a_rule_that_chooses_its_examples_shows_them_to_every_model(few_shot: bool):
    assert shown(rule(shots={"balanced": 2}), "x", few_shot=few_shot) == [
        "the parcel came late?",
        "lovely parcel, thanks?",
    ]
    assert shown(rule(shots={"nearest": 1}), "my password is refused", few_shot=few_shot) == [
        "the password was refused?"
    ]


def test_a_word_chooses_four():
    assert len(shown(rule(shots="nearest"), "x")) == 4
    assert rule(shots="nearest").rule_hash == rule(shots={"nearest": 4}).rule_hash
    assert len({rule(shots=way).rule_hash for way in ("auto", "none", "fixed", "balanced", "nearest")}) == 5


def test_an_example_is_never_its_own_worked_example():
    for trace, question in rule(shots={"nearest": 2}).example_questions(decode="json", few_shot=True):
        assert f"{trace.input}?" == question.prompt
        assert question.prompt not in [shot.prompt for shot in question.shots]
        assert len(question.shots) == 2
