"""Distinct rows of votes with their counts: all that an estimator needs, however many traces there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from promptlabel.records import ABSTAIN

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer]

ABSTAIN_OFFSET = 1
EXACT_FLOAT32, EXACT_FLOAT64 = 2.0**24, 2.0**53
CACHE_ROWS = 1 << 13
SMALL_SPAN = 4


@dataclass(frozen=True)
class Patterns:
    """Rows of votes, and how many traces show each of them.

    Attributes:
        votes: int array [u, m], class indices, -1 where a rule abstains.
        counts: float array [u], traces a row stands for.
        n_classes: K.
        soft: for some columns, a float array [u, K] of distributions that replace the votes; NaN where none.
        text: float array [u, K], log evidence of a text classifier, or None.
    """

    votes: IntArray
    counts: FloatArray
    n_classes: int
    soft: Mapping[int, FloatArray] = field(default_factory=dict)
    text: FloatArray | None = None

    @property
    def n_rules(self) -> int:
        """The number of columns of votes."""
        return int(self.votes.shape[1])

    @cached_property
    def design(self) -> sp.csr_array:
        """Sparse [u, m*K]: one where a rule votes a class, its probability where the vote is soft."""
        hard = self.votes.copy()
        for column, distribution in self.soft.items():
            hard[given(distribution), column] = ABSTAIN
        rows, columns = np.nonzero(hard >= 0)
        places = columns * self.n_classes + hard[rows, columns].astype(np.int64)
        design = sp.csr_array((np.ones(len(rows)), (rows, places)), shape=self._design_shape)
        for column, distribution in self.soft.items():
            design = design + self._soft_design(column, distribution)
        return sp.csr_array(design)

    @property
    def hard_votes(self) -> IntArray:
        """Int array [u, m]: the votes, for a distribution its likeliest class."""
        votes = self.votes.copy()
        for column, distribution in self.soft.items():
            rows = given(distribution)
            votes[rows, column] = distribution[rows].argmax(axis=1)
        return votes

    @property
    def _design_shape(self) -> tuple[int, int]:
        return len(self.votes), self.n_rules * self.n_classes

    def _soft_design(self, column: int, distribution: FloatArray) -> sp.csr_array:
        rows, classes = np.nonzero(np.nan_to_num(distribution))
        places = column * self.n_classes + classes
        return sp.csr_array((distribution[rows, classes], (rows, places)), shape=self._design_shape)

    @cached_property
    def tally(self) -> FloatArray:
        """Float array [u, K]: votes a class has in a row."""
        return np.asarray(self.design @ np.tile(np.eye(self.n_classes), (self.n_rules, 1)))

    @cached_property
    def votes_per_row(self) -> FloatArray:
        """Float array [u]: votes in a row, abstains not counted."""
        return np.asarray(self.tally.sum(axis=1))

    @cached_property
    def coverage(self) -> FloatArray:
        """Float array [m]: the share of traces on which each rule votes."""
        votes = np.asarray(self.counts @ self.design).reshape(self.n_rules, self.n_classes)
        return np.asarray(votes.sum(axis=1) / self.counts.sum())

    def take(self, index: IntArray, text: FloatArray | None = None) -> Patterns:
        """The rows at `index`, each standing for one trace, with log evidence of their texts if given."""
        soft = {column: distribution[index] for column, distribution in self.soft.items()}
        return Patterns(self.votes[index], np.ones(len(index)), self.n_classes, soft, text)


def given(distribution: FloatArray) -> NDArray[np.bool_]:
    """Bool array [n]: whether a row holds a distribution."""
    return np.asarray(~np.isnan(distribution).any(axis=1))


def group(
    votes: IntArray, n_classes: int, soft: Mapping[int, FloatArray] | None = None
) -> tuple[Patterns, IntArray]:
    """The distinct rows of `votes` in lexicographic order with counts, and the pattern of each row [n].

    Soft votes are rarely equal, so with them every row is a pattern of its own.
    """
    if soft:
        return Patterns(votes, np.ones(len(votes)), n_classes, soft), np.arange(len(votes))
    rows, inverse, counts = _ranked(row_keys(votes, n_classes))
    return Patterns(votes[rows], counts.astype(float), n_classes), inverse


def _ranked(keys: NDArray[np.int64]) -> tuple[IntArray, IntArray, IntArray]:
    """Of the distinct keys in ascending order: a row of each, the rank of each row's key, how many rows each has.

    Counting is several times faster than sorting where the keys are small numbers.
    """
    if len(keys) == 0 or keys.max() >= SMALL_SPAN * len(keys):
        _, first, inverse, counts = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        return first, inverse, counts
    tally = np.bincount(keys)
    present = np.flatnonzero(tally)
    rank = np.zeros(len(tally), np.int32)
    rank[present] = np.arange(len(present))
    ranks = rank.take(keys)
    rows = np.empty(len(present), np.int64)
    rows[ranks] = np.arange(len(keys), dtype=np.int32)
    return rows, ranks, tally[present]


def row_keys(votes: IntArray, n_classes: int) -> NDArray[np.int64]:
    """Int64 array [n]: equal for equal rows, and in the lexicographic order of the rows."""
    width = max(1, int(np.log(EXACT_FLOAT64) / np.log(n_classes + ABSTAIN_OFFSET)))
    starts = range(0, votes.shape[1], width)
    return reduce(_joined, (_packed(votes[:, start : start + width], n_classes) for start in starts))


def _packed(block: IntArray, n_classes: int) -> NDArray[np.int64]:
    """Each row as a number in base K+1, by exact float products in pieces that fit the processor's cache."""
    places = float(n_classes + ABSTAIN_OFFSET) ** np.arange(block.shape[1] - 1, -1, -1)
    exact = np.dtype(np.float32 if places.sum() * n_classes < EXACT_FLOAT32 else np.float64)
    offset = places.sum()
    keys = np.empty(len(block), np.int64)
    for start in range(0, len(block), CACHE_ROWS):
        piece = slice(start, start + CACHE_ROWS)
        keys[piece] = block[piece].astype(exact) @ places.astype(exact) + offset
    return keys


def _joined(high: NDArray[np.int64], low: NDArray[np.int64]) -> NDArray[np.int64]:
    _, high_rank = np.unique(high, return_inverse=True)
    low_values, low_rank = np.unique(low, return_inverse=True)
    return np.asarray(high_rank * len(low_values) + low_rank, np.int64)
