"""The gate of one of several senders of a model, in other processes or on other machines, who share its rates."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from promptlabel.errors import ModelError
from promptlabel.llm.gate import Gate
from promptlabel.llm.jobs import Chance, Limits
from promptlabel.llm.rates import NO_LACK, Ended, Lack, Report, Share, Stretch
from promptlabel.llm.window import Pass

_PULSE: Final = 0.1
"""Seconds between two exchanges: how late a sender hears that others are held, or left something to it."""
_SOONEST: Final = 0.02
_TENURE: Final = 10.0
"""Seconds that a share holds: one who was frozen for longer has to ask before it sends, and may be refused."""
_LATE: Final = 1.0
"""Seconds after which a unit of a pace that was not used is lost: nothing is saved up for a burst."""

Exchange = Callable[[Report], Awaitable[Share]]
"""Takes a report to where the rates are divided, and brings the sender's share."""

_NOTHING: Final = Share(0, 0.0, True, 0, 0)


class SharedGate(Gate):
    """Lets requests leave as its share allows; `kept` has to run, which reports and brings shares.

    What an exchange raised is raised to everybody who enters from then on. Its answers go to a database before their
    workers go on, which takes longer than to a file.
    """

    askers_a_place = 2

    def __init__(self, exchange: Exchange, limits: Limits, chance: Chance | None = None) -> None:
        chance = chance or Chance()
        super().__init__(chance.clock, chance.sleep)
        self._exchange = exchange
        self._most = limits.concurrency
        self._share = _NOTHING
        self._held_until = self._good_until = self._clock()
        self._ended: list[Ended] = []
        self._pause = 0.0
        self._requests = Lent(self._clock) if limits.requests_per_minute else None
        self._tokens = Lent(self._clock) if limits.tokens_per_minute else None
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        self._failure: BaseException | None = None

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """A context in which shares come."""
        keeper = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    @property
    def window(self) -> int:
        """See `Gate.window`."""
        return self._share.places

    def pause(self, seconds: float) -> None:
        """See `Gate.pause`."""
        if seconds > 0:
            self._pause = max(self._pause, seconds)
            self._hold(seconds)
            self._urgent.set()

    # --- what the gate asks
    def _admitted(self) -> Pass:
        return Pass(self._share.epoch, self._share.probing, self._share.narrowing)

    def _learn(self, admitted: Pass, error: ModelError | None, seconds: float) -> None:
        cause, retry_after = (error.cause, error.retry_after) if error else (None, None)
        self._ended.append(Ended(admitted, cause, retry_after, seconds))
        if error is not None:
            self._hold(error.retry_after or 0.0)
        if error is not None or admitted.probe:
            self._urgent.set()

    def _held(self) -> float:
        self._raise_failure()
        return self._held_until - self._clock()

    def _is_full(self) -> bool:
        if self._clock() > self._good_until:
            return True
        if self._share.probing and self._probe_of == self._share.epoch:
            return True
        return self.in_flight >= self._share.places

    def _is_good(self, admitted: Pass) -> bool:
        now = self._clock()
        return admitted.epoch == self._share.epoch and self._held_until <= now <= self._good_until

    async def _freed(self) -> None:
        self._urgent.set()
        await super()._freed()

    async def _keep_pace(self, tokens: int) -> None:
        for lent, amount in ((self._requests, 1), (self._tokens, tokens)):
            wait = await self._lent(lent, amount) if lent and amount else 0.0
            if wait > 0:
                await self._sleep(wait)

    async def _lent(self, lent: Lent, amount: int) -> float:
        with lent.in_line(amount):
            async with lent.turn:
                while (wait := lent.take(amount)) is None:
                    self._urgent.set()
                    await self._news.wait()
                    self._raise_failure()
        return wait

    # --- reports and shares
    async def _keep(self) -> None:
        try:
            while True:
                asked_at = self._clock()
                self._apply(await self._exchange(self._report()), asked_at)
                await self._rest()
        except Exception as error:  # noqa: BLE001 - it is raised to everybody who waits here
            self._failure = error
            self._tell()

    async def _rest(self) -> None:
        await self._sleep(_SOONEST)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PULSE - _SOONEST):
                await self._urgent.wait()

    def _report(self) -> Report:
        self._urgent.clear()
        ended, self._ended = tuple(self._ended), []
        pause, self._pause = self._pause, 0.0
        wanted = min(self._most, self.in_flight + sum(not one.done() for one in self._waiting))
        requests = self._requests.lack if self._requests else NO_LACK
        tokens = self._tokens.lack if self._tokens else NO_LACK
        return Report(self.in_flight, wanted, ended, pause, requests, tokens)

    def _apply(self, share: Share, asked_at: float) -> None:
        self._share = share
        self._good_until = asked_at + _TENURE
        self._hold(share.held)
        for lent, stretch in ((self._requests, share.requests), (self._tokens, share.tokens)):
            if lent and stretch:
                lent.add(stretch)
        self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
        if self._failure:
            self._wake(len(self._waiting))
        elif self.in_flight < self._share.places:
            self._wake()

    def _hold(self, seconds: float) -> None:
        self._held_until = max(self._held_until, self._clock() + seconds)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


@dataclass(slots=True)
class _Piece:
    due: float
    amount: float
    each: float

    def cut(self, amount: float) -> None:
        self.amount -= amount
        self.due += amount * self.each


class Lent:
    """Units of a pace that were lent to this sender, each to be used when it is due and lost when that is long ago.

    Attributes:
        turn: whose turn it is to take.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.turn = asyncio.Lock()
        self._clock = clock
        self._pieces: deque[_Piece] = deque()
        self._line: deque[int] = deque()

    @contextmanager
    def in_line(self, amount: int) -> Iterator[None]:
        """A context of one who waits for so many units."""
        self._line.append(amount)
        try:
            yield
        finally:
            self._line.remove(amount)

    @property
    def lack(self) -> Lack:
        """What those in line wait for and was not lent yet."""
        if not self._line:
            return NO_LACK
        there = self._there()
        return Lack(
            max(0, math.ceil(sum(self._line) - there)),
            max(0, math.ceil(self._line[0] - there)),
        )

    def add(self, stretch: Stretch) -> None:
        """Nothing; the units were lent."""
        self._pieces.append(_Piece(self._clock() + stretch.wait, stretch.amount, stretch.each))

    def take(self, amount: float) -> float | None:
        """Seconds to wait before so many units may be used, which are taken; None where there are too few."""
        if self._there() < amount:
            return None
        due = self._clock()
        while amount > 0:
            piece = self._pieces[0]
            due = piece.due
            some = min(amount, piece.amount)
            piece.cut(some)
            amount -= some
            if piece.amount <= 0:
                self._pieces.popleft()
        return max(0.0, due - self._clock())

    def _there(self) -> float:
        """How many units there are; those that are long due are not."""
        last = self._clock() - _LATE
        while self._pieces and self._pieces[0].due < last:
            piece = self._pieces[0]
            piece.cut(min(piece.amount, math.ceil((last - piece.due) / piece.each)))
            if piece.amount <= 0:
                self._pieces.popleft()
        return sum(piece.amount for piece in self._pieces)
