"""What is said of a rule, and when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from promptlabel.votes.suggestions import (
    RuleFacts,
    Threshold,
    Twin,
    alone,
    best_threshold,
    decisive,
    suggestions,
    twins,
)

FACTS = RuleFacts(
    labels=("good", "bad"),
    traces=1000,
    votes=500,
    judged=[60, 40],
    precision=[0.9, 0.9],
    accuracy=0.9,
    base_rate=0.6,
    unreadable=0.0,
    usd=0.0,
    advice="keep",
    threshold=None,
    twins=(),
    alone=3,
    is_prompt=True,
)


def test_a_good_rule_is_left_alone():
    assert suggestions(FACTS) == ["Nothing stands out: keep it."]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"votes": 0}, "never voted"),
        ({"unreadable": 0.2}, "20% of its answers could not be read"),
        ({"judged": [3, 2], "accuracy": 1.0}, "15 more of its votes need a human label"),
        ({"accuracy": 0.5}, "always saying the commonest label would be 60%"),
        ({"precision": [0.9, 0.4]}, "When it says bad it is right 40% of the time"),
        ({"threshold": Threshold(0.8, 0.7, 0.93, 0.84)}, "`abstain_below: 0.8` would keep 70% of its votes"),
        ({"twins": [("thanks", Twin(1, 200, 0.98))]}, "the same as thanks on 98% of the 200 traces"),
        ({"alone": 400}, "alone speaks for 400 traces"),
        ({"usd": 1.5, "advice": "drop"}, "narrow it with `when`"),
    ],
)
def test_what_stands_out_is_said(changes: dict[str, object], words: str):
    assert any(words in text for text in suggestions(replace(FACTS, **changes)))


def test_where_a_rule_is_alone_and_where_it_decides():
    votes = np.array([[0, -1, -1], [0, 1, 1], [0, 1, 0], [1, 1, 0], [-1, 0, 0]])
    assert alone(votes, 0).tolist() == [0]
    assert decisive(votes, 0, 2).tolist() == [2, 3]


def test_a_copy_is_a_twin_and_a_rule_of_one_label_is_not():
    rng = np.random.default_rng(0)
    one = rng.integers(0, 2, 100)
    votes = np.stack([one, one, 1 - one, np.ones(100, dtype=int)], axis=1)
    assert [twin.column for twin in twins(votes, 0)] == [1]
    constant = np.stack([np.ones(100, dtype=int), np.ones(100, dtype=int)], axis=1)
    assert twins(constant, 0) == []


def test_a_threshold_is_proposed_where_it_pays():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 400)
    gold = np.where(rng.random(400) < sure, 0, 1)
    found = best_threshold(np.zeros(400, dtype=int), gold, sure)
    assert found is not None
    assert found.accuracy >= found.before + 0.05
    assert found.kept >= 0.5
    assert best_threshold(np.zeros(400, dtype=int), gold, rng.uniform(0.5, 1, 400)) is None
    assert best_threshold(np.zeros(5, dtype=int), gold[:5], sure[:5]) is None
