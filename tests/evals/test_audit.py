"""The audit is unbiased and its intervals cover, on the sampling designs that queue and draws really use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import precision_score, recall_score

from promptlabel.evals.active import chances, draw, reviews_until
from promptlabel.evals.audit import (
    ACTIVE,
    NONE,
    PPI,
    WEIGHTED,
    WILSON,
    Sample,
    audit_sample,
    expected_variance,
    weighted_share,
)
from promptlabel.evals.intervals import wilson
from promptlabel.routing.lanes import Budget, Lane, choose, merge

LABELS = ("good", "bad")
REPEATS = 600
Indices = npt.NDArray[np.int64]


class Population:
    """Traces with a posterior that is too sure of itself, and their true labels."""

    def __init__(self, n: int = 1_500, seed: int = 11) -> None:
        self.rng = np.random.default_rng(seed)
        bad = self.rng.beta(0.5, 1.2, n)
        self.gold = (self.rng.random(n) < 0.1 + 0.75 * bad).astype(np.int64)
        self.probs = np.stack([1 - bad, bad], axis=1)
        self.right = self.probs.argmax(axis=1) == self.gold
        confidence = self.probs.max(axis=1)
        self.doubt = confidence * (1 - confidence)
        self.categories = np.array(["even", "odd"])[np.arange(n) % 2].tolist()

    def sample(self, rows: Indices, probability: npt.NDArray[np.float64]) -> Sample:
        return Sample(self.gold[rows], rows, probability, self.probs)

    def evenly(self, n: int) -> Sample:
        rows = self.rng.choice(len(self.gold), n, replace=False)
        return self.sample(rows, np.full(n, n / len(self.gold)))

    def by_doubt(self, n: int) -> Sample:
        drawn = draw(self.doubt, n, self.rng.random(len(self.doubt)))
        return self.sample(drawn.rows, drawn.probability)

    def half_a_draw(self, n: int) -> Sample:
        drawn = draw(self.doubt, 2 * n, self.rng.random(len(self.doubt)))
        until = drawn.turn < 0.5
        return self.sample(drawn.rows[until], drawn.probability[until] * 0.5)

    def queue(self, n: int) -> Sample:
        size, numbers = len(self.doubt), self.rng.random(len(self.doubt))
        ranking = merge([Lane("uncertain", self.doubt, 1.0)], self.rng.random(size))
        budget = Budget.of(size, n / size, audit=0.5)
        chosen = choose(ranking, ["uncertain"], numbers, budget, np.zeros(size, dtype=bool))
        return self.sample(chosen.rows, chosen.probability)

    def known_and_drawn(self, n: int) -> Sample:
        """The hundred most doubtful are known, the rest is drawn by doubt."""
        known = np.argsort(-self.doubt)[:100]
        rest = np.setdiff1d(np.arange(len(self.doubt)), known)
        drawn = draw(self.doubt[rest], n, self.rng.random(len(rest)))
        return self.sample(
            np.concatenate([known, rest[drawn.rows]]), np.concatenate([np.ones(100), drawn.probability])
        )


def test_no_gold_is_a_clear_result() -> None:
    empty = Sample(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0), np.full((9, 2), 0.5))
    found = audit_sample(empty, LABELS)
    assert (found.accuracy, found.method, found.n, dict(found.balance)) == (None, NONE, 0, {})


def test_few_decisions_give_wilson() -> None:
    population = Population(100_000)
    sample = population.evenly(40)
    found = audit_sample(sample, LABELS)
    oracle = wilson(int(sample.right.sum()), 40)
    assert found.method == WILSON
    assert found.accuracy is not None
    assert (found.accuracy.estimate, found.accuracy.low, found.accuracy.high) == pytest.approx(
        (oracle.estimate, oracle.low, oracle.high), abs=1e-3
    )


def test_a_census_is_certain() -> None:
    population = Population(400)
    found = audit_sample(population.sample(np.arange(400), np.ones(400)), LABELS, population.categories)
    assert found.accuracy is not None
    assert found.accuracy.low == found.accuracy.high == pytest.approx(population.right.mean())
    predicted = population.probs.argmax(axis=1)
    for k, label in enumerate(LABELS):
        precision, recall = found.precision[label], found.recall[label]
        assert precision is not None
        assert recall is not None
        assert precision.estimate == pytest.approx(precision_score(population.gold, predicted, pos_label=k))
        assert recall.estimate == pytest.approx(recall_score(population.gold, predicted, pos_label=k))
    even = found.categories["even"]
    assert even is not None
    assert even.estimate == pytest.approx(population.right[::2].mean())


def test_a_class_with_too_few_cases_gets_no_figure() -> None:
    gold = np.array([0] * 57 + [1] * 3)
    probs = np.tile([0.9, 0.1], (60, 1))
    found = audit_sample(Sample(gold, np.arange(60), np.full(60, 0.1), probs), LABELS)
    assert found.precision["bad"] is None
    assert found.recall["bad"] is None
    assert found.recall["good"] is not None


def test_weights_correct_for_unequal_chances() -> None:
    hits = np.array([True] * 50 + [False] * 50)
    weights = np.array([1.0] * 50 + [3.0] * 50)
    assert weighted_share(hits, weights).estimate == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("design", "methods"),
    [
        ("evenly", {PPI}),
        ("by_doubt", {ACTIVE}),
        ("half_a_draw", {ACTIVE}),
        ("queue", {ACTIVE, WEIGHTED}),
        ("known_and_drawn", {ACTIVE}),
    ],
)
def test_intervals_cover_the_truth_and_estimates_are_unbiased(design: str, methods: set[str]) -> None:
    population = Population()
    truth, bad = population.right.mean(), population.gold.mean()
    recall = population.right[population.gold == 1].mean()
    audits = [audit_sample(getattr(population, design)(150), LABELS) for _ in range(REPEATS)]
    accuracy = [one.accuracy for one in audits if one.accuracy is not None]
    recalls = [one.recall["bad"] for one in audits]
    assert {one.method for one in audits} <= methods
    assert 0.925 <= np.mean([truth in one for one in accuracy]) <= 0.985
    assert 0.925 <= np.mean([bad in one.balance["bad"] for one in audits]) <= 0.985
    assert 0.92 <= np.mean([one is not None and recall in one for one in recalls]) <= 0.985
    assert abs(np.mean([one.estimate for one in accuracy]) - truth) < 0.005


def test_the_mean_posterior_would_mislead_and_is_shown() -> None:
    population = Population()
    found = audit_sample(population.by_doubt(400), LABELS)
    assert found.posterior == pytest.approx(population.probs.max(axis=1).mean())
    assert found.posterior is not None
    assert found.posterior - population.right.mean() > 0.05


def test_doubt_is_drawn_more_often_and_pays() -> None:
    doubt = Population().doubt
    probability = chances(doubt, 150)
    assert probability.sum() == pytest.approx(150)
    assert np.all(probability > 0)
    assert np.all(np.diff(probability[np.argsort(doubt)]) >= -1e-12)
    assert expected_variance(doubt, probability) < expected_variance(doubt, np.full(len(doubt), 0.1))
    assert np.all(chances(doubt, 5_000) == 1)


def test_as_many_reviews_as_it_takes() -> None:
    doubt = Population().doubt
    needed = reviews_until(doubt, 0.02)
    width = [1.96 * np.sqrt(expected_variance(doubt, chances(doubt, n))) for n in (needed, needed - 1)]
    assert width[0] <= 0.0201
    assert width[1] > 0.0199
    assert reviews_until(doubt, 0.02, inflation=2.0) > needed
    assert reviews_until(doubt[:0], 0.02) == 0
