"""What is looked at in a training set as it is written: a random sample for leakage, diversity and delay."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import numpy as np

from promptlabel.routing.sampling import permanent_numbers
from promptlabel.training.diversity import diversity
from promptlabel.training.export import TrainingRow
from promptlabel.training.leakage import FEWEST_ROWS, Leak, SplitGap, Value, leaks, split_gap

SAMPLE: Final = 2_000
_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Checks:
    """What a sample of a training set shows.

    Attributes:
        sampled: how many rows were looked at.
        leaks: features that predict the label too well alone; those of the metadata have no known time.
        split: a random split beside one in time, None where rows or times are missing.
        figures: diversity of the texts, and the median days from a trace to its label.
    """

    task: str
    sampled: int
    leaks: tuple[Leak, ...]
    split: SplitGap | None
    figures: Mapping[str, float]


@dataclass
class RowSample:
    """A random sample of the rows that pass, the same whatever their order."""

    task: str
    _kept: list[tuple[float, int, TrainingRow]] = field(default_factory=list)
    _seen: int = 0

    def add(self, row: TrainingRow) -> None:
        """Nothing; the row is kept if its lot is among the lowest."""
        number = float(permanent_numbers([row.trace.trace_id], "training checks")[0])
        self._seen += 1
        item = (-number, self._seen, row)
        if len(self._kept) < SAMPLE:
            heapq.heappush(self._kept, item)
        elif item > self._kept[0]:
            heapq.heapreplace(self._kept, item)

    def checks(self) -> Checks:
        """What the sample shows."""
        rows = [row for _, _, row in sorted(self._kept, reverse=True)]
        labels = [row.label for row in rows]
        features = _features(rows)
        timed = frozenset(name for name in features if not name.startswith("metadata."))
        return Checks(
            task=self.task,
            sampled=len(rows),
            leaks=tuple(leaks(features, labels, np.random.default_rng(_SEED), timed)),
            split=_split(rows, labels),
            figures=_figures(rows),
        )


def _features(rows: list[TrainingRow]) -> dict[str, list[Value]]:
    columns: dict[str, list[Value]] = {}
    for place, row in enumerate(rows):
        for name, value in _values(row).items():
            columns.setdefault(name, [None] * len(rows))[place] = value
    return columns


def _values(row: TrainingRow) -> dict[str, Value]:
    """Signals as of the prediction, and what of the metadata is a single value."""
    given = row.trace.metadata.items()
    single: dict[str, Value] = {
        f"metadata.{name}": value for name, value in given if isinstance(value, (bool, int, float, str))
    }
    return single | dict(row.features)


def _split(rows: list[TrainingRow], labels: list[str]) -> SplitGap | None:
    times = [row.predicted_at.timestamp() for row in rows if row.predicted_at]
    if len(times) < len(rows) or len(rows) < FEWEST_ROWS:
        return None
    from sklearn.feature_extraction.text import HashingVectorizer

    words = HashingVectorizer(alternate_sign=False, n_features=1 << 14, norm=None).transform(map(_text, rows))
    return split_gap(words.tocsr(), labels, times, np.random.default_rng(_SEED))


def _text(row: TrainingRow) -> str:
    return " ".join(turn.content for turn in row.trace.turns)


def _figures(rows: list[TrainingRow]) -> dict[str, float]:
    if not rows:
        return {}
    delays = [(row.as_of - row.predicted_at).total_seconds() / 86_400 for row in rows if row.predicted_at]
    delay = {"label_delay_days": median(delays)} if delays else {}
    return diversity(list(map(_text, rows))) | delay
