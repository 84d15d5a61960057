import numpy as np

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.patterns import group
from promptlabel.labelmodel.single_rule import BestRule


def test_the_rule_that_gold_agrees_with_is_chosen():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    votes = np.where(rng.random((200, 3)) < [0.6, 0.9, 0.5], labels[:, None], 1 - labels[:, None])
    patterns, inverse = group(votes, 2)
    model = BestRule().fit(patterns, Labelled(patterns.take(inverse), labels), np.array([0.5, 0.5]))
    assert model.rule == 1
    assert (model.predict_proba(patterns)[inverse].argmax(axis=1) == votes[:, 1]).all()
