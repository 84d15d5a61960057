"""How far reviewers agree: raw agreement, Krippendorff's alpha and Gwet's AC1, each with an interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promptlabel.records import ABSTAIN, ReviewEvent
from promptlabel.review.adjudication import PROBE

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the 95 % interval around it; all three are NaN where the figure is undefined."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement on `items` items that two or more reviewers labelled.

    None of the three is enough alone: alpha falls when one label is rare although people agree, AC1
    flatters when one label is common.
    """

    items: int
    raw: Interval
    alpha: Interval
    ac1: Interval


def agreement(
    ratings: npt.NDArray[np.int64], n_classes: int, rng: np.random.Generator, *, samples: int = 1000
) -> Agreement:
    """The three coefficients of `ratings`, int ``[items, reviewers]`` with -1 for none.

    Intervals are percentiles of `samples` bootstrap samples of items.
    """
    counts = label_counts(ratings, n_classes)
    counts = counts[counts.sum(axis=1) >= 2]
    draws = (
        rng.integers(0, len(counts), size=(samples, len(counts))) if len(counts) else np.empty((0, 0), int)
    )
    raw, alpha, ac1 = (
        _with_interval(statistic, counts, draws)
        for statistic in (raw_agreement, krippendorff_alpha, gwet_ac1)
    )
    return Agreement(len(counts), raw, alpha, ac1)


def ratings_of(
    events: Sequence[ReviewEvent], labels: Sequence[str]
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Reviewers, and int ``[traces, reviewers]`` of the first label each gave blind, -1 for none.

    Undone and changed labels count as first given: agreement measures judgement, not what was settled. Probes are
    left out: they are traces on which people agree.
    """
    given = [event for event in first_blind_labels(events) if event.label in labels and event.lane != PROBE]
    reviewers = tuple(sorted({event.reviewer for event in given}))
    rows = {trace_id: row for row, trace_id in enumerate(dict.fromkeys(event.trace_id for event in given))}
    ratings = np.full((len(rows), len(reviewers)), ABSTAIN, dtype=np.int64)
    for event in given:
        ratings[rows[event.trace_id], reviewers.index(event.reviewer)] = labels.index(event.label or "")
    return reviewers, ratings


def first_blind_labels(events: Sequence[ReviewEvent]) -> tuple[ReviewEvent, ...]:
    """The first label that each reviewer gave blind to each trace, in order."""
    first: dict[tuple[str, str], ReviewEvent] = {}
    for event in events:
        if event.action == "label" and event.blind:
            first.setdefault((event.trace_id, event.reviewer), event)
    return tuple(first.values())


def one_against_rest(ratings: npt.NDArray[np.int64], label: int) -> npt.NDArray[np.int64]:
    """The same ratings as whether they are that label, 1 or 0, and -1 for none."""
    return np.where(ratings == ABSTAIN, ABSTAIN, (ratings == label).astype(np.int64))


def label_counts(ratings: npt.NDArray[np.int64], n_classes: int) -> Counts:
    """Float ``[items, K]``: how many reviewers gave each label."""
    return np.stack([(ratings == label).sum(axis=1) for label in range(n_classes)], axis=1).astype(float)


def raw_agreement(counts: Counts) -> float:
    """The mean share of pairs of reviewers of an item that agree; NaN without pairs."""
    return float(np.mean(_pair_agreement(counts))) if len(counts) else float("nan")


def krippendorff_alpha(counts: Counts) -> float:
    """Alpha for nominal labels (Krippendorff 2011), NaN where only one label was ever given."""
    raters = counts.sum(axis=1)
    totals = counts.sum(axis=0)
    values = totals.sum()
    expected = values**2 - (totals**2).sum()
    if expected == 0:
        return float("nan")
    observed = ((raters**2 - (counts**2).sum(axis=1)) / (raters - 1)).sum()
    return float(1 - (values - 1) * observed / expected)


def gwet_ac1(counts: Counts) -> float:
    """AC1 for any number of reviewers (Gwet 2008), NaN without pairs."""
    if not len(counts):
        return float("nan")
    share = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
    chance = (share * (1 - share)).sum() / (counts.shape[1] - 1)
    return float((raw_agreement(counts) - chance) / (1 - chance))


def _pair_agreement(counts: Counts) -> npt.NDArray[np.float64]:
    raters = counts.sum(axis=1)
    agreeing: npt.NDArray[np.float64] = (counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))
    return agreeing


def _with_interval(
    statistic: Callable[[Counts], float], counts: Counts, draws: npt.NDArray[np.int64]
) -> Interval:
    figures = np.array([statistic(counts[draw]) for draw in draws])
    figures = figures[~np.isnan(figures)]
    low, high = np.quantile(figures, [0.025, 0.975]) if len(figures) else (np.nan, np.nan)
    return Interval(statistic(counts), float(low), float(high))
