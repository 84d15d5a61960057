import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from promptlabel.labelmodel.calibration import (
    brier_score,
    calibration_error,
    confidence_exponent,
    correctness,
    fit_exponent,
    log_loss,
    reliability,
    tempered,
)

seeds = st.integers(0, 10_000)


def sample(seed, rows=200, classes=3):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), rows)
    labels = np.array([rng.choice(classes, p=row) for row in probabilities])
    return probabilities, labels


@given(seeds)
def test_log_loss_is_scikit_learns(seed):
    probabilities, labels = sample(seed)
    floored = np.clip(probabilities, 1e-6, 1)
    floored /= floored.sum(axis=1, keepdims=True)  # scikit-learn warns of rows that do not sum to one
    expected = sklearn_log_loss(labels, floored, labels=[0, 1, 2])
    assert log_loss(probabilities, labels) == pytest.approx(expected, rel=1e-3)


@given(seeds)
def test_brier_score_is_scikit_learns_on_two_classes_doubled(seed):
    probabilities, labels = sample(seed, classes=2)
    assert brier_score(probabilities, labels) == pytest.approx(
        2 * brier_score_loss(labels, probabilities[:, 1])
    )


def test_a_tie_is_right_by_its_share():
    assert correctness(np.array([[0.4, 0.4, 0.2], [0.2, 0.5, 0.3]]), np.array([1, 0])).tolist() == [0.5, 0.0]


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    always_sure = np.tile([0.95, 0.05], (10, 1))
    assert calibration_error(always_sure, np.array([0] * 7 + [1] * 3)) == pytest.approx(0.25)


def test_probabilities_that_hold_have_little_calibration_error():
    probabilities, labels = sample(1, rows=20_000)
    assert calibration_error(probabilities, labels) < 0.02


def test_the_reliability_curve_counts_every_row_once():
    probabilities, labels = sample(2)
    assert sum(band["count"] for band in reliability(probabilities, labels)) == 200


@given(seeds, st.floats(0.2, 5))
def test_tempering_keeps_the_order_and_the_sum(seed, exponent):
    probabilities, _ = sample(seed)
    found = tempered(probabilities, exponent)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == probabilities.argmax(axis=1)).all()


@pytest.mark.parametrize("bluster", [0.5, 2.0])
def test_the_exponent_undoes_wrong_confidence(bluster):
    probabilities, labels = sample(3, rows=20_000)
    assert fit_exponent(tempered(probabilities, bluster), labels) == pytest.approx(1 / bluster, rel=0.1)


def test_a_few_labels_move_the_exponent_little():
    sure, wrong = np.tile([0.99, 0.01], (5, 1)), np.array([0, 1, 1, 0, 1])
    assert fit_exponent(sure, wrong) > 0.8


def test_confidence_is_matched_over_all_traces():
    probabilities, _ = sample(4)
    counts = np.arange(1.0, 201)
    exponent = confidence_exponent(probabilities, counts, 0.75)
    confidence = tempered(probabilities, exponent).max(axis=1)
    assert counts @ confidence / counts.sum() == pytest.approx(0.75, abs=1e-6)


def test_a_confidence_out_of_reach_changes_nothing():
    assert confidence_exponent(np.full((3, 2), 0.5), np.ones(3), 0.9) == 1.0
