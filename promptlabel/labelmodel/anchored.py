"""A log-linear model that starts as another estimator and moves as far from it as gold labels ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from promptlabel.labelmodel.base import Estimator, Labelled, tempering
from promptlabel.labelmodel.patterns import FloatArray, Patterns

RULE_SCALE = 0.7
SMALLEST_PROBABILITY = 1e-12


@dataclass
class Anchored:
    """p(k) ∝ exp(b_k + c log a_k + Σ_j d_j e_jk + t q_k), fitted to gold by MAP.

    a is the anchor's posterior, e the tempered votes, q the log evidence of the text where there is any.
    Priors: c and t ~ N(1, 1), b_k ~ N(0, 1), d_j ~ N(0, 0.7²). Without gold it is the anchor.
    """

    anchor: Estimator
    name: str = "anchored"

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:
        """Itself, with the weights that maximise the posterior of the gold labels (L-BFGS)."""
        self.anchor.fit(patterns, gold, balance)
        features = self._features(gold.patterns)
        prior = self._prior(features.shape[2], patterns)
        mean, scale = prior
        solution = minimize(_loss, mean, args=(features, gold.one_hot, mean, scale), jac=True, method="L-BFGS-B")
        self.weights = solution.x
        return self

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one."""
        return np.asarray(softmax(self._features(patterns) @ self.weights, axis=1))

    def _features(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K, p]: class indicators, the anchor, each rule's vote, the text."""
        u, k = len(patterns.votes), patterns.n_classes
        anchor = np.log(np.clip(self.anchor.predict_proba(patterns), SMALLEST_PROBABILITY, 1.0))
        weight = tempering(patterns.votes_per_row)[:, None, None]
        votes = patterns.design.toarray().reshape(u, patterns.n_rules, k).transpose(0, 2, 1) * weight
        parts = [np.broadcast_to(np.eye(k), (u, k, k)), anchor[:, :, None], votes]
        if patterns.text is not None:
            parts.append(patterns.text[:, :, None])
        return np.concatenate(parts, axis=2)

    def _prior(self, size: int, patterns: Patterns) -> tuple[FloatArray, FloatArray]:
        k, m = patterns.n_classes, patterns.n_rules
        mean, scale = np.zeros(size), np.ones(size)
        mean[k] = 1.0
        mean[k + 1 + m :] = 1.0
        scale[k + 1 : k + 1 + m] = RULE_SCALE
        return mean, scale


def _loss(
    weights: FloatArray, features: FloatArray, one_hot: FloatArray, mean: FloatArray, scale: FloatArray
) -> tuple[float, FloatArray]:
    """Minus the log posterior, and its gradient."""
    scores = features @ weights
    standard = (weights - mean) / scale
    loss = float((logsumexp(scores, axis=1) - (scores * one_hot).sum(axis=1)).sum() + standard @ standard / 2)
    residual = softmax(scores, axis=1) - one_hot
    return loss, np.tensordot(residual, features, axes=([0, 1], [0, 1])) + standard / scale
