"""What every estimator is: fit on patterns and labelled rows, then a probability of each class a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from promptlabel.errors import InputError
from promptlabel.labelmodel.patterns import FloatArray, IntArray, Patterns

ERROR_CORRELATION = 0.5


class VotesError(InputError, ValueError):
    """Votes, gold, text or class balance that no label model can use; lists every fault."""


@dataclass(frozen=True)
class Labelled:
    """Rows that people labelled.

    Attributes:
        patterns: their votes, g rows.
        labels: int array [g] of class indices.
        random: bool array [g], rows drawn at random and not because they looked hard; None means all.
    """

    patterns: Patterns
    labels: NDArray[np.int64]
    random: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def one_hot(self) -> FloatArray:
        """Float array [g, K] with a one at each label."""
        return np.eye(self.patterns.n_classes)[self.labels]

    def take(self, index: NDArray[np.int64]) -> Labelled:
        """The labelled rows at `index`."""
        text = None if self.patterns.text is None else self.patterns.text[index]
        random = None if self.random is None else self.random[index]
        return Labelled(self.patterns.take(index, text), self.labels[index], random)

    def at_random(self) -> Labelled:
        """The rows that were drawn at random."""
        return self if self.random is None else self.take(np.flatnonzero(self.random))


@dataclass(frozen=True)
class GoldRows:
    """Which traces are labelled: int arrays [g] of rows and labels, and a bool array [g], drawn at random."""

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    random: NDArray[np.bool_]

    def labelled(self, patterns: Patterns, inverse: IntArray, text: FloatArray | None = None) -> Labelled:
        """The labelled rows with their votes, and the log evidence [g, K] of their texts if given."""
        return Labelled(patterns.take(inverse[self.rows], text), self.labels, self.random)


class Estimator(Protocol):
    """One way from votes to probabilities; it owns no data and knows no other estimator."""

    name: str

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:
        """Itself, fitted on all patterns, the labelled rows among them and the class balance [K]."""
        ...

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one; the class balance for a row without any evidence."""
        ...


def tempering(votes: FloatArray, correlation: float = ERROR_CORRELATION) -> FloatArray:
    """Float array like `votes`: how much each of v votes counts when errors correlate.

    Kish's design effect: v votes with pairwise error correlation r are worth v / (1 + (v-1) r) votes.
    """
    return 1.0 / (1.0 + np.maximum(votes - 1.0, 0.0) * correlation)
