"""Where a labeler says a label too often, whether that grows from cycle to cycle, and whose traces there are too many of.

A loop whose labels are miscalibrated by a bounded amount a step stays bounded (Taori & Hashimoto 2023): so it is this
amount that is watched, in every category and cycle, against people's decisions on traces drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.intervals import Estimate, paired

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

FEWEST_AUDITED: Final = 10
"""Audited traces from which a cell's rates are given."""
FEWEST_CYCLES: Final = 3
LEVEL: Final = 0.05
"""How often growth is reported where there is none, over all categories and labels of a task together."""
RESAMPLES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One label in one category and cycle.

    Attributes:
        predicted: the share of all traces of the cell that the labeler gives the label.
        audited: the share among those drawn at random to which people gave it.
        gap: how much more often the labeler says it than people do, on the same audited traces, with its interval.
    """

    category: str
    cycle: str
    label: str
    traces: int
    n: int
    predicted: float
    audited: float
    gap: Estimate


@dataclass(frozen=True, slots=True)
class Growth:
    """How the gap of a label in a category changes a cycle, and how likely so much would be by chance."""

    category: str
    label: str
    slope: Estimate
    p: float


@dataclass(frozen=True, slots=True)
class Amplification:
    """All cells, and the gaps that grow beyond chance, worst first."""

    cells: tuple[Cell, ...]
    growing: tuple[Growth, ...]

    def record(self) -> dict[str, Any]:
        """The figures as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Labelled:
    """The traces of a task as the labeler and people see them, ``[n]`` each.

    Attributes:
        predicted: the labeler's label.
        audited: what people gave to those that were drawn at random, None for the rest.
    """

    categories: Sequence[str]
    cycles: Sequence[str]
    predicted: Sequence[str]
    audited: Sequence[str | None]


def amplification(labelled: Labelled, labels: Sequence[str]) -> Amplification:
    """Predicted beside audited rates in every category and cycle, and where the gap between them grows.

    Of two labels one is enough: the other's gap is its negative.
    """
    watched = labels[:1] if len(labels) == 2 else labels
    cells = tuple(cell for label in watched for cell in _cells(labelled, label))
    series: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        series.setdefault((cell.category, cell.label), []).append(cell)
    grown = [growth for same in series.values() if (growth := _growth(same))]
    alarming = [one for one in grown if one.p <= LEVEL / len(grown)]
    return Amplification(cells, tuple(sorted(alarming, key=lambda one: one.p)))


def _cells(labelled: Labelled, label: str) -> Iterator[Cell]:
    said = np.array([one == label for one in labelled.predicted], dtype=bool)
    known = np.array([one is not None for one in labelled.audited], dtype=bool)
    given = np.array([one == label for one in labelled.audited], dtype=bool)
    keys = list(zip(labelled.categories, labelled.cycles, strict=True))
    for key in sorted(set(keys)):
        inside = np.array([one == key for one in keys], dtype=bool)
        audited = inside & known
        n = int(audited.sum())
        if n >= FEWEST_AUDITED:
            more, less = int((said & ~given & audited).sum()), int((given & ~said & audited).sum())
            shares = float(said[inside].mean()), float(given[audited].mean())
            yield Cell(*key, label, int(inside.sum()), n, *shares, paired(more, less, n))


def _growth(cells: Sequence[Cell]) -> Growth | None:
    """The weighted regression of a gap's size on the cycle, with the sign of the last gap."""
    if len(cells) < FEWEST_CYCLES:
        return None
    gaps = np.array([cell.gap.estimate for cell in cells]) * (np.sign(cells[-1].gap.estimate) or 1.0)
    errors = np.array([(cell.gap.high - cell.gap.low) / (2 * 1.96) for cell in cells])
    slope, error = _slope(np.arange(len(cells), dtype=np.float64), gaps, np.maximum(errors, 1e-6))
    p = math.erfc(max(slope / error, 0.0) / math.sqrt(2))
    return Growth(
        cells[0].category, cells[0].label, Estimate(slope, slope - 1.96 * error, slope + 1.96 * error), p
    )


def _slope(x: Floats, y: Floats, errors: Floats) -> tuple[float, float]:
    """Weighted least squares with known errors: the slope and its standard error."""
    weights = 1 / errors**2
    centred = x - np.average(x, weights=weights)
    scale = float((weights * centred**2).sum())
    return float((weights * centred * y).sum()) / scale, 1 / math.sqrt(scale)


@dataclass(frozen=True, slots=True)
class Persistence:
    """Traces of users who ask again beside those of users who leave.

    Attributes:
        users: the share of users who ever asked again.
        traces: their share of traces, ``training`` of training rows, each with an interval over users.
        over: how many times their share of training rows is their share of users.
    """

    users: float
    n: int
    traces: Estimate
    training: Estimate | None
    over: float | None

    def record(self) -> dict[str, Any]:
        """The figures as a JSON object."""
        return asdict(self)


def persistence(
    users: Sequence[str], asked_again: Bools, trained: Bools, rng: np.random.Generator
) -> Persistence | None:
    """Over-representation of users who persist; None without users.

    Who rephrases leaves several traces where who leaves has one, so a set of traces says more of the persistent. The
    intervals are of a bootstrap over users, since traces of one user are not independent.

    Args:
        users: the user of each trace, ``[n]``.
        asked_again: whether the user asked again in it, ``[n]``.
        trained: whether it is a training row, ``[n]``.
        rng: for the bootstrap.
    """
    if len(users) == 0:
        return None
    _, place = np.unique(np.array(users, dtype=str), return_inverse=True)
    persists = np.bincount(place, weights=asked_again) > 0
    counts = [
        np.asarray(np.bincount(place, weights=weights), dtype=np.float64)
        for weights in (np.ones(len(place)), trained)
    ]
    draws = rng.multinomial(len(persists), np.full(len(persists), 1 / len(persists)), size=RESAMPLES)
    traces, training = (_share_over(count, persists, draws) for count in counts)
    share = float(persists.mean())
    over = training.estimate / share if training and share else None
    return Persistence(share, len(persists), traces or Estimate(0.0, 0.0, 1.0), training, over)


def _share_over(counts: Floats, persists: Bools, draws: npt.NDArray[np.int64]) -> Estimate | None:
    total = counts.sum()
    if total == 0:
        return None
    shares = (draws @ (counts * persists)) / np.maximum(draws @ counts, 1e-300)
    estimate = float((counts * persists).sum() / total)
    low, high = np.quantile(shares, [0.025, 0.975])
    return Estimate(estimate, min(float(low), estimate), max(float(high), estimate))
