"""What to ship when gold cannot judge: a pool of estimators that fail on different sets of votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.calibration import confidence_exponent, tempered
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.pattern_em import PatternEM
from promptlabel.labelmodel.patterns import FloatArray, Patterns
from promptlabel.labelmodel.pool import Pool

DENSE = 2.5
BALANCE_TRUST = 0.5
MAJORITY_SHARE = 0.25


@dataclass
class Guard:
    """A pool of majority vote and pattern-EM variants, which ones depending on how dense the votes are.

    Sparse votes come from rules that know one class, and what they abstain on says something, so
    pattern-EM over all rows weighs most; the pool is made as confident as smoothed majority vote is on
    average, since pattern-EM cannot tell there how sure to be. Dense votes come from judges that answer
    for everything. Where nobody knows the class balance, it is learnt if that makes the votes likelier
    than an even one does, and then trusted by half. The shares and the steps of EM were chosen across vote
    sets (`scripts/bench labelmodel --parts guard`).
    """

    balance_known: bool = False
    name: str = "guard"

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:
        """Itself, every member fitted."""
        self.balance, self.exponent = balance, 1.0
        if is_dense(patterns):
            self.pool = self._judges(patterns, gold, balance)
        else:
            self.pool = _heuristics().fit(patterns, gold, balance)
            self.exponent = _majority_confidence_exponent(
                self.pool.predict_proba(patterns), patterns, balance
            )
        return self

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one; the class balance where no rule votes."""
        silent = (patterns.votes_per_row == 0)[:, None]
        return np.where(silent, self.balance, tempered(self.pool.predict_proba(patterns), self.exponent))

    def _judges(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Pool:
        judges = _even_or_learnt(patterns, gold, balance, self.balance_known)
        share = (1.0 - MAJORITY_SHARE) / len(judges)
        majority = Majority().fit(patterns, gold, balance)
        return Pool([majority, *judges], np.array([MAJORITY_SHARE] + [share] * len(judges)))


def _heuristics() -> Pool:
    return Pool([Majority(), PatternEM(), PatternEM(abstain_is_outcome=False)], np.array([0.25, 0.5, 0.25]))


def _even_or_learnt(
    patterns: Patterns, gold: Labelled, balance: FloatArray, known: bool
) -> Sequence[PatternEM]:
    even = PatternEM(abstain_is_outcome=False).fit(patterns, gold, balance)
    if known:
        return [even]
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
