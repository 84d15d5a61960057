"""A log-linear model that starts as another estimator and moves as far from it as gold labels ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from promptlabel.labelmodel.base import Estimator, Labelled, tempering
from promptlabel.labelmodel.cross_fitting import held_out_proba
from promptlabel.labelmodel.patterns import FloatArray, Patterns

ANCHOR_SCALE, TEXT_SCALE, BIAS_SCALE, RULE_SCALE = 0.5, 1.0, 0.5, 0.7
SMALLEST_PROBABILITY = 1e-12


@dataclass
class Anchored:
    """p(k) ∝ exp(b_k + c log a_k + t q_k + Σ_j (d_j + d_jk) e_jk), fitted to gold by MAP with L-BFGS.

    a is the anchor's posterior, q the log evidence of the text (zero without text), e the tempered votes.
    Priors: c ~ N(1, ½²), t ~ N(1, 1), b_k ~ N(0, ½²), d_j and d_jk ~ N(0, 0.7²). Without gold it is anchor
    plus text.
    The anchor sees the gold too; for the fit, its posterior of a labelled row is one that did not.
    """

    make_anchor: Callable[[], Estimator]
    name: str = "anchored"

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:
        """Itself, with the weights that maximise the posterior of the gold labels."""
        self.anchor = self.make_anchor().fit(patterns, gold, balance)
        unseen = held_out_proba(self.make_anchor, patterns, gold, lambda _: balance)
        model = _LogLinear(gold.patterns, unseen)
        mean, scale = _prior(patterns.n_rules, patterns.n_classes)
        if len(gold):
            self.weights = minimize(
                _loss, mean, args=(model, gold.one_hot, mean, scale), jac=True, method="L-BFGS-B"
            ).x
        else:
            self.weights = mean
        return self

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one."""
        model = _LogLinear(patterns, self.anchor.predict_proba(patterns))
        return np.asarray(softmax(model.scores(self.weights), axis=1))


class _LogLinear:
    """Scores of rows and their gradient; weights are [c, t, b (K), d (m), d by class (m*K)]."""

    def __init__(self, patterns: Patterns, anchor: FloatArray) -> None:
        k, self.n_rules = patterns.n_classes, patterns.n_rules
        self.log_anchor = np.log(np.clip(anchor, SMALLEST_PROBABILITY, 1.0))
        self.text = np.zeros_like(anchor) if patterns.text is None else patterns.text
        self.votes = sp.csr_array(patterns.design * tempering(patterns.votes_per_row)[:, None])
        self.own_class = np.tile(np.eye(k), (self.n_rules, 1))

    def scores(self, weights: FloatArray) -> FloatArray:
        """Float array [rows, K]."""
        anchor, text, bias, by_rule, by_class = self._parts(weights)
        votes = self.votes @ ((np.repeat(by_rule, len(bias)) + by_class)[:, None] * self.own_class)
        return np.asarray(anchor * self.log_anchor + text * self.text + bias + votes)

    def gradient(self, residual: FloatArray) -> FloatArray:
        """The gradient with respect to the weights, from that with respect to the scores [rows, K]."""
        by_class = ((self.votes.T @ residual) * self.own_class).sum(axis=1)
        by_rule = by_class.reshape(self.n_rules, -1).sum(axis=1)
        shared = [(residual * self.log_anchor).sum(), (residual * self.text).sum()]
        return np.concatenate([shared, residual.sum(axis=0), by_rule, by_class])

    def _parts(self, weights: FloatArray) -> tuple[float, float, FloatArray, FloatArray, FloatArray]:
        k = self.own_class.shape[1]
        bias, by_rule, by_class = np.split(weights[2:], [k, k + self.n_rules])
        return weights[0], weights[1], bias, by_rule, by_class


def _prior(n_rules: int, n_classes: int) -> tuple[FloatArray, FloatArray]:
    rules = n_rules * (1 + n_classes)
    mean = np.concatenate([[1.0, 1.0], np.zeros(n_classes + rules)])
    scale = np.repeat([ANCHOR_SCALE, TEXT_SCALE, BIAS_SCALE, RULE_SCALE], [1, 1, n_classes, rules])
    return mean, scale


def _loss(
    weights: FloatArray, model: _LogLinear, one_hot: FloatArray, mean: FloatArray, scale: FloatArray
) -> tuple[float, FloatArray]:
    """Minus the log posterior, and its gradient."""
    scores = model.scores(weights)
    standard = (weights - mean) / scale
    surprise = (logsumexp(scores, axis=1) - (scores * one_hot).sum(axis=1)).sum()
    residual = softmax(scores, axis=1) - one_hot
    return float(surprise + standard @ standard / 2), model.gradient(residual) + standard / scale
