"""Batch calibration: a model's liking for some answers, whatever the trace, is taken out over many traces."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PSEUDO_TRACES: Final = 10
"""How many traces' worth of trust the uncalibrated shares get, so that a few traces are hardly shifted."""

_LEAST_LOG_PROB: Final = -60.0


def calibrate_batch(log_probs: Floats, target: Floats | None = None) -> Floats:
    """Probabilities ``[n, K]`` whose mean over the batch is the class balance, rows summing to one.

    One offset an answer is added to the log-probabilities, the same for all traces, so the order of traces by
    the odds of two answers never changes. The offsets b solve ``mean_i softmax(log_probs_i + b) = t`` with
    ``t = (n * target + 10 * m) / (n + 10)``, m being the mean of the uncalibrated probabilities: with few traces
    their shares say little about the class balance, and the shift goes to none.

    Source: batch calibration, Zhou et al. 2024 (arXiv 2309.17249), which subtracts the mean; contextual
    calibration, Zhao et al. 2021 (arXiv 2102.09690). Solving for the mean extends them to a known class balance.

    Args:
        log_probs: ``[n, K]``, natural logarithms, rows normalised or not; below -60 of a row's best counts as -60.
        target: ``[K]`` share of each answer, positive, summing to one; None for equal shares.

    Raises:
        ValueError: a shape, a value or the target is not as described.
    """
    scores = _checked_scores(log_probs)
    balance = _checked_target(target, scores.shape[1])
    if len(scores) == 0:
        return scores
    observed = _softmax(scores).mean(axis=0)
    wanted = (len(scores) * balance + PSEUDO_TRACES * observed) / (len(scores) + PSEUDO_TRACES)
    return _softmax(scores + _offsets(scores, wanted))


def _checked_scores(log_probs: Floats) -> Floats:
    """The scores, each row's best at zero."""
    scores = np.asarray(log_probs, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError(f"log_probs must be [n, K] with K >= 2, not of shape {scores.shape}")
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise ValueError("log_probs must be numbers below infinity")
    best = scores.max(axis=1, keepdims=True, initial=-np.inf)
    if np.isneginf(best).any():
        raise ValueError("a row of log_probs gives no answer any probability")
    return np.asarray(np.maximum(scores - best, _LEAST_LOG_PROB))


def _checked_target(target: Floats | None, answers: int) -> Floats:
    if target is None:
        return np.full(answers, 1 / answers)
    balance = np.asarray(target, dtype=np.float64)
    if balance.shape != (answers,):
        raise ValueError(f"target must have {answers} shares, not shape {balance.shape}")
    if not (balance > 0).all() or abs(balance.sum() - 1) > 1e-6:
        raise ValueError("target must be positive and sum to one")
    return balance


def _softmax(scores: Floats) -> Floats:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def _offsets(scores: Floats, wanted: Floats) -> Floats:
    """The offsets b, summing to zero, that minimise ``mean_i logsumexp(scores_i + b) - wanted . b``.

    The function is convex and its gradient is the mean softmax less `wanted`, so the minimum is the calibration.
    Damping in the direction of equal offsets, which change nothing, makes the minimum unique.
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    answers = len(wanted)

    def value_and_slope(offsets: Floats) -> tuple[float, Floats]:
        shifted = scores + offsets
        value = logsumexp(shifted, axis=1).mean() - wanted @ offsets + offsets.sum() ** 2 / 2
        return float(value), _softmax(shifted).mean(axis=0) - wanted + offsets.sum()

    def curvature(offsets: Floats) -> Floats:
        probabilities = _softmax(scores + offsets)
        return (
            np.diag(probabilities.mean(axis=0))
            - probabilities.T @ probabilities / len(scores)
            + np.ones((answers, answers))
        )

    start = np.log(wanted) - np.log(_softmax(scores).mean(axis=0))
    solved = minimize(
        value_and_slope,
        start - start.mean(),
        jac=True,
        hess=curvature,
        method="trust-exact",
        options={"gtol": 1e-9},
    )
    return np.asarray(solved.x, dtype=np.float64)
