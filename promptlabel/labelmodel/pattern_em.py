"""Dawid and Skene's confusion matrices by a few steps of EM over distinct vote patterns.

Few steps from majority vote, a prior on every matrix, a class balance that is given and never learnt
freely, and tempered votes: run to convergence the same model is over-confident and, on rules that
each vote one class, ends with one class for everything.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import log_softmax, logsumexp, softmax

from promptlabel.labelmodel.base import Labelled, tempering
from promptlabel.labelmodel.patterns import FloatArray, Patterns

STEPS = 3
GOLD_WEIGHT = 10.0
RIGHT, WRONG = 2.0, 1.0


@dataclass
class PatternEM:
    """Dawid-Skene MAP-EM from majority vote.

    With `abstain_is_outcome` the rates are taken over all rows, so that how often a rule speaks up under
    each class counts as well: needed for rules that only ever vote one class. Without it they are taken
    over the rule's votes. When inferring, an abstain is no evidence in either case.

    With `learns_balance` the class shares of each step are the prior of the next. That keeps EM from
    splitting one large class into several while it estimates the rates; for inference they count only to
    the power `balance_trust`, since shares learnt from votes alone repeat the votes' own bias.
    """

    abstain_is_outcome: bool = True
    learns_balance: bool = False
    balance_trust: float = 0.0
    name: str = "em"

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:
        """Itself, with log rates [m*K, K]: log P(rule j votes l | class k) at row j*K+l, column k."""
        posterior = _shares(patterns, balance)
        for _ in range(STEPS):
            self.log_rates = self._estimated(patterns, posterior, gold)
            learnt = _log_class_shares(patterns, posterior) if self.learns_balance else np.zeros(len(balance))
            self.log_shares = np.asarray(log_softmax(np.log(balance) + learnt))
            posterior = softmax(patterns.design @ self.log_rates + self.log_shares, axis=1)
        self.log_given, self.log_learnt = np.log(balance), learnt
        return self

    def trusting(self, balance_trust: float) -> Self:
        """The same fit with the learnt balance trusted this far."""
        other = copy(self)
        other.balance_trust = balance_trust
        return other

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one."""
        weight = tempering(patterns.votes_per_row)[:, None]
        log_balance = self.log_given + self.balance_trust * self.log_learnt
        return np.asarray(softmax(weight * (patterns.design @ self.log_rates) + log_balance, axis=1))

    def log_likelihood(self, patterns: Patterns) -> float:
        """The log probability of all votes, abstains left out, under the rates and the estimating prior."""
        scores = patterns.design @ self.log_rates + self.log_shares
        return float(patterns.counts @ logsumexp(scores, axis=1))

    def _estimated(self, patterns: Patterns, posterior: FloatArray, gold: Labelled) -> FloatArray:
        weighted, labelled = posterior * patterns.counts[:, None], gold.one_hot * GOLD_WEIGHT
        k = patterns.n_classes
        prior = np.tile(WRONG + (RIGHT - WRONG) * np.eye(k), (patterns.n_rules, 1))
        expected = patterns.design.T @ weighted + gold.patterns.design.T @ labelled + prior
        votes = expected.reshape(patterns.n_rules, k, k)
        if self.abstain_is_outcome:
            rows = weighted.sum(axis=0) + labelled.sum(axis=0) + prior[:k].sum(axis=0)
        else:
            rows = votes.sum(axis=1, keepdims=True)
        return np.asarray(np.log(votes / rows)).reshape(-1, k)


def _shares(patterns: Patterns, balance: FloatArray) -> FloatArray:
    votes = patterns.votes_per_row[:, None]
    return np.where(votes > 0, patterns.tally / np.maximum(votes, 1.0), balance)


def _log_class_shares(patterns: Patterns, posterior: FloatArray) -> FloatArray:
    """Float array [K]: logs of the mean posterior of rows with votes, smoothed by a row a class."""
    covered = patterns.counts * (patterns.votes_per_row > 0)
    return np.asarray(np.log((covered @ posterior + 1.0) / (covered.sum() + patterns.n_classes)))
