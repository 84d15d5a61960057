"""An answer is a vote, an abstention or malformed; never a guess."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.records import Answer
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import RuleSpec, TaskSpec
from promptlabel.votes.parsing import Reading, read_vote

TASK = TaskSpec(task="q", labels={"good": "", "bad": "", "mixed": ""})
ANSWERS = {"yes": "bad", "no": "good", "rather not": "good", "unsure": "abstain"}


def rule(**spec: object) -> PromptRule:
    return PromptRule("r", RuleSpec.model_validate({"prompt": "?", "answers": ANSWERS} | spec), TASK)


def said(text: str, **spec: object) -> Reading:
    return read_vote(rule(**spec), Answer(text))


def weighed(distribution: dict[str, float], **spec: object) -> Reading:
    return read_vote(rule(**spec), Answer("", distribution=distribution))


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        " Yes. ",
        '"YES"',
        "'yes'",
        "yes!\n",
        "“Yes”.",
        '{"answer": "yes"}',
        ' {"answer": "Yes."}\n',
        "`yes`",
    ],
)
def test_an_answer_is_itself_but_for_case_quotes_and_closing_punctuation(text: str) -> None:
    assert said(text) == Reading("vote", "bad")


def test_an_answer_that_stands_for_abstain_abstains() -> None:
    assert said("unsure") == Reading("abstain")
    assert said("Rather not.") == Reading("vote", "good")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ('""', "empty"),
        ('{"answer": ""}', "empty"),
        ("maybe", "unknown_answer"),
        ("bad", "unknown_answer"),
        ("yes, the user asks again", "unknown_answer"),
        ("y", "unknown_answer"),
        ("yess", "unknown_answer"),
        ("**yes**", "unknown_answer"),
        ('["yes"]', "unknown_answer"),
        ("NaN", "unknown_answer"),
        ('```json\n{"answer": "yes"}\n```', "unknown_answer"),
        ("yes no", "several_answers"),
        ("yes or unsure", "several_answers"),
        ('{"answer": "yes or no"}', "several_answers"),
        ('{"answer": "yes", "answer": "no"}', "several_answers"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("As an AI I do not judge", "refusal"),
        ('{"answer": "I cannot say"}', "refusal"),
        ('{"answer": "ye', "not_json"),
        ('{"answer": "yes"', "not_json"),
        ('{"answer": "yes"} {"answer": "no"}', "not_json"),
        ("{" * 100_000, "not_json"),
        ('{"a":' * 100_000, "not_json"),
        ("{}", "wrong_keys"),
        ('{"vote": "yes"}', "wrong_keys"),
        ('{"answer": "yes", "confidence": 1}', "wrong_keys"),
        ('{"answer": "yes", "rationale": "so"}', "wrong_keys"),
        ('{"answer": null}', "not_text"),
        ('{"answer": NaN}', "not_text"),
        ('{"answer": true}', "not_text"),
        ('{"answer": ["yes"]}', "not_text"),
        ('{"answer": {"answer": "yes"}}', "not_text"),
        ("yes" * 100_000, "unknown_answer"),
    ],
)
def test_anything_else_is_malformed_with_a_stable_cause(text: str, cause: str) -> None:
    assert said(text) == Reading("malformed", cause=cause)  # type: ignore[arg-type]


def test_a_rationale_is_kept_where_the_rule_asks_for_one() -> None:
    assert said('{"rationale": "twice", "answer": "yes"}', rationale=True) == Reading(
        "vote", "bad", rationale="twice"
    )
    assert said('{"answer": "yes"}', rationale=True) == Reading("vote", "bad")
    assert said('{"answer": "yes", "rationale": 3}', rationale=True).cause == "not_text"


def test_an_exact_answer_goes_before_one_that_is_alike() -> None:
    assert said("A", answers={"a": "good", "b": "bad"}) == Reading("vote", "good")


@given(st.text())
def test_no_text_makes_a_vote_but_an_answer(text: str) -> None:
    reading = said(text)
    assert (reading.status == "vote") == (reading.label is not None)
    if reading.status != "malformed":
        assert any(answer in text.casefold() for answer in ANSWERS)


# --- distributions


def test_answers_are_summed_by_label() -> None:
    reading = weighed({"yes": 0.4, "no": 0.3, "rather not": 0.2, "unsure": 0.1})
    assert (reading.status, reading.label) == ("vote", "good")
    assert reading.confidence == pytest.approx(0.5)
    assert reading.distribution == pytest.approx({"good": 5 / 9, "bad": 4 / 9, "mixed": 0.0})


@pytest.mark.parametrize(
    "distribution",
    [
        {"yes": 0.3, "no": 0.2, "rather not": 0.1, "unsure": 0.4},
        {"yes": 0.5, "no": 0.0, "rather not": 0.0, "unsure": 0.5},
        {"yes": 0.5, "no": 0.25, "rather not": 0.25, "unsure": 0.0},
    ],
)
def test_a_rule_abstains_where_abstaining_wins_or_two_labels_tie(distribution: dict[str, float]) -> None:
    reading = weighed(distribution)
    assert (reading.status, reading.label, reading.distribution) == ("abstain", None, None)


@pytest.mark.parametrize(("threshold", "status"), [(0.59, "vote"), (0.61, "abstain")])
def test_a_rule_abstains_below_its_threshold(threshold: float, status: str) -> None:
    assert (
        weighed({"yes": 0.6, "no": 0.3, "rather not": 0.0, "unsure": 0.1}, abstain_below=threshold).status
        == status
    )


def test_a_rule_that_can_vote_for_one_label_only_gives_no_distribution() -> None:
    reading = weighed({"yes": 0.8, "no": 0.2}, answers={"yes": "bad", "no": "abstain"})
    assert (reading.label, reading.confidence, reading.distribution) == ("bad", pytest.approx(0.8), None)


@pytest.mark.parametrize(
    "distribution",
    [
        {},
        {"yes": 1.0},
        {"yes": 0.5, "no": 0.5, "rather not": 0.0, "unsure": 0.0, "other": 0.0},
        {"yes": float("nan"), "no": 0.5, "rather not": 0.5, "unsure": 0.0},
        {"yes": float("inf"), "no": 0.5, "rather not": 0.5, "unsure": 0.0},
        {"yes": -0.1, "no": 0.6, "rather not": 0.5, "unsure": 0.0},
        {"yes": 0.0, "no": 0.0, "rather not": 0.0, "unsure": 0.0},
    ],
)
def test_what_is_no_distribution_is_malformed(distribution: dict[str, float]) -> None:
    assert weighed(distribution) == Reading("malformed", cause="bad_distribution")


@given(st.lists(st.floats(0.001, 10), min_size=4, max_size=4))
def test_distributions_sum_to_one_and_the_label_is_the_likeliest(masses: list[float]) -> None:
    reading = weighed(dict(zip(ANSWERS, masses, strict=True)))
    if reading.distribution is None:
        assert reading.status == "abstain"
        return
    assert sum(reading.distribution.values()) == pytest.approx(1)
    assert reading.distribution[reading.label or ""] == max(reading.distribution.values())
    assert reading.confidence is not None
    assert reading.confidence <= reading.distribution[reading.label or ""] + 1e-12


@given(st.sampled_from(list(ANSWERS)), st.booleans())
def test_what_a_strict_model_writes_is_read_back(answer: str, spaced: bool) -> None:
    text = json.dumps({"answer": answer}, indent=2 if spaced else None)
    assert said(text) == said(answer)
