import numpy as np
import pytest

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.patterns import group
from promptlabel.labelmodel.weighted import Weighted

NONE = np.array([], int)


def test_accuracies_are_found_without_gold():
    rng = np.random.default_rng(0)
    labels, truth = rng.integers(0, 2, 5000), np.array([0.9, 0.8, 0.75, 0.6, 0.85])
    votes = np.where(rng.random((5000, 5)) < truth, labels[:, None], 1 - labels[:, None])
    patterns, _ = group(votes, 2)
    model = Weighted().fit(patterns, Labelled(patterns.take(NONE), NONE), np.array([0.5, 0.5]))
    assert model.accuracies == pytest.approx(truth, abs=0.05)


def test_a_rule_without_votes_keeps_its_prior():
    patterns, _ = group(np.array([[0, -1], [1, -1]]), 2)
    model = Weighted().fit(patterns, Labelled(patterns.take(NONE), NONE), np.array([0.5, 0.5]))
    assert model.accuracies[1] == pytest.approx(0.8)
