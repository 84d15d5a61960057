"""The best single rule, by gold: what a panel has to beat before it may claim to be worth its cost."""

from __future__ import annotations

from typing import Self

import numpy as np

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.patterns import FloatArray, Patterns

RIGHT, WRONG = 2.0, 1.0


class BestRule:
    """The rule with the lowest log loss on gold, through its smoothed confusion matrix; `rule` is its column."""

    name = "best rule"

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:
        """Itself, with the rule chosen and its log rates [K votes, K classes]."""
        self.log_balance = np.log(balance)
        confusions = _log_confusions(patterns, gold)
        losses = [self._loss(gold, rule, confusions[rule]) for rule in range(patterns.n_rules)]
        self.rule = int(np.argmin(losses))
        self.log_rates = confusions[self.rule]
        return self

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one; the class balance where the rule abstains."""
        return _posterior(patterns, self.rule, self.log_rates, self.log_balance)

    def _loss(self, gold: Labelled, rule: int, log_rates: FloatArray) -> float:
        posterior = _posterior(gold.patterns, rule, log_rates, self.log_balance)
        return -float((np.log(posterior) * gold.one_hot).sum())


def _posterior(patterns: Patterns, rule: int, log_rates: FloatArray, log_balance: FloatArray) -> FloatArray:
    k = patterns.n_classes
    scores = np.exp(patterns.design[:, rule * k : (rule + 1) * k] @ log_rates + log_balance)
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def _log_confusions(patterns: Patterns, gold: Labelled) -> FloatArray:
    """Float array [m, K votes, K classes]: log P(vote | class, the rule votes)."""
    k = patterns.n_classes
    joint = np.asarray(gold.patterns.design.T @ gold.one_hot).reshape(patterns.n_rules, k, k)
    joint = joint + WRONG + (RIGHT - WRONG) * np.eye(k)
    return np.asarray(np.log(joint / joint.sum(axis=1, keepdims=True)))
