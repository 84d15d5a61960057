"""Scores of sets agree with scikit-learn, silence is a tie, and intervals over cases hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    hamming_loss,
    jaccard_score,
    log_loss,
    precision_score,
    recall_score,
)

from promptlabel.evals.intervals import Estimate, clustered, wilson
from promptlabel.evals.set_scoring import (
    SaidSets,
    SetScore,
    exact_difference,
    jaccard,
    score_sets,
    set_difference,
    set_score,
)

LABELS = ("refund", "shipping", "bug")


def sets_of(applies: np.ndarray, gold: np.ndarray) -> SaidSets:
    return SaidSets(LABELS, applies.astype(float), gold.astype(np.int64))


matrices = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        arrays(np.int64, (n, 3), elements=st.integers(0, 1)),
        arrays(np.int64, (n, 3), elements=st.integers(0, 1)),
    )
)


@given(matrices)
def test_sets_score_as_in_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    said, gold = pair
    found, figures = score_sets("rule", sets_of(said, gold), is_hard=True), set_score(sets_of(said, gold))
    assert found.accuracy.estimate == pytest.approx(accuracy_score(gold, said))
    assert figures.label_accuracy.estimate == pytest.approx(1 - hamming_loss(gold, said))
    assert figures.jaccard.estimate == pytest.approx(
        jaccard_score(gold, said, average="samples", zero_division=1)
    )
    assert figures.micro_f1.estimate == pytest.approx(f1_score(gold, said, average="micro", zero_division=1))
    present = np.flatnonzero((said | gold).any(axis=0)).tolist()
    if present:
        macro = f1_score(gold, said, average="macro", labels=present)
        assert (figures.macro_f1.estimate, found.macro_f1) == pytest.approx((macro, macro))
    assert (found.coverage, found.log_loss, found.ece) == (1.0, None, None)


@given(matrices)
def test_each_label_scores_as_in_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    said, gold = pair
    for place, found in enumerate(set_score(sets_of(said, gold)).labels.values()):
        truth, votes = gold[:, place], said[:, place]
        assert found.n == truth.sum()
        for figure, oracle, known in (
            (found.precision, precision_score, votes.any()),
            (found.recall, recall_score, truth.any()),
            (found.f1, f1_score, votes.any() or truth.any()),
        ):
            assert (figure is not None) == known
            if figure is not None:
                assert figure.estimate == pytest.approx(oracle(truth, votes, zero_division=0))
                assert figure.estimate in figure


def test_log_loss_is_that_of_single_labels() -> None:
    rng = np.random.default_rng(3)
    shares, gold = rng.random((80, 3)), rng.integers(0, 2, (80, 3))
    found = score_sets("posterior", sets_of(shares, gold), is_hard=False)
    assert found.log_loss == pytest.approx(log_loss(gold.ravel(), shares.ravel()))
    assert found.ece is not None


def test_silence_is_a_tie_of_yes_and_no_and_finds_nothing() -> None:
    applies = np.array([[1.0, np.nan, np.nan], [np.nan, np.nan, np.nan]])
    gold = np.array([[1, 1, 0], [0, 0, 0]])
    said = sets_of(applies, gold)
    found, figures = score_sets("rule", said, is_hard=True), set_score(said)
    assert found.accuracy.estimate == pytest.approx((1 / 4 + 1 / 8) / 2)
    assert found.coverage == pytest.approx(1 / 6)
    assert figures.label_accuracy.estimate == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert figures.jaccard.estimate == pytest.approx((1 / 2 + 0) / 2)
    assert figures.labels["refund"].recall == wilson(1, 1)
    assert figures.labels["shipping"].recall == wilson(0, 1)
    assert figures.labels["shipping"].precision is None
    assert (figures.labels["bug"].f1, figures.labels["bug"].n) == (None, 0)


@given(matrices)
def test_two_sets_are_alike_both_ways(pair: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = (marks == 1 for marks in pair)
    assert np.array_equal(jaccard(one, other), jaccard(other, one))
    assert np.array_equal(jaccard(one, one), np.ones(len(one)))


def test_a_difference_is_that_of_the_figures_and_zero_with_itself() -> None:
    rng = np.random.default_rng(4)
    gold = rng.integers(0, 2, (60, 3))
    first, second = (
        sets_of(np.where(rng.random((60, 3)) < right, gold, 1 - gold), gold) for right in (0.9, 0.6)
    )
    found, better, worse = set_difference(first, second), set_score(first), set_score(second)
    for name in ("label_accuracy", "jaccard", "macro_f1"):
        lead, ends = getattr(better, name).estimate - getattr(worse, name).estimate, getattr(found, name)
        assert ends.estimate == pytest.approx(lead)
        assert 0 < ends.low < lead < ends.high
    assert exact_difference(first, first).estimate == 0
    assert set_difference(first, first).macro_f1 == Estimate(0.0, 0.0, 0.0)


def test_cases_of_one_decision_have_wilsons_interval() -> None:
    values = np.array([1.0] * 30 + [0.0] * 10)
    found, plain = clustered(0.75, values, 1), wilson(30, 40)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.005)


def test_words_that_are_right_together_say_less_than_words_apart() -> None:
    rng = np.random.default_rng(0)
    together = np.repeat(rng.random((200, 1)) < 0.75, 3, axis=1).mean(axis=1)
    apart = (rng.random((200, 3)) < 0.75).mean(axis=1)
    wide, narrow = (clustered(float(values.mean()), values, 3) for values in (together, apart))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_a_case_without_spread_counts_once() -> None:
    assert clustered(1.0, np.ones(20), 5) == wilson(20, 20)


@pytest.mark.parametrize("correlated", [False, True])
def test_intervals_over_cases_cover(correlated: bool) -> None:
    """600 samples of 80 cases whose three labels are said rightly together or apart."""
    rng = np.random.default_rng(7)
    truth = figures_of(rng, 60_000, correlated)
    samples = [figures_of(rng, 80, correlated) for _ in range(600)]
    for name in ("label_accuracy", "jaccard", "micro_f1", "macro_f1"):
        aim = getattr(truth, name).estimate
        covered = np.mean([aim in getattr(one, name) for one in samples])
        assert 0.925 <= covered <= 0.99, (name, covered)
    for label in LABELS:
        aim = truth.labels[label].f1
        assert aim is not None
        covered = np.mean([aim.estimate in (one.labels[label].f1 or Estimate(0, 0, 1)) for one in samples])
        assert 0.925 <= covered <= 0.99, (label, covered)


def figures_of(rng: np.random.Generator, n: int, correlated: bool) -> SetScore:
    gold = (rng.random((n, 3)) < [0.5, 0.3, 0.15]).astype(np.int64)
    luck = np.repeat(rng.random((n, 1)), 3, axis=1) if correlated else rng.random((n, 3))
    return set_score(sets_of(np.where(luck < 0.85, gold, 1 - gold), gold))
