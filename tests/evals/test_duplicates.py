"""The same text is found whatever its id, case, spacing and roles; other text is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.evals.duplicates import TextIndex, example_texts, fingerprints, normalized
from promptlabel.records import Message, Trace
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import RuleSpec, TaskSpec

ASKED = Trace("a", input="Where is  my ORDER?", output="On its way.")


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)


@pytest.mark.parametrize(
    "same",
    [
        Trace("b", input="where is my order?", output="on its\nway."),
        Trace("c", messages=(Message("human", "Where is my order?"), Message("bot", "On its way."))),
        Trace("d", input="user: Where is my order?\nassistant: On its way."),
        Trace("e", input="Where is my order\N{FULLWIDTH QUESTION MARK}", output="On its way."),
    ],
)
def test_the_same_text_is_found(same: Trace) -> None:
    assert TextIndex([(ASKED, "here")]).find(same) == "here"


@pytest.mark.parametrize(
    "other",
    [Trace("b", input="Where is my order?"), Trace("c", input="Where are my orders?", output="On its way.")],
)
def test_other_text_is_not(other: Trace) -> None:
    assert TextIndex([(ASKED, "here")]).find(other) is None


def test_the_first_place_is_named() -> None:
    assert TextIndex([(ASKED, "first"), (ASKED, "second")]).find(ASKED) == "first"


def test_a_trace_without_contents_differs_from_others() -> None:
    assert not fingerprints(Trace("a", input="")) & fingerprints(ASKED)


def test_examples_say_where_they_stand() -> None:
    task = TaskSpec(task="tone", labels={"good": "", "bad": ""})
    spec = RuleSpec(
        prompt="{{ trace.input }}",
        examples=[
            {"input": "fine", "vote": "good"},
            {"messages": [{"role": "user", "content": "bah"}], "vote": "bad"},
        ],
    )
    found = list(example_texts([PromptRule("greets", spec, task)]))
    assert [place for _, place in found] == ["example 1 of rule greets", "example 2 of rule greets"]
    assert TextIndex(found).find(Trace("x", input="BAH")) == "example 2 of rule greets"
