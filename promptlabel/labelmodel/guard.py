"""What to ship when gold cannot judge: a mean of estimators that fail on different sets of votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from promptlabel.labelmodel.base import Estimator, Labelled
from promptlabel.labelmodel.calibration import confidence_exponent, tempered
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.pattern_em import PatternEM
from promptlabel.labelmodel.patterns import FloatArray, Patterns

DENSE = 2.5


@dataclass
class Guard:
    """The mean of majority vote and pattern-EM variants, which ones depending on how dense the votes are.

    Sparse votes come from rules that know one class, and what they abstain on says something; dense votes
    come from judges that answer for everything, and then the class balance decides most: where nobody knows
    it, the uniform one and a half-learnt one are averaged. A linear pool's log loss is at most the mean of
    its members' log losses, so one member gone wrong costs little. On sparse votes the mean is made as
    confident as smoothed majority vote is on average, since pattern-EM cannot tell there how sure to be.
    """

    balance_known: bool = False
    name: str = "guard"

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:
        """Itself, every member fitted."""
        self.balance, self.exponent = balance, 1.0
        self.members = [member.fit(patterns, gold, balance) for member in self._members(patterns)]
        if not is_dense(patterns):
            self.exponent = _majority_confidence_exponent(self._mean(patterns), patterns, balance)
        return self

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one; the class balance where no rule votes."""
        silent = (patterns.votes_per_row == 0)[:, None]
        return np.where(silent, self.balance, tempered(self._mean(patterns), self.exponent))

    def _mean(self, patterns: Patterns) -> FloatArray:
        return np.asarray(np.mean([member.predict_proba(patterns) for member in self.members], axis=0))

    def _members(self, patterns: Patterns) -> list[Estimator]:
        judges = PatternEM(abstain_is_outcome=False)
        if not is_dense(patterns):
            return [Majority(), PatternEM(), judges]
        if self.balance_known:
            return [Majority(), judges]
        return [judges, PatternEM(abstain_is_outcome=False, learnt_balance=0.5)]


def is_dense(patterns: Patterns) -> bool:
    """Whether traces that have any votes have two and a half or more on average."""
    votes = patterns.counts @ patterns.votes_per_row
    covered = patterns.counts @ (patterns.votes_per_row > 0)
    return bool(votes >= DENSE * covered)


def _majority_confidence_exponent(mean: FloatArray, patterns: Patterns, balance: FloatArray) -> float:
    votes = (patterns.tally + balance).max(axis=1) / (patterns.votes_per_row + 1.0)
    return confidence_exponent(mean, patterns.counts, float(patterns.counts @ votes / patterns.counts.sum()))
