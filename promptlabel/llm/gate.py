"""When the next request may leave: places that adapt, waits the server asked for, rates, an open circuit."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from typing import ClassVar

from promptlabel.errors import ModelError
from promptlabel.llm.window import Pass, Window


class Gate(ABC):
    """Lets requests of one model leave, as many as have places, none while everybody is held.

    Attributes:
        askers_a_place: how many workers share a place, so that one asks while another's answer is being stored.
        in_flight: requests that were let through, or wait for their turn by the rates, and did not end.
    """

    askers_a_place: ClassVar[int] = 1

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self.in_flight = 0
        self._clock = clock
        self._sleep = sleep
        self._probe_of: int | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, tokens: int = 0) -> Pass:
        """A pass, once a request of so many tokens may leave; `leave` gives it back. The wait can be cancelled."""
        while True:
            await self._opened()
            admitted = self._admitted()
            self.in_flight += 1
            if admitted.probe:
                self._probe_of = admitted.epoch
            try:
                await self._keep_pace(tokens)
            except BaseException:
                self.withdraw(admitted)
                raise
            if self._is_good(admitted):
                return admitted
            self.withdraw(admitted)

    def leave(self, admitted: Pass, error: ModelError | None = None, seconds: float = 0.0) -> None:
        """Nothing; the gate learns how the request ended, and after how long."""
        self._learn(admitted, error, seconds)
        self.withdraw(admitted)

    def withdraw(self, admitted: Pass) -> None:
        """Nothing; the pass is given back and nothing is learned from it."""
        self.in_flight -= 1
        if admitted.probe and admitted.epoch == self._probe_of:
            self._probe_of = None
        self._wake()

    @abstractmethod
    def pause(self, seconds: float) -> None:
        """Nothing; no request leaves for so long, because the provider says that none is left."""

    @property
    @abstractmethod
    def window(self) -> int:
        """How many requests may be open now."""

    @abstractmethod
    def _admitted(self) -> Pass: ...

    @abstractmethod
    def _learn(self, admitted: Pass, error: ModelError | None, seconds: float) -> None: ...

    @abstractmethod
    def _held(self) -> float: ...

    @abstractmethod
    def _is_full(self) -> bool: ...

    @abstractmethod
    async def _keep_pace(self, tokens: int) -> None: ...

    @abstractmethod
    def _is_good(self, admitted: Pass) -> bool: ...

    async def _opened(self) -> None:
        while True:
            wait = self._held()
            if wait > 0:
                await self._sleep(wait)
            elif self._is_full():
                await self._freed()
            else:
                return

    async def _freed(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _wake(self, number: int | None = None) -> None:
        number = number or max(1, self.window - self.in_flight)
        while number and self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                number -= 1


class OwnGate(Gate):
    """The gate of the only sender of a model: its window and its rates are its own."""

    def __init__(
        self,
        ceiling: int,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        slow: float = math.inf,
    ) -> None:
        super().__init__(clock, sleep)
        self._window = Window(ceiling, clock, slow)
        self._requests = Pace(requests_per_minute, clock) if requests_per_minute else None
        self._tokens = Pace(tokens_per_minute, clock) if tokens_per_minute else None

    @property
    def window(self) -> int:
        """See `Gate.window`."""
        return self._window.places

    def pause(self, seconds: float) -> None:
        """See `Gate.pause`."""
        self._window.pause(seconds)

    def _admitted(self) -> Pass:
        return Pass(self._window.epoch, self._window.probing, self._window.narrowing)

    def _learn(self, admitted: Pass, error: ModelError | None, seconds: float) -> None:
        self._window.learn(admitted, error, seconds)

    def _held(self) -> float:
        return self._window.held

    def _is_full(self) -> bool:
        if self._window.probing:
            return self._probe_of == self._window.epoch or self.in_flight >= self._window.ceiling
        return self.in_flight >= self._window.places

    async def _keep_pace(self, tokens: int) -> None:
        for pace, amount in ((self._requests, 1), (self._tokens, tokens)):
            wait = pace.take(amount) if pace else 0.0
            if wait > 0:
                await self._sleep(wait)

    def _is_good(self, admitted: Pass) -> bool:
        return admitted.epoch == self._window.epoch and self._window.held <= 0


class Pace:
    """A steady rate: each unit takes its share of a minute, and nothing is saved up (virtual scheduling)."""

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self.share = 60.0 / per_minute
        self._clock = clock
        self._next = clock()

    @property
    def wait(self) -> float:
        """Seconds before the next unit may be used; below 0 where it might have been."""
        return self._next - self._clock()

    def take(self, amount: float) -> float:
        """Seconds to wait before so many units may be used; they are taken."""
        now = self._clock()
        start = max(now, self._next)
        self._next = start + amount * self.share
        return start - now
