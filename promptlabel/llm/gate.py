"""When the next request may leave: concurrency that adapts, waits the server asked for, rates, an open circuit."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from promptlabel.errors import ModelError
from promptlabel.llm.failures import OUTAGE

_SUCCESSES_PER_SLOT: Final = 8
_KEPT_AFTER_A_TIMEOUT: Final = 0.7
_FEWEST_FAILURES: Final = 10
_SHARE_OF_FAILURES: Final = 4
_FIRST_PROBE: Final = 1.0
_LONGEST_PROBE: Final = 30.0


class Pass(NamedTuple):
    """Leave to send one request: since which hold and which narrowing, and whether it alone tries the server out."""

    epoch: int
    probe: bool
    narrowing: int = 0


class Gate:
    """Lets requests of one model leave.

    One request goes first, alone, so that a bad key costs one call. After its success up to `ceiling` are
    open at once. Each 429, and each answer that took half of its deadline, says that one too many was open and
    takes a place away; every 8 successes give one back. A request that ran out of time leaves 7 places of 10,
    once for all that were open with it. A wait that the server asks for holds everybody, and so does a row of failures as long as a quarter
    of the ceiling (circuit breaker); afterwards one request tries alone again.
    """

    def __init__(
        self,
        ceiling: int,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        slow: float = math.inf,
    ) -> None:
        self.in_flight = 0
        self._slow = slow
        self._narrowing = 0
        self._ceiling = ceiling
        self._window = float(ceiling)
        self._failures_to_open = max(_FEWEST_FAILURES, ceiling // _SHARE_OF_FAILURES)
        self._clock = clock
        self._sleep = sleep
        self._requests = Pace(requests_per_minute, clock) if requests_per_minute else None
        self._tokens = Pace(tokens_per_minute, clock) if tokens_per_minute else None
        self._held_until = clock()
        self._epoch = self._failures = self._trips = 0
        self._probing, self._probe_is_out, self._has_answered = True, False, False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def window(self) -> int:
        """How many requests may be open now."""
        return 1 if self._probing else int(self._window)

    async def enter(self, tokens: int = 0) -> Pass:
        """A pass, once a request of so many tokens may leave; `leave` gives it back. The wait can be cancelled."""
        while True:
            if self._held_until > self._clock() or self._is_full():
                await self._opened()
            self.in_flight += 1
            admitted = Pass(self._epoch, self._probing, self._narrowing)
            self._probe_is_out |= admitted.probe
            if await self._kept_pace(tokens, admitted) and self._held_until <= self._clock():
                return admitted
            self.withdraw(admitted)

    def leave(self, admitted: Pass, error: ModelError | None = None, seconds: float = 0.0) -> None:
        """Nothing; the gate learns how the request ended, and after how long."""
        if error is not None and error.cause == "timeout":
            self._narrow(admitted)
        elif seconds > self._slow:
            self._window = max(1.0, self._window - 1)
        if error is None:
            self._succeeded(admitted, grows=seconds <= self._slow)
        elif error.cause == "rate_limit":
            self._window = max(1.0, self._window - 1)
            self._failed(admitted, error.retry_after)
        elif error.cause in OUTAGE:
            self._failed(admitted, error.retry_after)
        elif self._has_answered:
            self._succeeded(admitted)
        self.withdraw(admitted)

    def pause(self, seconds: float) -> None:
        """Nothing; no request leaves for so long, because the provider says that none is left."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    def withdraw(self, admitted: Pass) -> None:
        """Nothing; the pass is given back and nothing is learned from it."""
        self.in_flight -= 1
        if admitted.probe and admitted.epoch == self._epoch:
            self._probe_is_out = False
        self._wake(1)

    def _narrow(self, admitted: Pass) -> None:
        if admitted.narrowing == self._narrowing:
            self._narrowing += 1
            self._window = max(1.0, self._window * _KEPT_AFTER_A_TIMEOUT)

    def _succeeded(self, admitted: Pass, *, grows: bool = True) -> None:
        self._has_answered = True
        self._failures = 0
        if admitted.epoch != self._epoch:
            return
        self._trips = 0
        if self._probing:
            self._probing = False
            self._wake(self.window)
        elif grows and self._window < self._ceiling:
            self._window = min(self._ceiling, self._window + 1 / _SUCCESSES_PER_SLOT)
            self._wake(1)

    def _failed(self, admitted: Pass, told: float | None) -> None:
        if told is not None:
            self._hold(told)
        elif admitted.epoch == self._epoch:
            self._failures += 1
            if admitted.probe or self._failures >= self._failures_to_open:
                self._trip()

    def _trip(self) -> None:
        self._hold(min(_LONGEST_PROBE, _FIRST_PROBE * 2.0**self._trips))
        self._trips += 1

    def _hold(self, seconds: float) -> None:
        self._held_until = max(self._held_until, self._clock() + seconds)
        self._epoch += 1
        self._failures = 0
        self._probing, self._probe_is_out = True, False

    async def _opened(self) -> None:
        while True:
            wait = self._held_until - self._clock()
            if wait > 0:
                await self._sleep(wait)
            elif self._is_full():
                await self._freed()
            else:
                return

    def _is_full(self) -> bool:
        if self._probing:
            return self._probe_is_out or self.in_flight >= self._ceiling
        return self.in_flight >= int(self._window)

    async def _kept_pace(self, tokens: int, admitted: Pass) -> bool:
        try:
            for pace, amount in ((self._requests, 1), (self._tokens, tokens)):
                wait = pace.take(amount) if pace else 0.0
                if wait > 0:
                    await self._sleep(wait)
        except asyncio.CancelledError:
            self.withdraw(admitted)
            raise
        return admitted.epoch == self._epoch

    async def _freed(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _wake(self, number: int) -> None:
        while number and self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                number -= 1


class Pace:
    """A steady rate: each unit takes its share of a minute, and nothing is saved up (virtual scheduling)."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._share = 60.0 / per_minute
        self._clock = clock
        self._next = clock()

    def take(self, amount: int) -> float:
        """Seconds to wait before so many units may be used; they are taken."""
        now = self._clock()
        start = max(now, self._next)
        self._next = start + amount * self._share
        return start - now
