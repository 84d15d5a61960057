import numpy as np
import pytest

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.guard import Guard, is_dense
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.patterns import group

NONE = np.array([], int)


def fit(make, votes, k):
    patterns, inverse = group(votes, k)
    nobody = Labelled(patterns.take(NONE), NONE)
    return make().fit(patterns, nobody, np.full(k, 1 / k)).predict_proba(patterns)[inverse], patterns


def test_density_is_counted_on_traces_with_votes():
    assert is_dense(group(np.array([[0, 0, 0], [-1, -1, -1]]), 2)[0])
    assert not is_dense(group(np.array([[0, 0, -1], [0, -1, -1]]), 2)[0])


def test_skewed_classes_do_not_collapse():
    rng = np.random.default_rng(0)
    labels = rng.choice(4, 3000, p=[0.9, 0.05, 0.03, 0.02])
    votes = np.where(rng.random((3000, 7)) < 0.75, labels[:, None], rng.integers(0, 4, (3000, 7))).astype(
        np.int8
    )
    guarded, _ = fit(Guard, votes, 4)
    majority, _ = fit(Majority, votes, 4)
    assert (guarded.argmax(axis=1) == labels).mean() > (majority.argmax(axis=1) == labels).mean() - 0.015


def test_sparse_votes_are_believed_as_far_as_smoothed_majority_believes_them():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 2000)
    votes = np.full((2000, 6), -1, np.int8)
    for rule in range(6):
        speaks = rng.random(2000) < np.where(labels == rule // 2, 0.3, 0.05)
        votes[speaks, rule] = rule // 2
    guarded, _ = fit(Guard, votes, 3)
    majority, _ = fit(Majority, votes, 3)
    assert guarded.max(axis=1).mean() == pytest.approx(majority.max(axis=1).mean(), abs=0.02)
