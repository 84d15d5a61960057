"""A linear pool: the weighted mean of the probabilities of several estimators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from promptlabel.labelmodel.base import Estimator, Labelled
from promptlabel.labelmodel.patterns import FloatArray, Patterns


@dataclass
class Pool:
    """Estimators with a weight each, weights summing to one.

    Its log loss is at most the weighted mean of its members' log losses, so one member gone wrong costs little.
    """

    members: Sequence[Estimator]
    weights: FloatArray
    name: str = "pool"

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:
        """Itself, every member fitted."""
        self.members = [member.fit(patterns, gold, balance) for member in self.members]
        return self

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one."""
        return weighted_mean([member.predict_proba(patterns) for member in self.members], self.weights)


def weighted_mean(probabilities: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    """Float array [u, K]: the mean of arrays [u, K] under weights that sum to one."""
    return np.asarray(sum(weight * one for weight, one in zip(weights, probabilities, strict=True)))
