"""Simple programs that labelled traces suggest: phrases that speak for a label, thresholds on numbers.

They are found on one half of the labels and measured on the other, so that what is reported is not what was chosen on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from promptlabel.votes.analysis import wilson_interval

Integers: TypeAlias = npt.NDArray[np.integer]
Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.bool_]

LEAST_MATCHES: Final = 5
"""Labelled traces that a phrase or a threshold must match before anything is thought of it."""

MOST_PHRASES: Final = 12
_LONGEST: Final = 3
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_MOST_WORDS: Final = 3000
_NEW: Final = 2
_LIFT: Final = 0.05


@dataclass(frozen=True, slots=True)
class Candidate:
    """A phrase, the label it speaks for, and the labelled rows that hold it."""

    phrase: str
    label: int
    rows: Rows
    low: float


@dataclass(frozen=True, slots=True)
class Stump:
    """A threshold on a number: above or below it a label is voted."""

    name: str
    label: int
    above: bool
    threshold: float
    low: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What a rule does on labels it was not chosen on, and on all traces: votes, share right, share of all traces."""

    votes: int
    judged: int
    right: int
    low: float
    high: float
    coverage: float

    @property
    def accuracy(self) -> float | None:
        """Share of its judged votes that are right; None where none was judged."""
        return self.right / self.judged if self.judged else None


def halves(labels: Integers) -> tuple[Rows, Rows]:
    """The labelled rows in two halves, each with half of every label."""
    first = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels[labels >= 0]):
        first[np.flatnonzero(labels == label)[::2]] = True
    return first, (labels >= 0) & ~first


def phrases(texts: Sequence[str], labels: Integers, n_classes: int, most: int) -> list[Candidate]:
    """Up to `most` phrases of one to three words for each label, those first that are surest to speak for it.

    A phrase is judged by the lower end of the 95 % interval (Wilson 1927) of its label's share among the rows that
    hold it, which must be five points above the label's share among all rows.
    """
    held = _rows_of_phrases(texts)
    found = [_candidate(phrase, rows, labels, n_classes) for phrase, rows in held.items()]
    kept: list[Candidate] = []
    for label in range(n_classes):
        base = float((labels == label).mean())
        speaking = [one for one in found if one is not None and one.label == label and one.low > base + _LIFT]
        speaking.sort(key=lambda one: (-one.low, len(one.phrase), one.phrase))
        kept += _distinct(speaking, most)
    return kept


def _rows_of_phrases(texts: Sequence[str]) -> dict[str, Rows]:
    """Each phrase that enough texts hold, and which do."""
    holding: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        for phrase in set(_phrases_in(text)):
            holding.setdefault(phrase, []).append(row)
    return {phrase: _mask(rows, len(texts)) for phrase, rows in holding.items() if len(rows) >= LEAST_MATCHES}


def _phrases_in(text: str) -> Iterable[str]:
    words = _WORD.findall(text.casefold())[:_MOST_WORDS]
    for length in range(1, _LONGEST + 1):
        for start in range(len(words) - length + 1):
            yield " ".join(words[start : start + length])


def _mask(rows: Sequence[int], length: int) -> Rows:
    mask = np.zeros(length, dtype=bool)
    mask[rows] = True
    return mask


def _candidate(phrase: str, rows: Rows, labels: Integers, n_classes: int) -> Candidate | None:
    if len(phrase) < 3 or phrase.isdigit():
        return None
    counts = np.bincount(labels[rows], minlength=n_classes)
    label = int(counts.argmax())
    return Candidate(phrase, label, rows, _low(int(counts[label]), int(counts.sum())))


def _low(right: int, votes: int) -> float:
    low, _ = wilson_interval(np.array([right]), np.array([votes]))
    return float(low[0])


def _distinct(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """The first of those that hold in the very same rows."""
    seen: set[bytes] = set()
    kept: list[Candidate] = []
    for one in candidates:
        rows = np.packbits(one.rows).tobytes()
        if rows not in seen and len(kept) < most:
            seen.add(rows)
            kept.append(one)
    return kept


def together(candidates: Sequence[Candidate], labels: Integers) -> list[str]:
    """The phrases of one label that make a rule: each matches rows that those before it do not, and stays right there."""
    chosen: list[str] = []
    covered = np.zeros(len(labels), dtype=bool)
    for one in candidates:
        new = one.rows & ~covered
        right = labels[new] == one.label
        if len(chosen) < MOST_PHRASES and new.sum() >= _NEW and right.mean() > (labels == one.label).mean():
            chosen.append(one.phrase)
            covered |= one.rows
    return chosen


def stumps(numbers: Mapping[str, Floats], labels: Integers, n_classes: int) -> list[Stump]:
    """For each label the number and threshold that is surest to speak for it, none that says less than the label's share.

    A threshold must match a tenth of the rows, so that it is worth a rule.
    """
    best: dict[int, Stump] = {}
    for name, values in numbers.items():
        for one in _stumps_of(name, values, labels, n_classes):
            if one.label not in best or one.low > best[one.label].low:
                best[one.label] = one
    return [best[label] for label in sorted(best)]


def _stumps_of(name: str, values: Floats, labels: Integers, n_classes: int) -> Iterable[Stump]:
    known = np.isfinite(values)
    if known.sum() < 2 * LEAST_MATCHES:
        return
    cuts = np.unique(np.quantile(values[known], np.linspace(0.1, 0.9, 17), method="nearest"))
    for threshold in cuts.tolist():
        for above in (True, False):
            rows = known & ((values >= threshold) if above else (values <= threshold))
            if max(LEAST_MATCHES, len(labels) / 10) <= rows.sum() < known.sum():
                counts = Counter(labels[rows].tolist())
                for label in range(n_classes):
                    low = _low(counts[label], int(rows.sum()))
                    if low > (labels == label).mean():
                        yield Stump(name, label, above, threshold, low)


def measured(said: Integers, labels: Integers, judging: Rows) -> Measured:
    """What a rule's votes ``[n]`` (-1 abstains) are worth on the labels of the judging rows."""
    judged = judging & (said >= 0)
    right, total = int((said[judged] == labels[judged]).sum()), int(judged.sum())
    low, high = wilson_interval(np.array([right]), np.array([total])) if total else (np.zeros(1), np.ones(1))
    votes = int((said >= 0).sum())
    return Measured(votes, total, right, float(low[0]), float(high[0]), votes / max(len(said), 1))
