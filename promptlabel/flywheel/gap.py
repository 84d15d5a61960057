"""How far the worst category lies below the best, without the bias of picking extremes from noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.intervals import Estimate, wilson

Floats = npt.NDArray[np.float64]

RESAMPLES: Final = 4_000
FEWEST_CASES: Final = 5


@dataclass(frozen=True, slots=True)
class Category:
    """One category's accuracy: as counted, and shrunken towards the mean of all.

    Attributes:
        interval: of the counted accuracy; those of all categories hold together in 95 % of samples (Sidak).
    """

    name: str
    n: int
    accuracy: float
    shrunken: float
    interval: Estimate


@dataclass(frozen=True, slots=True)
class Gap:
    """Worst against best category.

    Attributes:
        gap: the shrunken gap and an interval that holds the true gap.
        naive: largest minus smallest counted accuracy, which is large even where all are equal.
        categories: worst first.
    """

    gap: Estimate
    naive: float
    best: str
    worst: str
    categories: tuple[Category, ...]

    @property
    def is_real(self) -> bool:
        """Whether the interval excludes zero."""
        return self.gap.low > 0


def category_gap(
    categories: Sequence[str], right: npt.NDArray[np.bool_], rng: np.random.Generator
) -> Gap | None:
    """The gap between the best and the worst category, or None with fewer than two of enough cases.

    The point is the range of empirical-Bayes estimates, each category shrunken towards the mean by the
    share of its variance that is sampling noise. The interval comes from simultaneous bands on all
    pairwise differences, their width from a parametric bootstrap of the largest studentised
    difference: where all categories are equal it excludes zero in at most 5 % of samples,
    however many there are.

    Args:
        categories: the category of each case, ``[n]``.
        right: whether the labeler was right on each, ``[n]``.
        rng: for the bootstrap.
    """
    names, index = np.unique(np.array(categories, dtype=object).astype(str), return_inverse=True)
    n, hits = np.bincount(index), np.bincount(index, weights=right)
    enough = n >= FEWEST_CASES
    if enough.sum() < 2:
        return None
    names, n, hits = names[enough], n[enough], hits[enough]
    counted, shrunken = hits / n, shrink(hits, n)
    order = np.argsort(shrunken, kind="stable")
    together = NormalDist().inv_cdf((1 + 0.95 ** (1 / len(n))) / 2)
    return Gap(
        gap=_gap_interval(counted, shrunken, n, rng),
        naive=float(np.ptp(counted)),
        best=str(names[order[-1]]),
        worst=str(names[order[0]]),
        categories=tuple(
            Category(
                str(names[c]),
                int(n[c]),
                float(counted[c]),
                float(shrunken[c]),
                wilson(float(hits[c]), float(n[c]), together),
            )
            for c in order
        ),
    )


def shrink(hits: npt.NDArray[np.number], n: npt.NDArray[np.integer]) -> Floats:
    """Empirical-Bayes proportions ``[C]``: moments estimate of the variance between categories, then shrinkage."""
    pooled = hits.sum() / n.sum()
    noise = pooled * (1 - pooled) / n
    spread = max(float(np.var(hits / n, ddof=1) - noise.mean()), 0.0)
    kept = spread / np.maximum(spread + noise, 1e-300)
    return np.asarray(pooled + kept * (hits / n - pooled), dtype=np.float64)


def _gap_interval(
    counted: Floats, shrunken: Floats, n: npt.NDArray[np.integer], rng: np.random.Generator
) -> Estimate:
    rates = (shrunken * n + 1) / (n + 2)
    errors = _pair_errors(rates, n)
    width = errors * _largest_deviation(rates, n, errors, rng)
    distance = np.abs(counted[:, None] - counted[None, :])
    estimate = float(np.ptp(shrunken))
    low, high = float((distance - width).max()), float((distance + width).max())
    return Estimate(estimate, min(max(low, 0.0), estimate), max(min(high, 1.0), estimate))


def _pair_errors(rates: Floats, n: npt.NDArray[np.integer]) -> Floats:
    variance = rates * (1 - rates) / n
    return np.asarray(np.sqrt(variance[:, None] + variance[None, :]), dtype=np.float64)


def _largest_deviation(
    rates: Floats, n: npt.NDArray[np.integer], errors: Floats, rng: np.random.Generator
) -> float:
    deviations = rng.binomial(n, rates, size=(RESAMPLES, len(n))) / n - rates
    largest = np.zeros(RESAMPLES)
    for one, scale in zip(deviations.T, errors, strict=True):
        largest = np.maximum(largest, (np.abs(deviations - one[:, None]) / scale).max(axis=1))
    return float(np.quantile(largest, 0.95))
