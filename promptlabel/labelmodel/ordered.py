"""Labels in order, such as 1 to 5 stars: what to decide and how far off it is, a near miss costing less."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptlabel.labelmodel.patterns import FloatArray

Labels = NDArray[np.int64]

LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class OrderedFigures:
    """Decisions beside gold, of labels in order.

    Attributes:
        distance: how many classes off on average.
        kappa: agreement beyond chance, misses weighed by their squared distance; None where it is not defined.
    """

    distance: float
    kappa: float | None


def ordered_figures_of(decided: NDArray[np.integer], gold: Labels, n_classes: int) -> OrderedFigures | None:
    """The figures over rows where both are known (0 or more), None without any."""
    judged = (decided >= 0) & (gold >= 0)
    if not judged.any():
        return None
    said, given = decided[judged].astype(np.int64), gold[judged]
    kappa = quadratic_kappa(said, given, n_classes)
    return OrderedFigures(mean_distance(said, given), None if np.isnan(kappa) else kappa)


def expected_rank(probabilities: FloatArray) -> FloatArray:
    """Float array [n]: the mean class index under each row of probabilities [n, K], from 0 to K-1."""
    return np.asarray(probabilities @ np.arange(probabilities.shape[1]))


def median_class(probabilities: FloatArray) -> Labels:
    """Int array [n]: the class of least expected distance, the lower one of two that are as good."""
    return np.asarray((probabilities.cumsum(axis=1) < 0.5 - 1e-9).sum(axis=1))


def ranked_probability_score(probabilities: FloatArray, labels: Labels) -> float:
    """The mean squared distance of cumulative probabilities; a proper score. Source: Epstein 1969.

    Zero is perfect, K-1 the worst. On two classes it is half the Brier score.
    """
    steps = np.eye(probabilities.shape[1])[labels].cumsum(axis=1)
    return float(((probabilities.cumsum(axis=1) - steps) ** 2).sum(axis=1).mean())


def threshold_losses(probabilities: FloatArray, labels: Labels) -> FloatArray:
    """Float array [n]: the log loss of "above class k?", averaged over the K-1 thresholds k; on two classes the log loss.

    A proper score that counts a near miss less than a far one, on the scale of a log loss.
    """
    above = np.clip(1 - probabilities.cumsum(axis=1)[:, :-1], LEAST, 1 - LEAST)
    is_above = labels[:, np.newaxis] > np.arange(probabilities.shape[1] - 1)
    return np.asarray(-np.log(np.where(is_above, above, 1 - above)).mean(axis=1))


def mean_distance(decided: Labels, labels: Labels) -> float:
    """How many classes decisions are off on average."""
    return float(np.abs(decided - labels).mean())


def quadratic_kappa(decided: Labels, labels: Labels, n_classes: int) -> float:
    """Agreement beyond chance, misses weighed by their squared distance; NaN where both are one same class.

    Source: Cohen 1968, weighted kappa.
    """
    seen = np.zeros((n_classes, n_classes))
    np.add.at(seen, (decided, labels), 1.0 / len(labels))
    ranks = np.arange(n_classes)
    cost = (ranks[:, np.newaxis] - ranks) ** 2
    by_chance = float((cost * np.outer(seen.sum(axis=1), seen.sum(axis=0))).sum())
    return 1.0 - float((cost * seen).sum()) / by_chance if by_chance > 0 else float("nan")
