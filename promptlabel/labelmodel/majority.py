"""Majority vote, the baseline that every other estimator has to beat."""

from __future__ import annotations

from typing import Self

import numpy as np

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.patterns import FloatArray, Patterns


class Majority:
    """Shares of the votes, smoothed by one vote spread over the class balance.

    The class balance breaks ties and fills rows without votes; it can never outvote a majority.
    """

    name = "majority"

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:  # noqa: ARG002 - protocol
        """Itself, with the class balance [K]."""
        self.balance = balance
        return self

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one."""
        smoothed = patterns.tally + self.balance
        return np.asarray(smoothed / smoothed.sum(axis=1, keepdims=True))
