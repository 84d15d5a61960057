"""What each rule does: how often it votes, with and against others, how often it is right, and what it adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from promptlabel.records import ABSTAIN
from promptlabel.votes.dependence import Dependence, EffectiveSource, dependence

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

_CHUNK: Final = 65_536
_NORMAL_QUANTILE: Final = 1.959963984540054


@dataclass(frozen=True)
class VoteAnalysis:
    """One entry a rule, in the order of the columns; shares are of all n traces.

    Attributes:
        votes: number of traces voted on.
        coverage: share voted on.
        overlap: share voted on by this rule and another.
        conflict: share voted on by this rule, among whose votes two differ.
        polarity: the labels the rule has voted for, ascending.
        correct: votes equal to gold; `incorrect` those that are not.
        accuracy: correct among votes that have gold, NaN where none has; with the ends of its 95 % Wilson interval.
        dependence: correlations of the rules' errors, and whether they are those seen on gold.
    """

    votes: Ints
    coverage: Floats
    overlap: Floats
    conflict: Floats
    polarity: tuple[tuple[int, ...], ...]
    correct: Ints
    incorrect: Ints
    accuracy: Floats
    accuracy_low: Floats
    accuracy_high: Floats
    dependence: Dependence

    @property
    def n_eff(self) -> float:
        """How many independent rules' worth of evidence the rules are, from 1 to m."""
        return self.dependence.effective_votes()

    @property
    def n_eff_source(self) -> EffectiveSource:
        """Found from errors on gold, from agreement (then an upper bound), or (``none``) not to be found: then m."""
        return self.dependence.source


def analyze_votes(
    votes: npt.NDArray[np.integer], gold: npt.NDArray[np.integer] | None = None, n_classes: int | None = None
) -> VoteAnalysis:
    """The analysis of a vote matrix; coverage, overlap and conflict are those of Snorkel's `LFAnalysis`.

    Args:
        votes: ``[n, m]`` labels from 0, -1 where the rule abstained.
        gold: ``[n]`` true labels, -1 where unknown.
        n_classes: number of labels; by default one more than the largest vote or gold label.

    Raises:
        ValueError: a shape is wrong, lengths differ, or a label is out of range.
    """
    matrix, truth, classes = _checked(votes, gold, n_classes)
    counts = _count(matrix, truth, classes)
    total = max(len(matrix), 1)
    judged = counts.correct + counts.incorrect
    low, high = wilson_interval(counts.correct, judged)
    return VoteAnalysis(
        votes=counts.by_label.sum(axis=1),
        coverage=counts.by_label.sum(axis=1) / total,
        overlap=counts.overlapping / total,
        conflict=counts.conflicting / total,
        polarity=tuple(tuple(np.flatnonzero(row).tolist()) for row in counts.by_label),
        correct=counts.correct,
        incorrect=counts.incorrect,
        accuracy=_ratio(counts.correct, judged),
        accuracy_low=low,
        accuracy_high=high,
        dependence=dependence(matrix, truth, classes),
    )


def wilson_interval(successes: Ints, trials: Ints) -> tuple[Floats, Floats]:
    """Ends of the 95 % interval of each share, NaN where there are no trials. Source: Wilson 1927."""
    square = _NORMAL_QUANTILE**2
    share = _ratio(successes, trials)
    middle = _ratio(successes + square / 2, trials + square)
    spread = _NORMAL_QUANTILE * np.sqrt(share * (1 - share) * trials + square / 4) / (trials + square)
    return np.maximum(middle - spread, 0.0), np.minimum(middle + spread, 1.0)


def _ratio(numerator: npt.NDArray[np.number], denominator: npt.NDArray[np.number]) -> Floats:
    """The quotient, NaN where the denominator is zero."""
    quotient = np.full(len(denominator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


# --- input


def _checked(
    votes: npt.NDArray[np.integer], gold: npt.NDArray[np.integer] | None, n_classes: int | None
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer], int]:
    """Votes, gold (all unknown where there is none) and the number of labels."""
    matrix = np.asarray(votes)
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.integer):
        raise ValueError(f"votes must be integers [n, m], not {matrix.dtype} of shape {matrix.shape}")
    truth = np.full(len(matrix), ABSTAIN) if gold is None else np.asarray(gold)
    if truth.shape != (len(matrix),) or not np.issubdtype(truth.dtype, np.integer):
        raise ValueError(f"gold must be {len(matrix)} integers, not {truth.dtype} of shape {truth.shape}")
    largest = int(max(matrix.max(initial=ABSTAIN), truth.max(initial=ABSTAIN)))
    classes = largest + 1 if n_classes is None else n_classes
    for name, values in ("votes", matrix), ("gold", truth):
        if values.min(initial=ABSTAIN) < ABSTAIN or values.max(initial=ABSTAIN) >= classes:
            raise ValueError(f"{name} must be labels from 0 to {classes - 1}, or -1; found other values")
    return matrix, truth, classes


# --- counting, in chunks of rows so that memory stays bounded


@dataclass(frozen=True, slots=True)
class _Counts:
    """Numbers of votes ``[m]``, and ``[m, K]`` by label."""

    by_label: Ints
    overlapping: Ints
    conflicting: Ints
    correct: Ints
    incorrect: Ints


def _count(matrix: npt.NDArray[np.integer], truth: npt.NDArray[np.integer], classes: int) -> _Counts:
    rules = matrix.shape[1]
    zeros = [np.zeros(rules, dtype=np.int64) for _ in range(4)]
    counts = _Counts(np.zeros((rules, classes), dtype=np.int64), *zeros)
    for start in range(0, len(matrix), _CHUNK):
        _add(counts, matrix[start : start + _CHUNK], truth[start : start + _CHUNK])
    return counts


def _add(counts: _Counts, chunk: npt.NDArray[np.integer], truth: npt.NDArray[np.integer]) -> None:
    """Nothing; what the chunk's votes are is added to the counts."""
    voted = chunk >= 0
    overlapping = voted & (voted.sum(axis=1) > 1)[:, np.newaxis]
    lowest = np.where(voted, chunk, np.iinfo(chunk.dtype).max).min(axis=1, initial=np.iinfo(chunk.dtype).max)
    disputed = chunk.max(axis=1, initial=ABSTAIN) > lowest
    right = voted & (chunk == truth[:, np.newaxis])
    judged = voted & (truth >= 0)[:, np.newaxis]
    counts.by_label[:] += _label_counts(chunk, *counts.by_label.shape)
    counts.overlapping[:] += overlapping.sum(axis=0)
    counts.conflicting[:] += (voted & disputed[:, np.newaxis]).sum(axis=0)
    counts.correct[:] += right.sum(axis=0)
    counts.incorrect[:] += (judged & ~right).sum(axis=0)


def _label_counts(chunk: npt.NDArray[np.integer], rules: int, classes: int) -> Ints:
    """How often each rule voted for each label, ``[m, K]``."""
    cells = chunk.astype(np.int64) + 1 + np.arange(rules) * (classes + 1)
    counts = np.bincount(cells.ravel(), minlength=rules * (classes + 1))
    return counts.reshape(rules, classes + 1)[:, 1:]
