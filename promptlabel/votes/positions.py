"""Position bias: how much a model's choice between two outputs depends on which is shown first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BothOrders:
    """What a rule said of one pair in both orders.

    Attributes:
        as_logged: the place, 0 or 1, of the output it chose among those shown; None for a tie or none.
        swapped: likewise with the outputs in the other order.
        log_odds: for the output shown first against the other, in both orders; None for plain answers.
    """

    as_logged: int | None
    swapped: int | None
    log_odds: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class PositionBias:
    """How a rule and model depend on the order, over pairs asked in both.

    Attributes:
        pairs: pairs that were answered in both orders.
        first_share: share of the choices of a side that fall on the output shown first; one half without bias.
        flips: share of the pairs with a choice in both orders whose choice turns with the order.
        log_odds: the mean liking for the first place, which the midpoint of both orders cancels; None for plain answers.
    """

    pairs: int
    first_share: float | None
    flips: float | None
    log_odds: float | None


def position_bias(pairs: Sequence[BothOrders]) -> PositionBias:
    """The bias over pairs; shares None where nothing was chosen."""
    places = [place for pair in pairs for place in (pair.as_logged, pair.swapped) if place is not None]
    decided = [pair for pair in pairs if pair.as_logged is not None and pair.swapped is not None]
    odds = [pair.log_odds for pair in pairs if pair.log_odds is not None]
    return PositionBias(
        pairs=len(pairs),
        first_share=places.count(0) / len(places) if places else None,
        flips=sum(pair.as_logged == pair.swapped for pair in decided) / len(decided) if decided else None,
        log_odds=math.fsum(sum(both) / 2 for both in odds) / len(odds) if odds else None,
    )
