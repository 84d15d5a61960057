"""How far an eval set trails production, against what chance alone would show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.periods import month
from promptlabel.flywheel.topics import Topics
from promptlabel.records import Trace

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PERMUTATIONS: Final = 2_000
WINDOW: Final = timedelta(days=30)
ALARM: Final = 0.05
"""Of sets that trail in nothing at most this share is called stale, whatever the number of attributes."""
BANDS: Final = 5
"""Lengths are compared in so many bands of equal numbers of texts."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Jensen-Shannon divergence of two samples of one attribute, in bits.

    Attributes:
        expected: its mean under a random split of the pooled samples; never zero.
        excess: observed minus expected; about zero without drift.
        p_value: share of random splits that diverge more, ties settled by lot, so that it is below any level
            exactly as often as that where nothing has drifted.
        psi: the population stability index, which folklore calls drift above 0.1 at any sample size.
    """

    observed: float
    expected: float
    p_value: float
    psi: float = 0.0

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
        length: divergence of lengths from recent traces, likewise.
        model: divergence of the models that answered, where traces say so.
        topic: divergence of clusters of text, None where there is too little text.
        new_topics: clusters that recent traces have and earlier ones had hardly.
        covered: those of them with at least one case.
        trails_in: attributes in which the set trails beyond chance, at 5 % over all of them (Holm 1979).
    """

    cases: int
    recent: int
    category: Divergence | None
    month: Divergence | None
    median_age_days: float | None
    length: Divergence | None = None
    model: Divergence | None = None
    topic: Divergence | None = None
    new_topics: tuple[str, ...] = ()
    covered: tuple[str, ...] = ()
    trails_in: tuple[str, ...] = field(default=())


def freshness(
    cases: Sequence[Trace],
    production: Sequence[Trace],
    rng: np.random.Generator,
    topics: Topics | None = None,
    window: timedelta = WINDOW,
) -> Freshness:
    """How far the cases trail production; traces that are cases themselves do not count as production.

    Args:
        cases: the traces of the set.
        production: all traces, or a random sample of them.
        rng: for the null distributions.
        topics: clusters of the texts of cases and production; None leaves them out.
        window: how far back recent traces go from the newest.
    """
    taken = {case.trace_id for case in cases}
    others = [trace for trace in production if trace.trace_id not in taken]
    newest = max((trace.timestamp for trace in production if trace.timestamp), default=None)
    recent = [trace for trace in others if within(trace, newest, window)]
    found = {
        "category": divergence([_category(one) for one in cases], [_category(one) for one in recent], rng),
        "length": _length_divergence(cases, recent, rng),
        "model": _model_divergence(cases, recent, rng),
        "topic": divergence(topics.of(cases), topics.of(recent), rng) if topics else None,
    }
    new = topics.new(recent, [one for one in others if not within(one, newest, window)]) if topics else ()
    met = set(topics.of(cases)) if topics else set()
    return Freshness(
        cases=len(cases),
        recent=len(recent),
        month=divergence([month(one) for one in cases], [month(one) for one in others], rng)
        if newest
        else None,
        median_age_days=_median_age(cases, newest),
        new_topics=new,
        covered=tuple(name for name in new if name in met),
        trails_in=beyond_chance(found),
        **found,
    )


def beyond_chance(found: Mapping[str, Divergence | None]) -> tuple[str, ...]:
    """The names of the divergences that stand Holm's correction (1979) at the level `ALARM` over all of them."""
    ranked = sorted((one.p_value, name) for name, one in found.items() if one is not None)
    stale: list[str] = []
    for place, (p_value, name) in enumerate(ranked):
        if p_value > ALARM / (len(ranked) - place):
            break
        stale.append(name)
    return tuple(stale)


def divergence(first: Sequence[str], second: Sequence[str], rng: np.random.Generator) -> Divergence | None:
    """How two samples of an attribute diverge, with its permutation null; None where one is empty.

    Folklore thresholds (PSI above 0.1) fire on small samples without any drift; the null is what
    the same sample sizes give when both come from one population.
    """
    if not first or not second:
        return None
    _, index = np.unique([*first, *second], return_inverse=True)
    kinds = int(index.max()) + 1
    ours, theirs = index[: len(first)], index[len(first) :]
    return divergence_of_counts(np.bincount(ours, minlength=kinds), np.bincount(theirs, minlength=kinds), rng)


def divergence_of_counts(first: Counts, second: Counts, rng: np.random.Generator) -> Divergence:
    """As `divergence`, of how many of each kind there are in two samples, ``[K]`` each and neither empty."""
    pooled = first + second
    drawn = rng.multivariate_hypergeometric(pooled, int(first.sum()), size=PERMUTATIONS, method="marginals")
    null = jensen_shannon(drawn, pooled - drawn)
    value = float(jensen_shannon(first[None, :], second[None, :])[0])
    above, ties = int((null > value + 1e-12).sum()), int((np.abs(null - value) <= 1e-12).sum())
    p_value = (above + rng.random() * (ties + 1)) / (PERMUTATIONS + 1)
    return Divergence(value, float(null.mean()), float(p_value), stability_index(first, second))


def jensen_shannon(first: Counts, second: Counts) -> Floats:
    """Jensen-Shannon divergence in bits of each pair of rows of counts, ``[r, K]`` and ``[r, K]`` to ``[r]``."""
    p, q = (counts / counts.sum(axis=1, keepdims=True) for counts in (first, second))
    return np.asarray(_entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2, dtype=np.float64)


def stability_index(first: Counts, second: Counts) -> float:
    """The population stability index of two rows of counts ``[K]``, an empty cell counted as half a trace."""
    p, q = (np.maximum(counts, 0.5) / counts.sum() for counts in (first, second))
    return float(((p - q) * np.log(p / q)).sum())


def within(trace: Trace, newest: datetime | None, window: timedelta = WINDOW) -> bool:
    """Whether the trace lies in the window that ends with the newest; all do where no trace has a time."""
    if newest is None:
        return True
    return trace.timestamp is not None and trace.timestamp > newest - window


def _length_divergence(
    cases: Sequence[Trace], recent: Sequence[Trace], rng: np.random.Generator
) -> Divergence | None:
    lengths = [np.array([len(trace.transcript) for trace in traces]) for traces in (cases, recent)]
    if not len(lengths[0]) or not len(lengths[1]) or not any(part.any() for part in lengths):
        return None
    edges = np.quantile(np.concatenate(lengths), np.arange(1, BANDS) / BANDS)
    first, second = ([str(band) for band in np.searchsorted(edges, part)] for part in lengths)
    return divergence(first, second, rng)


def _model_divergence(
    cases: Sequence[Trace], recent: Sequence[Trace], rng: np.random.Generator
) -> Divergence | None:
    first, second = ([_model(trace) for trace in traces] for traces in (cases, recent))
    return divergence(first, second, rng) if any([*first, *second]) else None


def _entropy(p: Floats) -> Floats:
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=1), dtype=np.float64)


def _median_age(cases: Sequence[Trace], newest: datetime | None) -> float | None:
    ages = [(newest - case.timestamp) / timedelta(days=1) for case in cases if newest and case.timestamp]
    return float(np.median(ages)) if ages else None


def _category(trace: Trace) -> str:
    return trace.category or "none"


def _model(trace: Trace) -> str:
    return next((str(trace.metadata[key]) for key in _MODEL_KEYS if key in trace.metadata), "")


_MODEL_KEYS: Final = ("model", "gen_ai.response.model", "gen_ai.request.model", "llm.model_name")
