"""One budget for senders in several processes: each spends what it was granted, and asks for more when that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from promptlabel.llm.ledger import NOTHING, Account, InFlight, Reservation

_AHEAD: Final = 8
"""Requests that a grant is for: few enough that a sender which dies leaves little granted and unspent."""
_PAUSE: Final = 0.2

Verdict: TypeAlias = Literal["granted", "later", "never"]


@dataclass(slots=True)
class Purse:
    """What one sender was granted and has spent."""

    granted: InFlight = NOTHING
    spent: InFlight = NOTHING

    @property
    def most(self) -> InFlight:
        """What the sender may have spent by now."""
        return InFlight(max(self.granted.usd, self.spent.usd), max(self.granted.calls, self.spent.calls))


class Request(NamedTuple):
    """A sender's: what it has spent, what it wants, and whether it has nothing in flight and hands back the rest."""

    spent: InFlight
    wanted: InFlight
    idle: bool = False


class Treasury:
    """Grants parts of a budget; granted and spent together never pass it.

    A sender that dies never hands its purse back, so that what it had in flight counts at the most it can be.

    Args:
        budget: the project's account.
        remember: told what is granted and not known to be spent, before it is.

    Attributes:
        purses: those that were not handed back, by sender.
    """

    def __init__(self, budget: Account, remember: Callable[[InFlight], None]) -> None:
        self._budget = budget
        self._remember = remember
        self.purses: dict[str, Purse] = {}
        self._closed = NOTHING

    def ask(self, sender: str, request: Request) -> Verdict:
        """Whether the sender may spend as much more as it wants.

        ``later`` where other senders may yet hand back what would do, ``never`` where none can.
        """
        purse = self.purses.setdefault(sender, Purse())
        purse.spent = request.spent
        if request.idle:
            purse.granted = request.spent
        if self._fits(request.wanted):
            purse.granted = purse.most.plus(request.wanted)
            self._remember(self._in_flight())
            return "granted"
        others = [other for name, other in self.purses.items() if name != sender]
        return "later" if any(other.most != other.spent for other in others) else "never"

    def hand_back(self, sender: str, spent: InFlight) -> None:
        """Nothing; the sender has ended, and what it did not spend can be granted to others."""
        self.purses.pop(sender, None)
        self._closed = self._closed.plus(spent)

    def _fits(self, wanted: InFlight) -> bool:
        most = [self._closed, wanted, *(purse.most for purse in self.purses.values())]
        usd, calls = sum(one.usd for one in most), sum(one.calls for one in most)
        budget = self._budget
        if budget.limit_calls is not None and budget.spent_calls + calls > budget.limit_calls:
            return False
        return budget.limit_usd is None or budget.spent_usd + usd <= budget.limit_usd

    def _in_flight(self) -> InFlight:
        left = [(purse.most, purse.spent) for purse in self.purses.values()]
        return InFlight(
            sum(most.usd - spent.usd for most, spent in left),
            sum(most.calls - spent.calls for most, spent in left),
        )


Ask: TypeAlias = Callable[[Request], Awaitable[Verdict]]
"""Takes a request to the treasury, and brings its verdict."""


class GrantedAccount(Account):
    """A sender's part of a budget, which grows by what its treasury grants."""

    def __init__(self, ask: Ask, *, usd: bool, calls: bool, pause: float = _PAUSE) -> None:
        super().__init__(0.0 if usd else None, 0 if calls else None)
        self._ask = ask
        self._pause = pause
        self._dearest = 0.0
        self._asking = asyncio.Lock()

    @property
    def spent(self) -> InFlight:
        """What this sender has spent."""
        return InFlight(self.spent_usd, self.spent_calls)

    def try_reserve(self, upper_bound_usd: float) -> Reservation | None:
        """See `Account.try_reserve`."""
        reservation = super().try_reserve(upper_bound_usd)
        if reservation is None:
            self._dearest = max(self._dearest, self.stretched(upper_bound_usd))
        return reservation

    async def settlement(self) -> bool:
        """True once there may be room again; False where the whole budget is used up."""
        before = self.limit_usd, self.limit_calls
        async with self._asking:
            if (self.limit_usd, self.limit_calls) != before:
                return True
            verdict = await self._more()
        if verdict == "granted":
            return True
        if await super().settlement():
            return True
        if verdict == "later":
            await asyncio.sleep(self._pause)
        return verdict == "later"

    async def _more(self) -> Verdict:
        """The verdict on money for several requests, or else for one."""
        verdict: Verdict = "never"
        for requests in (_AHEAD, 1):
            idle = not self.in_flight
            if idle:
                self._limit_to(self.spent)
            wanted = InFlight(requests * self._dearest, requests)
            verdict = await self._ask(Request(self.spent, wanted, idle))
            if verdict == "granted":
                self._limit_to(InFlight(self.limit_usd or 0.0, self.limit_calls or 0).plus(wanted))
                break
        return verdict

    def _limit_to(self, limit: InFlight) -> None:
        self.limit_usd = None if self.limit_usd is None else limit.usd
        self.limit_calls = None if self.limit_calls is None else limit.calls
