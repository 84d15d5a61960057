"""Majority vote with a weight a rule: the log odds of its accuracy, learnt from gold and from agreement."""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy.special import softmax

from promptlabel.labelmodel.base import Labelled, tempering
from promptlabel.labelmodel.patterns import FloatArray, Patterns

STEPS = 5
GOLD_WEIGHT = 10.0
HITS, MISSES = 8.0, 2.0


class Weighted:
    """One-coin MAP-EM: each rule is right with one probability, whatever the class.

    The accuracy has a Beta(8, 2) prior; a vote for class k counts log(a (K-1) / (1-a)) towards k.
    """

    name = "weighted"

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:
        """Itself, with `accuracies` [m]."""
        self.log_balance = np.log(balance)
        self.accuracies = np.full(patterns.n_rules, HITS / (HITS + MISSES))
        for _ in range(STEPS):
            posterior = self._posterior(patterns, tempered=False) * patterns.counts[:, None]
            self.accuracies = _accuracies(patterns, posterior, gold)
        return self

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one."""
        return self._posterior(patterns, tempered=True)

    def _posterior(self, patterns: Patterns, *, tempered: bool) -> FloatArray:
        k = patterns.n_classes
        weights = np.log(self.accuracies * (k - 1) / (1.0 - self.accuracies))
        scores = patterns.design @ np.kron(weights[:, None], np.eye(k))
        weight = tempering(patterns.votes_per_row)[:, None] if tempered else 1.0
        return np.asarray(softmax(weight * scores + self.log_balance, axis=1))


def _accuracies(patterns: Patterns, posterior: FloatArray, gold: Labelled) -> FloatArray:
    shape = (patterns.n_rules, patterns.n_classes, patterns.n_classes)
    joint = patterns.design.T @ posterior + GOLD_WEIGHT * (gold.patterns.design.T @ gold.one_hot)
    agreement = np.asarray(joint).reshape(shape)
    hits = np.trace(agreement, axis1=1, axis2=2)
    return np.asarray((hits + HITS) / (agreement.sum(axis=(1, 2)) + HITS + MISSES))
