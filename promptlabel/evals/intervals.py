"""Estimates with 95 % intervals for proportions, alone, in pairs and combined over strata."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Z95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the ends of its 95 % interval."""

    estimate: float
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def record(self) -> dict[str, float]:
        """The estimate as a JSON object."""
        return asdict(self)


def wilson(successes: float, n: float, z: float = Z95) -> Estimate:
    """The proportion `successes` / `n` with Wilson's score interval (1927); `n` may be an effective number.

    `z` is the normal quantile, by default that of a 95 % interval.

    Raises:
        ValueError: without any trial.
    """
    if n <= 0:
        raise ValueError("a proportion needs at least one trial")
    p = min(max(successes / n, 0.0), 1.0)
    spread = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n * n))
    centre, scale = p + z**2 / (2 * n), 1 + z**2 / n
    return Estimate(
        p, min(max((centre - spread) / scale, 0.0), p), max(min((centre + spread) / scale, 1.0), p)
    )


def paired(gains: float, losses: float, n: int) -> Estimate:
    """The difference of two paired proportions: (`gains` - `losses`) / `n`, with Bonett and Price's interval.

    `gains` counts the pairs that only the first has right, `losses` those that only the second has
    (Bonett & Price 2012, adjusted Wald).
    """
    if n <= 0:
        raise ValueError("a difference needs at least one pair")
    first, second = (gains + 1) / (n + 2), (losses + 1) / (n + 2)
    spread = Z95 * math.sqrt((first + second - (first - second) ** 2) / (n + 2))
    estimate = (gains - losses) / n
    return Estimate(
        estimate,
        max(min(first - second - spread, estimate), -1.0),
        min(max(first - second + spread, estimate), 1.0),
    )


def clustered(estimate: float, pull: Floats, most: int) -> Estimate:
    """A share made of cases that hold any number of decisions, with Wilson's interval on their effective number.

    Cases are independent, the decisions in a case are not: the effective number is p (1 - p) by the variance between
    cases (Korn & Graubard 1998), at most all decisions, and that of the cases where they do not vary at all.

    Args:
        estimate: the share.
        pull: how much each case moves it, times the number of cases: the case's own share for a mean, ``[n]``.
        most: decisions in a case.
    """
    n, variance = len(pull), _variance_of_mean(pull)
    effective = estimate * (1 - estimate) / variance if variance > 0 else float(n)
    effective = min(max(effective, 1.0), float(n * most))
    return wilson(estimate * effective, effective)


def clustered_difference(estimate: float, pull: Floats) -> Estimate:
    """A difference of two shares on the same cases, with the normal interval over cases; `pull` as in `clustered`."""
    spread = Z95 * math.sqrt(_variance_of_mean(pull))
    return Estimate(estimate, max(estimate - spread, -1.0), min(estimate + spread, 1.0))


def _variance_of_mean(values: Floats) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0


def difference(first: Estimate, second: Estimate) -> Estimate:
    """The first proportion minus an independent second one, their Wilson intervals combined (Newcombe 1998)."""
    estimate = first.estimate - second.estimate
    return Estimate(
        estimate,
        max(estimate - math.hypot(first.estimate - first.low, second.high - second.estimate), -1.0),
        min(estimate + math.hypot(first.high - first.estimate, second.estimate - second.low), 1.0),
    )


def mover(parts: Sequence[Estimate], weights: Sequence[float], sampled: Sequence[float]) -> Estimate:
    """The weighted sum of independent estimates, their intervals combined by MOVER.

    MOVER (Zou & Donner 2008) recovers each variance from the distance between a part and its limit, so the
    skew of Wilson intervals is kept. `sampled` is the share of each part's population that was
    looked at: a part seen whole adds no uncertainty.
    """
    total = sum(weights)
    terms = [
        (weight / total, part, math.sqrt(1 - min(share, 1.0)))
        for weight, part, share in zip(weights, parts, sampled, strict=True)
    ]
    estimate = sum(weight * part.estimate for weight, part, _ in terms)
    below = math.hypot(*(weight * unseen * (part.estimate - part.low) for weight, part, unseen in terms))
    above = math.hypot(*(weight * unseen * (part.high - part.estimate) for weight, part, unseen in terms))
    return Estimate(estimate, max(estimate - below, 0.0), min(estimate + above, 1.0))
