"""How far an eval set trails production, against what chance alone would show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.periods import month
from promptlabel.records import Trace

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PERMUTATIONS: Final = 2_000
WINDOW: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Divergence:
    """Jensen-Shannon divergence of two samples of one attribute, in bits.

    Attributes:
        expected: its mean under a random split of the pooled samples; never zero.
        excess: observed minus expected; about zero without drift.
        p_value: share of random splits that diverge at least as much.
    """

    observed: float
    expected: float
    p_value: float

    @property
    def excess(self) -> float:
        """Divergence beyond chance."""
        return self.observed - self.expected


@dataclass(frozen=True, slots=True)
class Freshness:
    """How an eval set stands to production.

    Attributes:
        category: divergence of categories from the traces of the last 30 days, None without any.
        month: divergence of months from all traces, None without times.
        median_age_days: from the cases' time to the newest trace.
        recent: number of traces in the last 30 days before the newest.
    """

    cases: int
    recent: int
    category: Divergence | None
    month: Divergence | None
    median_age_days: float | None


def freshness(cases: Sequence[Trace], production: Sequence[Trace], rng: np.random.Generator) -> Freshness:
    """How far the cases trail production; traces that are cases themselves do not count as production."""
    taken = {case.trace_id for case in cases}
    others = [trace for trace in production if trace.trace_id not in taken]
    newest = max((trace.timestamp for trace in production if trace.timestamp), default=None)
    recent = [trace for trace in others if _within(trace, newest)]
    return Freshness(
        cases=len(cases),
        recent=len(recent),
        category=divergence([_category(one) for one in cases], [_category(one) for one in recent], rng),
        month=divergence([month(one) for one in cases], [month(one) for one in others], rng)
        if newest
        else None,
        median_age_days=_median_age(cases, newest),
    )


def divergence(first: Sequence[str], second: Sequence[str], rng: np.random.Generator) -> Divergence | None:
    """How two samples of an attribute diverge, with its permutation null; None where one is empty.

    Folklore thresholds (PSI above 0.1) fire on small samples without any drift; the null is what
    the same sample sizes give when both come from one population.
    """
    if not first or not second:
        return None
    _, index = np.unique([*first, *second], return_inverse=True)
    kinds = int(index.max()) + 1
    observed, pooled = np.bincount(index[: len(first)], minlength=kinds), np.bincount(index, minlength=kinds)
    drawn = rng.multivariate_hypergeometric(pooled, len(first), size=PERMUTATIONS, method="marginals")
    null = jensen_shannon(drawn, pooled - drawn)
    value = float(jensen_shannon(observed[None, :], (pooled - observed)[None, :])[0])
    as_extreme = int((null >= value - 1e-12).sum())
    return Divergence(value, float(null.mean()), (1 + as_extreme) / (1 + PERMUTATIONS))


def jensen_shannon(first: Counts, second: Counts) -> Floats:
    """Jensen-Shannon divergence in bits of each pair of rows of counts, ``[r, K]`` and ``[r, K]`` to ``[r]``."""
    p, q = (counts / counts.sum(axis=1, keepdims=True) for counts in (first, second))
    return np.asarray(_entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2, dtype=np.float64)


def _entropy(p: Floats) -> Floats:
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=1), dtype=np.float64)


def _within(trace: Trace, newest: datetime | None) -> bool:
    if newest is None:
        return True
    return trace.timestamp is not None and trace.timestamp > newest - WINDOW


def _median_age(cases: Sequence[Trace], newest: datetime | None) -> float | None:
    ages = [(newest - case.timestamp) / timedelta(days=1) for case in cases if newest and case.timestamp]
    return float(np.median(ages)) if ages else None


def _category(trace: Trace) -> str:
    return trace.category or "none"
