"""Coverage, overlap and conflict are Snorkel's; accuracy and its interval are those of the textbooks."""

import math
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest

from promptlabel.votes.analysis import analyze_votes, wilson_interval

MATRICES = st.tuples(st.integers(1, 30), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.int8, shape, elements=st.integers(-1, 3))
)


@pytest.mark.snorkel
@pytest.mark.filterwarnings("ignore:Input has data type int64:FutureWarning")  # Snorkel's use of SciPy
@settings(max_examples=40, deadline=None)
@given(MATRICES)
def test_shares_are_those_of_snorkel(votes: np.ndarray) -> None:
    snorkel = pytest.importorskip("snorkel.labeling", reason="needs the snorkel extra")
    oracle = snorkel.LFAnalysis(votes.astype(int))
    found = analyze_votes(votes)
    assert np.allclose(found.coverage, oracle.lf_coverages())
    assert np.allclose(found.overlap, oracle.lf_overlaps())
    assert np.allclose(found.conflict, oracle.lf_conflicts())
    assert [list(labels) for labels in found.polarity] == [
        [int(x) for x in labels] for labels in oracle.lf_polarities()
    ]


@pytest.mark.snorkel
@settings(max_examples=30, deadline=None)
@given(MATRICES, st.integers(0, 2**32 - 1))
def test_accuracy_is_that_of_snorkel_where_a_rule_votes(votes: np.ndarray, seed: int) -> None:
    snorkel = pytest.importorskip("snorkel.labeling", reason="needs the snorkel extra")
    gold = np.random.default_rng(seed).integers(0, 4, len(votes))
    found = analyze_votes(votes, gold)
    oracle = snorkel.LFAnalysis(votes.astype(int)).lf_empirical_accuracies(gold)
    voted = found.votes > 0
    assert np.allclose(found.accuracy[voted], oracle[voted])
    assert np.isnan(found.accuracy[~voted]).all()
    assert ((found.correct + found.incorrect) == found.votes).all()


def test_the_example_of_the_definition() -> None:
    votes = np.array([[-1, 0, 0], [-1, -1, -1], [1, 0, -1], [-1, 0, -1], [0, 0, 0]])
    found = analyze_votes(votes, gold=np.array([0, 0, 1, -1, 1]))
    assert found.votes.tolist() == [2, 4, 2]
    assert found.coverage.tolist() == [0.4, 0.8, 0.4]
    assert found.overlap.tolist() == pytest.approx([0.4, 0.6, 0.4])
    assert found.conflict.tolist() == [0.2, 0.2, 0.0]
    assert found.polarity == ((0, 1), (0,), (0,))
    assert found.correct.tolist() == [1, 1, 1]
    assert found.incorrect.tolist() == [1, 2, 1]
    assert found.accuracy.tolist() == pytest.approx([1 / 2, 1 / 3, 1 / 2])


def test_without_gold_nothing_is_right_or_wrong() -> None:
    found = analyze_votes(np.array([[0, 1], [1, 1]]))
    assert found.correct.tolist() == found.incorrect.tolist() == [0, 0]
    assert np.isnan(found.accuracy).all()
    assert np.isnan(found.accuracy_low).all()
    assert np.isnan(found.accuracy_high).all()


@given(st.integers(0, 200), st.integers(1, 200))
def test_the_interval_is_wilsons(successes: int, more: int) -> None:
    trials = successes + more
    low, high = wilson_interval(np.array([successes]), np.array([trials]))
    oracle = binomtest(successes, trials).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (0, 0), (1, 1)])
def test_empty_matrices_are_no_trouble(shape: tuple[int, int]) -> None:
    found = analyze_votes(np.full(shape, -1))
    assert found.coverage.tolist() == [0.0] * shape[1]
    assert found.n_eff == shape[1]
    assert found.n_eff_source == "none"


@pytest.mark.parametrize(
    ("votes", "gold", "n_classes", "word"),
    [
        (np.array([0, 1]), None, None, r"\[n, m\]"),
        (np.array([[0.0, 1.0]]), None, None, "integers"),
        (np.array([[0, 2]]), None, 2, "votes must be labels from 0 to 1"),
        (np.array([[0, -2]]), None, None, "votes must be labels"),
        (np.array([[0, 1]]), np.array([0, 1]), None, "gold must be 1 integers"),
        (np.array([[0, 1]]), np.array([2]), 2, "gold must be labels"),
        (np.array([[0, 1]]), np.array([0.5]), 2, "gold must be 1 integers"),
    ],
)
def test_what_is_no_vote_matrix_is_refused(
    votes: np.ndarray, gold: np.ndarray | None, n_classes: int | None, word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        analyze_votes(votes, gold, n_classes)


def test_a_million_traces_take_a_second_or_so_and_little_memory() -> None:
    rng = np.random.default_rng(1)
    votes = rng.integers(-1, 3, (1_000_000, 10), dtype=np.int8)
    gold = np.where(rng.random(1_000_000) < 0.01, 1, -1)
    started = time.process_time()
    found = analyze_votes(votes, gold)
    assert time.process_time() - started < 5
    assert math.isclose(found.coverage.mean(), 0.75, abs_tol=0.01)
    tracemalloc.start()
    analyze_votes(votes, gold)
    assert tracemalloc.get_traced_memory()[1] < 150e6
    tracemalloc.stop()
