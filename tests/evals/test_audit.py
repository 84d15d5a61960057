"""The audit is unbiased and its intervals cover, on the sampling design that the queue really uses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import precision_score, recall_score

from promptlabel.evals.audit import (
    HAJEK,
    NONE,
    WILSON,
    Sample,
    audit_sample,
    population_share,
    weighted_share,
)
from promptlabel.evals.intervals import wilson
from promptlabel.routing.lanes import AUDIT, Budget, Lane, choose, merge

LABELS = ("good", "bad")
REPEATS = 1_000


def a_sample(
    gold: list[int], predicted: list[int], probability: float = 0.01, population: int = 10_000
) -> Sample:
    return Sample(np.array(gold), np.array(predicted), np.full(len(gold), probability), population)


def test_no_gold_is_a_clear_result() -> None:
    found = audit_sample(a_sample([], []), LABELS)
    assert (found.accuracy, found.method, found.n, dict(found.balance)) == (None, NONE, 0, {})


def test_equal_probabilities_give_wilson() -> None:
    found = audit_sample(a_sample([0] * 70 + [1] * 30, [0] * 90 + [1] * 10, population=10**9), LABELS)
    assert found.method == WILSON
    assert found.accuracy is not None
    oracle = wilson(80, 100)
    assert (found.accuracy.estimate, found.accuracy.low, found.accuracy.high) == pytest.approx(
        (oracle.estimate, oracle.low, oracle.high), abs=1e-6
    )
    assert found.balance["bad"].estimate == pytest.approx(0.3)


def test_a_census_is_certain() -> None:
    rng = np.random.default_rng(0)
    gold, predicted = rng.integers(0, 2, (2, 400))
    found = audit_sample(Sample(gold, predicted, np.ones(400), 400), LABELS)
    assert found.accuracy is not None
    assert found.accuracy.low == found.accuracy.high == pytest.approx((gold == predicted).mean())
    for k, label in enumerate(LABELS):
        precision, recall = found.precision[label], found.recall[label]
        assert precision is not None
        assert recall is not None
        assert precision.estimate == pytest.approx(precision_score(gold, predicted, pos_label=k))
        assert recall.estimate == pytest.approx(recall_score(gold, predicted, pos_label=k))


def test_a_class_with_too_few_cases_gets_no_figure() -> None:
    found = audit_sample(a_sample([0] * 50 + [1] * 3, [0] * 53), LABELS)
    assert found.precision == {"good": found.precision["good"], "bad": None}
    assert found.recall["bad"] is None


def test_weights_correct_for_unequal_chances() -> None:
    hits = np.array([True] * 50 + [False] * 50)
    weights = np.array([1.0] * 50 + [3.0] * 50)
    assert weighted_share(hits, weights).estimate == pytest.approx(0.25)


class Queue:
    """A population whose errors hide among uncertain traces, and the queue's own design over it."""

    def __init__(self, rng: np.random.Generator, population: int = 1_500, share: float = 0.12) -> None:
        self.rng = rng
        self.uncertainty = rng.beta(1, 4, population)
        self.right = rng.random(population) > 0.05 + 0.6 * self.uncertainty
        self.budget = Budget.of(population, share, audit=0.4)

    def draw(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Rows, which of them chance alone drew, and inclusion probabilities."""
        n = len(self.right)
        numbers = self.rng.random(n)
        ranking = merge([Lane("uncertain", self.uncertainty, 1.0)], numbers)
        chosen = choose(ranking, ["uncertain"], numbers, self.budget, np.zeros(n, dtype=bool))
        return chosen.rows, np.array([lane == AUDIT for lane in chosen.lanes]), chosen.probability


@pytest.mark.parametrize("all_lanes", [False, True])
def test_intervals_cover_the_truth_and_estimates_are_unbiased(all_lanes: bool) -> None:
    queue = Queue(np.random.default_rng(11))
    truth, n = queue.right.mean(), len(queue.right)
    estimates = []
    for _ in range(REPEATS):
        rows, audit, probability = queue.draw()
        if not all_lanes:
            rows, probability = rows[audit], np.full(audit.sum(), audit.sum() / n)
        right = queue.right[rows].astype(np.int64)
        estimates.append(population_share(right == 1, Sample(right, np.ones_like(right), probability, n)))
    covered = np.mean([truth in estimate for estimate in estimates])
    bias = np.mean([estimate.estimate for estimate in estimates]) - truth
    assert 0.925 <= covered <= 0.985
    assert abs(bias) < 0.005


def test_reviewed_uncertain_traces_alone_would_mislead() -> None:
    queue = Queue(np.random.default_rng(11))
    rows, audit, _ = queue.draw()
    assert queue.right[rows[~audit]].mean() < queue.right.mean() - 0.1


def test_all_lanes_are_weighted() -> None:
    queue = Queue(np.random.default_rng(3))
    rows, _, probability = queue.draw()
    right = queue.right[rows].astype(np.int64)
    assert (
        audit_sample(Sample(right, np.ones_like(right), probability, len(queue.right)), LABELS).method
        == HAJEK
    )
