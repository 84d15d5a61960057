"""Scores agree with scikit-learn, share ties, and pair two labelers on the same gold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, f1_score, log_loss

from promptlabel.evals.scoring import (
    accuracy_difference,
    macro_f1,
    one_hot,
    score_probabilities,
    score_votes,
    winners,
)

labels = arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 2))


@given(labels, st.randoms(use_true_random=False))
def test_hard_votes_score_as_in_scikit_learn(gold: np.ndarray, random: object) -> None:
    votes = np.random.default_rng(len(gold)).integers(0, 3, len(gold))
    found = score_votes("rule", votes, gold, 3)
    assert found.accuracy.estimate == pytest.approx(accuracy_score(gold, votes))
    assert found.macro_f1 == pytest.approx(f1_score(gold, votes, average="macro"))
    assert (found.coverage, found.log_loss, found.ece) == (1.0, None, None)


def test_probabilities_score_as_in_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    probs, gold = rng.dirichlet(np.ones(3), 300), rng.integers(0, 3, 300)
    found = score_probabilities("posterior", probs, gold)
    assert found.log_loss == pytest.approx(log_loss(gold, probs, labels=[0, 1, 2]))
    assert found.accuracy.estimate == pytest.approx(accuracy_score(gold, probs.argmax(axis=1)))
    assert found.accuracy.estimate in found.accuracy


def test_saying_nothing_is_a_guess_and_lowers_coverage() -> None:
    found = score_votes("rule", np.array([0, -1, -1, 1]), np.array([0, 0, 1, 0]), 4)
    assert found.accuracy.estimate == pytest.approx((1 + 0.25 + 0.25 + 0) / 4)
    assert found.coverage == 0.5


def test_ties_are_shared() -> None:
    assert winners(np.array([[0.4, 0.4, 0.2], [0.1, 0.1, 0.8]])).tolist() == [
        [0.5, 0.5, 0.0],
        [0.0, 0.0, 1.0],
    ]
    assert macro_f1(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([0, 1])) == pytest.approx(0.5)


def test_a_difference_is_that_of_the_accuracies_and_its_interval_narrower_than_two() -> None:
    rng = np.random.default_rng(2)
    gold = rng.integers(0, 2, 400)
    second = np.where(rng.random(400) < 0.75, gold, 1 - gold)
    first = np.where(rng.random(400) < 0.3, gold, second)
    difference = accuracy_difference(one_hot(first, 2), one_hot(second, 2), gold)
    assert difference.estimate == pytest.approx((first == gold).mean() - (second == gold).mean())
    assert 0 < difference.low < difference.estimate < difference.high < 0.2


def test_equal_labelers_do_not_differ() -> None:
    probs = one_hot(np.array([0, 1, -1]), 2)
    assert 0.0 in accuracy_difference(probs, probs, np.array([0, 0, 1]))
