"""What may still be spent: every request reserves the most it can cost before it is sent, and settles after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

_ROUNDING: Final = 1e-12
_AHEAD: Final = 1.5


class InFlight(NamedTuple):
    """What requests that are open may cost together, and how many they are."""

    usd: float
    calls: int

    def plus(self, other: InFlight) -> InFlight:
        """Both together."""
        return InFlight(self.usd + other.usd, self.calls + other.calls)


NOTHING: Final = InFlight(0.0, 0)


@dataclass(slots=True)
class Reservation:
    """Money set aside for one request that is being sent."""

    usd: float


class Account:
    """A budget in US dollars and in calls, shared by everything that is in flight on one event loop.

    Spent and reserved together never pass a limit. A budget is reached when a reservation does not fit and
    no settlement is to come. Should a server report more than the bound that was
    reserved, all later reservations grow in the same proportion.

    Args:
        limit_usd, limit_calls: the most that may ever be spent; None is no limit.
        spent_usd, spent_calls: what was spent before.
        remember: told the most that will be in flight before so much is, so that it can be written down: it
            grows by half each time, and never beyond what is left.

    Attributes:
        remembered: what was last told, None before the first request.
    """

    def __init__(
        self,
        limit_usd: float | None = None,
        limit_calls: int | None = None,
        *,
        spent_usd: float = 0.0,
        spent_calls: int = 0,
        remember: Callable[[InFlight], None] | None = None,
    ) -> None:
        self.remembered: InFlight | None = None
        self._remember = remember
        self.limit_usd = limit_usd
        self.limit_calls = limit_calls
        self.spent_usd = spent_usd
        self.spent_calls = spent_calls
        self._reserved = 0.0
        self._open = 0
        self._stretch = 1.0
        self._settled: asyncio.Future[None] | None = None

    @property
    def in_flight(self) -> int:
        """How many reservations are open."""
        return self._open

    def try_reserve(self, upper_bound_usd: float) -> Reservation | None:
        """A reservation for one call of at most so much, or None where it does not fit now."""
        usd = self.stretched(upper_bound_usd)
        if not self._fits(usd):
            return None
        self._reserved += usd
        self._open += 1
        self._write_down()
        return Reservation(usd)

    def stretched(self, upper_bound_usd: float) -> float:
        """The bound, grown by as much as servers have passed theirs."""
        return upper_bound_usd * self._stretch

    async def settlement(self) -> bool:
        """True after the next settlement, which may free money; False at once where nothing is in flight."""
        if not self._open:
            return False
        if self._settled is None:
            self._settled = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._settled)
        return True

    def settle(self, reservation: Reservation, usd: float) -> None:
        """Nothing; the call is counted, its cost is spent, and what it did not need is free again."""
        self._release(reservation)
        self.spent_usd += usd
        self.spent_calls += 1
        if usd > reservation.usd > 0:
            self._stretch *= usd / reservation.usd

    def cancel(self, reservation: Reservation) -> None:
        """Nothing; a request that was never sent costs neither money nor a call."""
        self._release(reservation)

    def _fits(self, usd: float) -> bool:
        if self.limit_calls is not None and self.spent_calls + self._open >= self.limit_calls:
            return False
        if self.limit_usd is None:
            return True
        return self.spent_usd + self._reserved + usd <= self.limit_usd + _ROUNDING

    def _write_down(self) -> None:
        known = self.remembered or InFlight(0.0, 0)
        if self._remember is None or (self._reserved <= known.usd and self._open <= known.calls):
            return
        self.remembered = InFlight(
            self._at_most(self.limit_usd, self.spent_usd, max(known.usd, _AHEAD * self._reserved)),
            int(self._at_most(self.limit_calls, self.spent_calls, max(known.calls, _AHEAD * self._open + 1))),
        )
        self._remember(self.remembered)

    @staticmethod
    def _at_most(limit: float | None, spent: float, wanted: float) -> float:
        return wanted if limit is None else min(wanted, limit - spent)

    def _release(self, reservation: Reservation) -> None:
        self._open -= 1
        self._reserved = self._reserved - reservation.usd if self._open else 0.0
        if self._settled is not None:
            self._settled.set_result(None)
            self._settled = None
