import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from promptlabel.labelmodel import LabelModel
from promptlabel.labelmodel.calibration import brier_score, row_losses
from promptlabel.labelmodel.ordered import (
    expected_rank,
    mean_distance,
    median_class,
    quadratic_kappa,
    ranked_probability_score,
    threshold_losses,
)

seeds = st.integers(0, 10_000)


def sample(seed, classes=5, rows=80):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(classes), rows), rng.integers(0, classes, rows)


@given(seeds)
def test_on_two_classes_the_ranked_score_is_half_of_briers(seed):
    probabilities, labels = sample(seed, classes=2)
    assert ranked_probability_score(probabilities, labels) == pytest.approx(
        brier_score(probabilities, labels) / 2
    )


@given(seeds)
def test_kappa_and_distance_are_scikit_learns(seed):
    probabilities, labels = sample(seed)
    decided = median_class(probabilities)
    expected = cohen_kappa_score(decided, labels, labels=range(5), weights="quadratic")
    assert quadratic_kappa(decided, labels, 5) == pytest.approx(expected)
    assert mean_distance(decided, labels) == pytest.approx(mean_absolute_error(labels, decided))


@given(seeds)
def test_no_class_is_nearer_in_expectation_than_the_median(seed):
    probabilities, _ = sample(seed)
    distances = probabilities @ np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    chosen = distances[np.arange(len(distances)), median_class(probabilities)]
    assert np.allclose(chosen, distances.min(axis=1))


def test_a_near_miss_costs_less():
    near, far = np.array([[0.0, 1.0, 0.0]]), np.array([[0.0, 0.0, 1.0]])
    truth = np.array([0])
    assert ranked_probability_score(near, truth) < ranked_probability_score(far, truth)
    assert expected_rank(far) == pytest.approx([2.0])


def test_one_same_class_has_no_agreement_beyond_chance():
    assert np.isnan(quadratic_kappa(np.zeros(9, int), np.zeros(9, int), 3))


def test_the_report_of_ordered_labels_scores_their_order():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 400)
    votes = np.clip(labels[:, None] + rng.integers(-1, 2, (400, 5)), 0, 3)
    gold = np.where(np.arange(400) < 60, labels, -1)
    ordered = LabelModel(4, ordered=True).fit(votes, gold)
    added = {"ranked_probability_score", "mean_distance", "quadratic_kappa"}
    assert added <= set(ordered.report["calibration"])
    assert added <= set(ordered.report["compared"]["majority"])
    assert not added & set(LabelModel(4).fit(votes, gold).report["calibration"])


@given(seeds)
def test_on_two_classes_the_loss_over_thresholds_is_the_log_loss(seed):
    probabilities, labels = sample(seed, classes=2)
    assert threshold_losses(probabilities, labels) == pytest.approx(row_losses(probabilities, labels))


def test_a_near_miss_loses_less_than_a_far_one():
    near, far = np.array([[0.1, 0.8, 0.1]]), np.array([[0.1, 0.1, 0.8]])
    truth = np.array([0])
    assert row_losses(near, truth) == pytest.approx(row_losses(far, truth))
    assert threshold_losses(near, truth) < threshold_losses(far, truth)
