"""Phrases and thresholds that labels suggest, found on one half and measured on the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier

from promptlabel.votes.mining import Candidate, halves, measured, phrases, stumps, together


@given(st.lists(st.integers(-1, 2), min_size=1, max_size=60))
def test_halves_share_no_row_and_split_every_label(labels: list[int]):
    column = np.array(labels)
    finding, judging = halves(column)
    assert not (finding & judging).any()
    assert ((finding | judging) == (column >= 0)).all()
    for label in range(3):
        assert 0 <= (finding & (column == label)).sum() - (judging & (column == label)).sum() <= 1


def corpus() -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    words = np.array(["the", "a", "to", "of", "it"])
    extra = {0: "thank you so much", 1: "still not working"}
    texts = [
        " ".join(rng.choice(words, 6)) + " " + (extra[label] if rng.random() < 0.5 else "")
        for label in labels.tolist()
    ]
    return texts, labels


def test_phrases_that_speak_for_a_label_are_found_first():
    texts, labels = corpus()
    found = phrases(texts, labels, 2, 5)
    best = {label: next(one for one in found if one.label == label) for label in (0, 1)}
    assert best[0].phrase in "thank you so much"
    assert best[1].phrase in "still not working"
    assert all(one.low > 0.9 for one in best.values())
    assert len({one.rows.tobytes() for one in found}) == len(found)


def test_words_that_say_nothing_are_not_proposed():
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(["alpha", "beta", "gamma"], 3)) for _ in range(400)]
    assert phrases(texts, np.arange(400) % 2, 2, 5) == []


def test_a_rule_takes_only_phrases_that_add_rows():
    rows = np.zeros((3, 10), dtype=bool)
    rows[0, :5] = rows[1, :4] = rows[2, 5:8] = True
    labels = np.array([0] * 8 + [1] * 2)
    candidates = [Candidate(name, 0, row, 0.9) for name, row in zip("abc", rows, strict=True)]
    assert together(candidates, labels) == ["a", "c"]


def test_a_threshold_is_the_one_a_decision_stump_finds():
    rng = np.random.default_rng(2)
    values = rng.normal(size=400)
    labels = (values + rng.normal(scale=0.3, size=400) > 0.4).astype(int)
    tree = DecisionTreeClassifier(max_depth=1).fit(values[:, np.newaxis], labels)
    above = next(
        one for one in stumps({"x": values, "noise": rng.normal(size=400)}, labels, 2) if one.label == 1
    )
    assert (above.name, above.above) == ("x", True)
    assert above.low > 0.8
    assert above.threshold > tree.tree_.threshold[0] - 0.1


def test_numbers_that_are_seldom_known_or_say_nothing_are_left_out():
    labels = np.arange(100) % 2
    assert stumps({"gone": np.full(100, np.nan), "flat": np.ones(100)}, labels, 2) == []


def test_worth_is_counted_on_the_judging_rows_alone():
    said = np.array([0, 0, 1, -1, 1, 0])
    labels = np.array([0, 1, 1, 0, 0, -1])
    judging = np.array([True, True, True, True, False, False])
    worth = measured(said, labels, judging)
    assert (worth.votes, worth.judged, worth.right, worth.accuracy) == (5, 3, 2, pytest.approx(2 / 3))
    assert worth.coverage == pytest.approx(5 / 6)
    assert worth.low < 2 / 3 < worth.high
    assert measured(np.full(2, -1), labels[:2], judging[:2]).accuracy is None
