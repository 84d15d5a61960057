"""Calibration meets the class balance and never changes the order of traces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax

from promptlabel.votes.calibration import PSEUDO_TRACES, calibrate_batch

SCORES = st.tuples(st.integers(1, 40), st.integers(2, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-30, 0))
)
LARGE = 20_000


def random_scores(rng: np.random.Generator, n: int, answers: int, bias: float = 3.0) -> np.ndarray:
    return rng.normal(0, 1.5, (n, answers)) + bias * np.arange(answers)


def random_target(rng: np.random.Generator, answers: int) -> np.ndarray:
    return rng.dirichlet(np.full(answers, 5.0))


@settings(max_examples=60, deadline=None)
@given(SCORES)
def test_rows_are_distributions(scores: np.ndarray) -> None:
    calibrated = calibrate_batch(scores)
    assert calibrated.shape == scores.shape
    assert np.allclose(calibrated.sum(axis=1), 1)
    assert (calibrated >= 0).all()


@settings(max_examples=60, deadline=None)
@given(SCORES, st.integers(0, 2**32 - 1))
def test_the_mean_is_the_target_shrunk_to_the_observed_share(scores: np.ndarray, seed: int) -> None:
    n, answers = scores.shape
    target = random_target(np.random.default_rng(seed), answers)
    observed = softmax(scores, axis=1).mean(axis=0)
    wanted = (n * target + PSEUDO_TRACES * observed) / (n + PSEUDO_TRACES)
    assert np.allclose(calibrate_batch(scores, target).mean(axis=0), wanted, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(SCORES, st.integers(0, 2**32 - 1))
def test_the_order_of_answers_and_traces_does_not_matter(scores: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = random_target(rng, scores.shape[1])
    columns, rows = rng.permutation(scores.shape[1]), rng.permutation(len(scores))
    permuted = calibrate_batch(scores[rows][:, columns], target[columns])
    assert np.allclose(permuted, calibrate_batch(scores, target)[rows][:, columns], atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(SCORES)
def test_odds_of_two_answers_move_by_the_same_factor_for_all_traces(scores: np.ndarray) -> None:
    calibrated = calibrate_batch(scores)
    shift = np.log(np.maximum(calibrated, 1e-300)) - scores
    relative = shift - shift[:, :1]
    assert np.allclose(relative, relative[0], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(SCORES, st.floats(-50, 50))
def test_rows_need_not_be_normalised(scores: np.ndarray, constant: float) -> None:
    assert np.allclose(calibrate_batch(scores + constant), calibrate_batch(scores), atol=1e-6)


def test_more_log_probability_is_never_less_probability(rng: np.random.Generator) -> None:
    scores = random_scores(rng, 200, 3)
    raised = scores.copy()
    raised[7, 1] += 2.0
    assert calibrate_batch(raised)[7, 1] > calibrate_batch(scores)[7, 1]


def test_calibrating_twice_is_calibrating_once(rng: np.random.Generator) -> None:
    target = random_target(rng, 3)
    once = calibrate_batch(random_scores(rng, LARGE, 3), target)
    assert np.allclose(calibrate_batch(np.log(once), target), once, atol=2e-3)


def test_a_biased_model_is_brought_to_the_truth_it_ranks_well(rng: np.random.Generator) -> None:
    truth = rng.random(5000) < 0.3
    odds = np.where(truth, 1.5, -1.5) + rng.normal(0, 1, 5000) + 6.0
    scores = np.stack([np.zeros(5000), odds], axis=1)
    uncalibrated = (softmax(scores, axis=1).argmax(axis=1) == truth).mean()
    calibrated = (calibrate_batch(scores, np.array([0.7, 0.3])).argmax(axis=1) == truth).mean()
    assert uncalibrated < 0.35
    assert calibrated > 0.9


def test_a_few_traces_are_hardly_shifted() -> None:
    one = np.log([[0.9, 0.1]])
    assert calibrate_batch(one)[0, 0] == pytest.approx((0.5 + 10 * 0.9) / 11, abs=1e-6)


def test_answers_of_no_probability_and_saturated_rows_are_met(rng: np.random.Generator) -> None:
    scores = np.where(rng.random((2000, 1)) < 0.9, [[0.0, -np.inf]], [[-200.0, 0.0]])
    calibrated = calibrate_batch(scores, np.array([0.5, 0.5]))
    assert np.isfinite(calibrated).all()
    assert np.allclose(calibrated.mean(axis=0), 0.5, atol=0.01)


def test_no_traces_are_no_trouble() -> None:
    assert calibrate_batch(np.empty((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(
    ("scores", "target", "word"),
    [
        (np.zeros(3), None, r"\[n, K\]"),
        (np.zeros((2, 1)), None, "K >= 2"),
        (np.array([[0.0, np.nan]]), None, "below infinity"),
        (np.array([[0.0, np.inf]]), None, "below infinity"),
        (np.array([[-np.inf, -np.inf]]), None, "no answer any probability"),
        (np.zeros((2, 2)), np.array([0.5, 0.3, 0.2]), "2 shares"),
        (np.zeros((2, 2)), np.array([1.0, 0.0]), "positive"),
        (np.zeros((2, 2)), np.array([0.5, 0.6]), "sum to one"),
        (np.zeros((2, 2)), np.array([0.5, np.nan]), "positive"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(
    scores: np.ndarray, target: np.ndarray | None, word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        calibrate_batch(scores, target)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
