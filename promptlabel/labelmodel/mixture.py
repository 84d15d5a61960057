"""The plain mean of several estimators' probabilities: one may be wrong, all of them seldom are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from promptlabel.labelmodel.base import Estimator, Labelled
from promptlabel.labelmodel.patterns import FloatArray, Patterns


@dataclass
class Mixture:
    """A linear pool with equal weights; its log loss is at most the mean of its members' log losses."""

    members: tuple[Estimator, ...]
    name: str = "mixture"

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:
        """Itself, every member fitted."""
        for member in self.members:
            member.fit(patterns, gold, balance)
        return self

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one."""
        return np.mean([member.predict_proba(patterns) for member in self.members], axis=0)
