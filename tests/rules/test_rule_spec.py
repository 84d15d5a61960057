"""What task and rule files may say."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from promptlabel.rules.spec import Example, RuleSpec, TaskSpec, normal_answer

LABELS = {"good": "solved", "bad": "not"}


def task(**changes: object) -> TaskSpec:
    return TaskSpec.model_validate({"task": "q", "labels": LABELS} | changes)


def rule(**changes: object) -> RuleSpec:
    return RuleSpec.model_validate({"prompt": "Good?"} | changes)


def test_labels_may_be_a_list_of_names() -> None:
    assert task(labels=["x", "y"]).labels == {"x": "", "y": ""}


@pytest.mark.parametrize(
    "labels",
    [
        ["one"],
        {},
        ["a", "a"],
        ["a", "abstain"],
        ["a", ""],
        ["a", " b"],
        "ab",
        [str(n) for n in range(128)],
        None,
    ],
)
def test_labels_that_cannot_be_told_apart_or_numbered_are_refused(labels: object) -> None:
    with pytest.raises(ValidationError):
        task(labels=labels)


def test_a_class_balance_is_brought_to_one_in_the_order_of_labels() -> None:
    balance = task(class_balance={"bad": 0.3, "good": 0.695}).class_balance
    assert balance is not None
    assert list(balance) == ["good", "bad"]
    assert sum(balance.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("balance", "word"),
    [
        ({"good": 0.7, "bad": 0.4}, "sums to 1.1"),
        ({"good": 0.5, "bda": 0.5}, "did you mean 'bad'"),
        ({"good": 0.9}, "lacks bad"),
        ({"good": 1.0, "bad": 0.0}, "less than 1|greater than 0"),
        ({"good": 1.5, "bad": -0.5}, "less than 1|greater than 0"),
        ({"good": float("nan"), "bad": 0.5}, "finite|greater|less"),
    ],
)
def test_a_class_balance_that_is_none_is_refused(balance: dict[str, float], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        task(class_balance=balance)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T10:00:00+02:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        (None, None),
    ],
)
def test_holdout_after_is_a_moment_in_utc_unless_said_otherwise(
    written: str | None, meant: datetime | None
) -> None:
    assert task(holdout_after=written).holdout_after == meant


def test_a_holdout_that_is_no_date_is_refused() -> None:
    with pytest.raises(ValidationError, match="ISO date"):
        task(holdout_after="soon")


def test_answers_default_to_the_labels_and_abstain_is_none() -> None:
    assert rule().answers_for(LABELS) == {"good": "good", "bad": "bad"}
    spec = rule(answers={"yes": "bad", "unsure": "abstain"})
    assert spec.answers_for(LABELS) == {"yes": "bad", "unsure": None}


@pytest.mark.parametrize(
    "answers",
    [
        {"yes": "bad"},
        {"yes": "bad", "Yes.": "good"},
        {"yes": "bad", " ": "good"},
        {"a": "abstain", "b": "abstain"},
    ],
)
def test_answers_that_cannot_be_told_apart_are_refused(answers: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        rule(answers=answers)


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": "  \n"},
        {"model": "a", "models": ["b"]},
        {"models": []},
        {"models": ["a", "a"]},
        {"samples": 0},
        {"samples": "3"},
        {"abstain_below": 1.2},
        {"shots": "many"},
        {"decode": "greedy"},
        {"examples": [{"vote": "good"}]},
        {"examples": [{"input": "x"}]},
        {"colour": "red"},
        {"active": "yes"},
    ],
)
def test_rules_outside_the_language_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        rule(**wrong)


def test_models_are_those_named_or_the_default() -> None:
    assert rule().model_names == ("default",)
    assert rule(model="a").model_names == ("a",)
    assert rule(models=["a", "b"]).model_names == ("a", "b")


def test_an_example_may_be_a_conversation() -> None:
    example = Example.model_validate({"messages": [{"role": "user", "content": "hi"}], "vote": "good"})
    assert example.messages[0].content == "hi"


@given(
    st.text(),
    st.sampled_from(["", " ", '"', "'", "«", "\n"]),
    st.sampled_from(["", ".", "!", " ", '."', "…"]),
)
def test_what_surrounds_an_answer_is_no_part_of_it(text: str, before: str, after: str) -> None:
    assert normal_answer(f"{before}{text}{after}") == normal_answer(text)
    assert normal_answer(normal_answer(text)) == normal_answer(text)
