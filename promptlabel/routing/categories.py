"""Categories of traces of which reviews say too little, and those in which the rules fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

FEWEST_REVIEWS: Final = 5
"""A category that would get fewer reviews from its share of the budget is rare."""
LEVEL: Final = 0.05
PRIOR: Final = 5.0
"""Reviews of average outcome that a category's error rate is shrunken by."""


@dataclass(frozen=True, slots=True)
class Categories:
    """The categories of n traces and what reviews say of them; figures ``[c]``.

    Attributes:
        of: the category of each trace ``[n]``, -1 for none.
        size: how many traces it has.
        reviewed: how many of them people have decided.
        wrong: how many of these most rules had wrong.
        missing: reviews that it lacks of `FEWEST_REVIEWS`; 0 where its share of the budget brings them.
        failing: its error rate, shrunken; 0 unless it is above that of all others beyond chance (binomial, 5 %).
    """

    names: tuple[str, ...]
    of: Indices
    size: Indices
    reviewed: Indices
    wrong: Indices
    missing: Floats
    failing: Floats

    @classmethod
    def known(cls, names: Sequence[str | None], reviewed: Mask, wrong: Mask, share: float) -> Categories:
        """What is known of the categories.

        Args:
            names: the category of each trace, ``[n]``.
            reviewed: which traces are decided, ``[n]``.
            wrong: which of those most rules had wrong, ``[n]``.
            share: of all traces that people review.
        """
        kinds = sorted({name for name in names if name is not None})
        place = {name: position for position, name in enumerate(kinds)}
        of = np.array([-1 if name is None else place[name] for name in names], dtype=np.int64)
        size, seen, missed = (_counts(of, rows, len(kinds)) for rows in (of >= 0, reviewed, reviewed & wrong))
        lacking = np.maximum(0.0, FEWEST_REVIEWS - np.maximum(seen, share * size))
        return cls(tuple(kinds), of, size, seen, missed, lacking, _failing(seen, missed))

    def scores(self, doubt: Floats, reviewed: Mask, ties: Floats) -> Floats:
        """How much each trace's category needs its review, ``[n]`` in 0..1, 0 for those that are decided.

        A rare category offers as many traces as it lacks reviews, in order of `doubt`, each scoring less than the
        one before, so that rare categories take turns. In a failing one all traces score, those in doubt most.
        """
        doubt = np.nan_to_num(doubt)
        found = np.zeros(len(self.of))
        in_one = (self.of >= 0) & ~reviewed
        rows = np.flatnonzero(in_one)
        rows = rows[np.lexsort((ties[rows], -doubt[rows], self.of[rows]))]
        own = self.of[rows]
        turn = np.arange(len(rows)) - np.searchsorted(own, own)
        rare = np.clip((self.missing[own] - turn) / FEWEST_REVIEWS, 0.0, 1.0)
        found[rows] = np.maximum(rare, self.failing[own] * (1 + doubt[rows]) / 2)
        return found


def _counts(of: Indices, rows: Mask, kinds: int) -> Indices:
    return np.bincount(of[rows & (of >= 0)], minlength=kinds)


def _failing(reviewed: Indices, wrong: Indices) -> Floats:
    from scipy.stats import binom

    elsewhere = (wrong.sum() - wrong + 0.5) / (reviewed.sum() - reviewed + 1)
    rate = (wrong + PRIOR * elsewhere) / (reviewed + PRIOR)
    chance = binom.sf(wrong - 1, reviewed, elsewhere)
    beyond = (chance < LEVEL) & (reviewed >= FEWEST_REVIEWS) & (rate > elsewhere)
    return np.where(beyond, rate, 0.0)
