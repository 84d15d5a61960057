"""How far probabilities can be trusted: log loss, Brier score, calibration error, reliability, temperature."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax

from promptlabel.labelmodel.patterns import FloatArray

BINS = 15
SMALLEST_PROBABILITY = 1e-6
EXPONENT_BOUNDS = (-3.0, 3.0)
SHRINKING_LABELS = 100.0


class ReliabilityBin(TypedDict):
    """Rows of one band of confidence: how many, how confident and how often right on average."""

    count: int
    confidence: float
    accuracy: float


def correctness(probabilities: FloatArray, labels: NDArray[np.int64]) -> FloatArray:
    """Float array [n]: one where the likeliest class is right, 1/t where it is among t equally likely ones."""
    best = probabilities >= probabilities.max(axis=1, keepdims=True) - 1e-9
    return np.asarray(best[np.arange(len(labels)), labels] / best.sum(axis=1))


def row_losses(probabilities: FloatArray, labels: NDArray[np.int64]) -> FloatArray:
    """Float array [n]: minus the natural log of each label's probability, which counts as 1e-6 at least."""
    return -np.log(np.clip(probabilities[np.arange(len(labels)), labels], SMALLEST_PROBABILITY, 1.0))


def log_loss(probabilities: FloatArray, labels: NDArray[np.int64]) -> float:
    """The mean of `row_losses`, in nats."""
    return float(row_losses(probabilities, labels).mean())


def brier_score(probabilities: FloatArray, labels: NDArray[np.int64]) -> float:
    """The mean squared distance, over all classes, to the one-hot labels: 0 is perfect, 2 the worst."""
    return float(((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1).mean())


def reliability(
    probabilities: FloatArray, labels: NDArray[np.int64], bins: int = BINS
) -> list[ReliabilityBin]:
    """The reliability curve in bands of equal width; bands without rows are left out."""
    confidence, right = probabilities.max(axis=1), correctness(probabilities, labels)
    band = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        ReliabilityBin(
            count=int((band == b).sum()),
            confidence=float(confidence[band == b].mean()),
            accuracy=float(right[band == b].mean()),
        )
        for b in np.unique(band)
    ]


def calibration_error(probabilities: FloatArray, labels: NDArray[np.int64], bins: int = BINS) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy over bands of confidence.

    It is above zero by chance alone: about .04 for perfect probabilities on some hundred rows.
    """
    curve = reliability(probabilities, labels, bins)
    gaps = [band["count"] * abs(band["confidence"] - band["accuracy"]) for band in curve]
    return float(sum(gaps) / len(labels))


def fit_exponent(probabilities: FloatArray, labels: NDArray[np.int64]) -> float:
    """The exponent t for which `tempered(probabilities, t)` is as confident on average as it is right.

    With g labels it is shrunk to the power g / (g + 100), so that a few cannot move it far. Judges that err
    together make the least log loss a poor guide: it is bought with confidence where the votes agree.
    """
    labelled = len(labels)
    accuracy = float(correctness(probabilities, labels).mean())
    matched = confidence_exponent(probabilities, np.ones(labelled), accuracy)
    return float(matched ** (labelled / (labelled + SHRINKING_LABELS)))


def confidence_exponent(probabilities: FloatArray, counts: FloatArray, confidence: float) -> float:
    """The exponent t for which `tempered(probabilities, t)` has the given mean confidence over all traces.

    One where no exponent between 1/20 and 20 reaches it.
    """

    def gap(log_exponent: float) -> float:
        tried = tempered(probabilities, float(np.exp(log_exponent)))
        return float(counts @ tried.max(axis=1) / counts.sum()) - confidence

    low, high = EXPONENT_BOUNDS
    return float(np.exp(brentq(gap, low, high))) if gap(low) < 0 < gap(high) else 1.0


def tempered(probabilities: FloatArray, exponent: float) -> FloatArray:
    """Probabilities raised to `exponent` and renormalised: below one makes them humbler."""
    log_probabilities = np.log(np.clip(probabilities, SMALLEST_PROBABILITY**2, 1.0))
    return np.asarray(softmax(exponent * log_probabilities, axis=1))
