"""Which traces to review next so that the audit's intervals shrink fastest, and how many it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.audit import expected_variance
from promptlabel.evals.intervals import Z95

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

EVENLY: Final = 0.3
"""The part of the reviews that is spread evenly, so that a posterior that is wrongly sure is found out."""


@dataclass(frozen=True, slots=True)
class Draw:
    """A Poisson sample, in the order in which it should be reviewed; all ``[n]``.

    Attributes:
        rows: the traces drawn.
        probability: with which each was drawn.
        turn: 0 to 1; what lies below any turn is a smaller sample of the same kind, drawn with `probability` times
            that turn, so that a half-reviewed draw can be used.
    """

    rows: Indices
    probability: Floats
    turn: Floats


def draw(doubt: Floats, reviews: int, numbers: Floats) -> Draw:
    """About that many traces, each drawn by its own number, with more chance where the posterior doubts.

    Args:
        doubt: p (1 - p) of each trace's label under audit, ``[N]``.
        reviews: how many traces to draw on average.
        numbers: uniform numbers, ``[N]``, that nothing else has looked at.
    """
    probability = chances(doubt, reviews)
    rows = np.flatnonzero(numbers < probability)
    turn = numbers[rows] / probability[rows]
    order = np.argsort(turn, kind="stable")
    return Draw(rows[order], probability[rows][order], turn[order])


def chances(doubt: Floats, reviews: int) -> Floats:
    """The probability with which each trace is drawn, ``[N]``, adding up to `reviews`.

    Proportional to the standard deviation of what the posterior leaves open, which minimises the variance
    (Neyman 1934; Zrnic & Candes 2024), mixed with an even part.
    """
    open_ = np.sqrt(doubt)
    size = len(doubt)
    mixed = (1 - EVENLY) * open_ / max(open_.sum(), 1e-300) + EVENLY / size
    if reviews >= size:
        return np.ones(size)
    scale = float(reviews)
    for _ in range(50):  # what is capped at 1 leaves its share to the others
        capped = np.minimum(scale * mixed, 1.0)
        scale *= reviews / capped.sum()
    return np.asarray(np.minimum(scale * mixed, 1.0), dtype=np.float64)


def reviews_until(
    doubt: Floats, half_width: float, inflation: float = 1.0, population: int | None = None
) -> int:
    """The fewest reviews by `draw` after which accuracy is expected to be known to plus or minus `half_width`.

    Args:
        doubt: of the traces that are not decided yet, ``[N]``.
        half_width: of the 95 % interval.
        inflation: by how much the decisions so far spread more than the posterior expected.
        population: of how many traces the accuracy is asked, those decided among them; by default N.
    """
    share = (len(doubt) / (population or len(doubt))) ** 2 if len(doubt) else 0.0
    most = (half_width / Z95) ** 2

    def enough(reviews: int) -> bool:
        return inflation * share * expected_variance(doubt, chances(doubt, reviews)) <= most

    low, high = 0, len(doubt)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if middle and enough(middle) else (middle + 1, high)
    return low
