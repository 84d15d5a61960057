"""What a review is expected to change, and what it costs: labels that would be other ones, by second of a reviewer."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.integer]

PATTERN_STRENGTH: Final = 10.0
"""Reviews that what a label model believes of a pattern of votes is worth: one of ten does not turn it over."""
FEWEST_TIMED: Final = 20
USUAL_SECONDS: Final = 10.0


def expected_label_change(
    probs: Floats, pattern: Indices, reviewed: Indices, rows: Indices | slice = slice(None)
) -> Floats:
    """How many labels the review of each trace is expected to change, ``[r]``: its own, and those of its pattern.

    Its own label changes when the likeliest one is not what people say. The belief of its pattern, the mean posterior
    with the strength of `PATTERN_STRENGTH` reviews and those it has had, moves towards each answer with the
    probability of that answer; where that turns the pattern's likeliest label over, the other traces change too.

    Args:
        probs: the posterior, ``[n, K]``; rows of NaN where there is none, which score NaN.
        pattern: the pattern of votes of each trace, ``[n]``, numbered from 0.
        reviewed: how many traces of each pattern are decided, ``[patterns]``.
        rows: the traces that are asked for, ``[r]``, all by default.
    """
    known = ~np.isnan(probs).any(axis=1)
    size = np.bincount(pattern[known], minlength=len(reviewed)).astype(float)
    belief = (
        np.stack(
            [
                np.bincount(pattern[known], weights=column[known], minlength=len(reviewed))
                for column in probs.T
            ],
            axis=1,
        )
        / np.maximum(size, 1)[:, None]
    )
    turned = _turned(belief, PATTERN_STRENGTH + reviewed.astype(np.float64))
    others = np.maximum(size - reviewed - 1, 0)
    asked, its = probs[rows], pattern[rows]
    own: Floats = 1 - asked.max(axis=1)
    return np.asarray(own + others[its] * (asked * turned[its]).sum(axis=1))


def reviewer_seconds(lengths: Floats, timed: Indices, seconds: Floats) -> Floats:
    """Seconds that a reviewer is expected to take for each trace, ``[n]``, from those that were timed.

    Time is log-normal about a power of the length (both one added): least squares of the logarithms, the power
    between 0 and 1. With fewer than `FEWEST_TIMED` it is `USUAL_SECONDS` for every trace.

    Args:
        lengths: characters of each trace, ``[n]``.
        timed: rows that were timed, ``[t]``.
        seconds: what they took, ``[t]``.
    """
    if len(timed) < FEWEST_TIMED:
        return np.full(len(lengths), USUAL_SECONDS)
    size, taken = np.log1p(lengths[timed]), np.log(np.maximum(seconds, 0.1))
    spread = size.var()
    power = float(np.clip(np.cov(size, taken, bias=True)[0, 1] / spread, 0, 1)) if spread > 0 else 0.0
    return np.asarray(np.exp(taken.mean() + power * (np.log1p(lengths) - size.mean())))


def _turned(belief: Floats, strength: Floats) -> npt.NDArray[np.bool_]:
    """Whether one review that says label y turns the likeliest label of a pattern over, ``[patterns, K]``."""
    best = belief.argmax(axis=1)
    lead = (belief.max(axis=1)[:, None] - belief) * strength[:, None]
    turned: npt.NDArray[np.bool_] = lead < 1
    turned[np.arange(len(best)), best] = False
    return turned
