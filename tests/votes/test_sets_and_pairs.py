"""Answers that are sets of labels, and the two answers to a pair."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.records import Answer
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import RuleSpec, TaskSpec
from promptlabel.votes.parsing import read_pair, read_vote
from promptlabel.votes.positions import BothOrders, position_bias

TOPICS = TaskSpec.model_validate(
    {"task": "topics", "kind": "several", "labels": ["refund", "shipping", "bug"]}
)
PAIR = TaskSpec.model_validate({"task": "better", "kind": "pairwise"})
TIES = TaskSpec.model_validate({"task": "better", "kind": "pairwise", "labels": ["a", "b", "same"]})


def rule(task: TaskSpec, **spec: object) -> PromptRule:
    return PromptRule("r", RuleSpec.model_validate({"prompt": "?", **spec}), task)


ALL = rule(TOPICS)
YES_NO = rule(TOPICS, answers={"yes": "refund", "no": "none"})
MIXED = rule(
    TOPICS, answers={"both": ["shipping", "refund"], "one": "refund", "neither": "none", "unsure": "abstain"}
)
WHICH = rule(PAIR, answers={"A": "first", "B": "second"})


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('{"answer": ["bug", "refund"]}', "refund, bug"),
        ('{"answer": []}', "none"),
        ("bug, Refund.", "refund, bug"),
        ("none", "none"),
        ("None.", "none"),
        ("shipping", "shipping"),
    ],
)
def test_a_set_is_read_in_one_way_of_writing(text: str, label: str):
    found = read_vote(ALL, Answer(text))
    assert (found.status, found.label) == ("vote", label)
    members = label.split(", ")
    assert found.distribution == {name: float(name in members) for name in TOPICS.labels}


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('{"answer": ["bug", "weather"]}', "unknown_answer"),
        ('{"answer": {"bug": true}}', "not_text"),
        ('{"answer": [1]}', "not_text"),
        ("bug, weather", "unknown_answer"),
        ("", "empty"),
    ],
)
def test_what_names_no_label_is_malformed(text: str, cause: str):
    found = read_vote(ALL, Answer(text))
    assert (found.status, found.cause) == ("malformed", cause)


def test_a_list_is_no_answer_to_a_single_choice():
    assert read_vote(YES_NO, Answer('{"answer": ["yes"]}')).cause == "not_text"


def test_a_rule_speaks_of_the_labels_that_its_answers_name():
    assert read_vote(YES_NO, Answer("no")).distribution == {"refund": 0.0}
    assert read_vote(MIXED, Answer("one")).distribution == {"refund": 1.0, "shipping": 0.0}
    assert read_vote(MIXED, Answer("unsure")).status == "abstain"


def test_a_distribution_over_answers_says_how_likely_each_label_is():
    found = read_vote(
        MIXED, Answer("", distribution={"both": 0.3, "one": 0.4, "neither": 0.1, "unsure": 0.2})
    )
    assert found.label == "refund"
    assert found.distribution == pytest.approx({"refund": 0.875, "shipping": 0.375})
    assert read_vote(
        MIXED, Answer("", distribution={"both": 0.2, "one": 0.2, "neither": 0.2, "unsure": 0.4})
    ).status == ("abstain")


masses = st.floats(0.01, 0.99)


def answer(a: float) -> Answer:
    return Answer("", distribution={"A": a, "B": 1 - a})


def logit(share: float) -> float:
    return math.log(share / (1 - share))


@given(masses, masses, st.floats(-6, 6))
def test_a_liking_for_a_place_cancels(here: float, there: float, liking: float):
    def moved(share: float) -> Answer:
        return answer(1 / (1 + math.exp(-logit(share) - liking)))

    plain, biased = read_pair(WHICH, answer(here), answer(there)), read_pair(WHICH, moved(here), moved(there))
    if plain.distribution is None or biased.distribution is None or plain.label != biased.label:
        assert abs(logit(here) - logit(there)) < 1e-6
        return
    assert biased.distribution["first"] == pytest.approx(plain.distribution["first"], abs=1e-6)
    assert logit(plain.distribution["first"]) == pytest.approx((logit(here) - logit(there)) / 2)


@given(masses, masses)
def test_a_pair_logged_the_other_way_round_gets_the_other_label(here: float, there: float):
    one, other = read_pair(WHICH, answer(here), answer(there)), read_pair(WHICH, answer(there), answer(here))
    assert {one.label, other.label} in ({"first", "second"}, {None})


def test_plain_answers_count_where_they_name_one_output():
    assert read_pair(WHICH, Answer("A"), Answer("B")).label == "first"
    assert read_pair(WHICH, Answer("A"), Answer("A")).status == "abstain"
    assert read_pair(WHICH, Answer("A"), Answer("C")).status == "malformed"


def test_a_tie_is_a_tie_in_both_orders():
    ties = rule(TIES, answers={"1": "a", "2": "b", "=": "same"})
    assert read_pair(ties, Answer("="), Answer("=")).label == "same"
    assert read_vote(ties, Answer("1"), swapped=True).label == "b"
    assert read_vote(ties, Answer("="), swapped=True).label == "same"


def test_bias_is_counted_over_what_was_chosen():
    pairs = [
        BothOrders(0, 0, (2.0, 1.0)),
        BothOrders(0, 1, (1.0, -1.0)),
        BothOrders(None, 0),
        BothOrders(None, None),
    ]
    found = position_bias(pairs)
    assert (found.pairs, found.flips, found.first_share) == (4, 0.5, 0.8)
    assert found.log_odds == pytest.approx(0.75)
    assert position_bias([]).flips is None
