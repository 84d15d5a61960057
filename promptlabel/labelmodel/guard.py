"""What to ship when gold cannot judge: a mean of estimators that fail on different sets of votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from promptlabel.labelmodel.base import Estimator, Labelled
from promptlabel.labelmodel.calibration import confidence_exponent, tempered
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.pattern_em import PatternEM
from promptlabel.labelmodel.patterns import FloatArray, Patterns

DENSE = 2.5
BALANCE_TRUST = 0.5


@dataclass
class Guard:
    """The mean of majority vote and pattern-EM variants, which ones depending on how dense the votes are.

    Sparse votes come from rules that know one class, and what they abstain on says something; the mean is
    made as confident as smoothed majority vote is on average, since pattern-EM cannot tell there how sure
    to be. Dense votes come from judges that answer for everything. Where nobody knows the class balance, it
    is learnt if that makes the votes likelier than an even one does, and then trusted by half. A linear
    pool's log loss is at most the mean of its members' log losses, so one member gone wrong costs little.
    """

    balance_known: bool = False
    name: str = "guard"

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:
        """Itself, every member fitted."""
        self.balance, self.exponent = balance, 1.0
        if self.balance_known or not is_dense(patterns):
            self.members = _fitted(_members(patterns), patterns, gold, balance)
        else:
            self.members = _fitted_judges(patterns, gold, balance)
        if not is_dense(patterns):
            self.exponent = _majority_confidence_exponent(self._mean(patterns), patterns, balance)
        return self

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one; the class balance where no rule votes."""
        silent = (patterns.votes_per_row == 0)[:, None]
        return np.where(silent, self.balance, tempered(self._mean(patterns), self.exponent))

    def _mean(self, patterns: Patterns) -> FloatArray:
        return np.asarray(np.mean([member.predict_proba(patterns) for member in self.members], axis=0))


def _members(patterns: Patterns) -> list[Estimator]:
    judges = PatternEM(abstain_is_outcome=False)
    return [Majority(), judges] if is_dense(patterns) else [Majority(), PatternEM(), judges]


def _fitted(
    members: Sequence[Estimator], patterns: Patterns, gold: Labelled, balance: FloatArray
) -> list[Estimator]:
    return [member.fit(patterns, gold, balance) for member in members]


def _fitted_judges(patterns: Patterns, gold: Labelled, balance: FloatArray) -> list[Estimator]:
    even = PatternEM(abstain_is_outcome=False).fit(patterns, gold, balance)
    learnt = PatternEM(abstain_is_outcome=False, learns_balance=True).fit(patterns, gold, balance)
    if learnt.log_likelihood(patterns) <= even.log_likelihood(patterns):
        return [even]
    return [learnt, learnt.trusting(BALANCE_TRUST)]


def is_dense(patterns: Patterns) -> bool:
    """Whether traces that have any votes have two and a half or more on average."""
    votes = patterns.counts @ patterns.votes_per_row
    covered = patterns.counts @ (patterns.votes_per_row > 0)
    return bool(votes >= DENSE * covered)


def _majority_confidence_exponent(mean: FloatArray, patterns: Patterns, balance: FloatArray) -> float:
    votes = (patterns.tally + balance).max(axis=1) / (patterns.votes_per_row + 1.0)
    return confidence_exponent(mean, patterns.counts, float(patterns.counts @ votes / patterns.counts.sum()))
