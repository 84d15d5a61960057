"""How many requests of one model may be open, and when: learnt from how requests end, wherever they were sent."""

from __future__ import annotations

import math
from collections.abc import Callable
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


class Window:
    """The places for requests that are open at once.

    One request goes first, alone, so that a bad key costs one call. After its success up to `ceiling` are
    open at once. Each 429, and each answer that took half of its deadline, says that one too many was open and
    takes a place away; every 8 successes give one back. A request that ran out of time leaves 7 places of 10,
    once for all that were open with it. A wait that the server asks for holds everybody, and so does a row of failures as long as a quarter
    of the ceiling (circuit breaker); afterwards one request tries alone again.

    Attributes:
        probing: whether one request is to try the server out, alone.
        epoch: how often everybody was held.
        narrowing: how often requests ran out of time.
    """

    def __init__(self, ceiling: int, clock: Callable[[], float], slow: float = math.inf) -> None:
        self.ceiling = ceiling
        self.probing = True
        self.epoch = self.narrowing = 0
        self._slow = slow
        self._places = float(ceiling)
        self._failures_to_open = max(_FEWEST_FAILURES, ceiling // _SHARE_OF_FAILURES)
        self._clock = clock
        self._held_until = clock()
        self._failures = self._trips = 0
        self._has_answered = False

    @property
    def places(self) -> int:
        """How many requests may be open now."""
        return 1 if self.probing else int(self._places)

    @property
    def held(self) -> float:
        """Seconds that no request may leave; 0 or less where one may."""
        return self._held_until - self._clock()

    def learn(self, admitted: Pass, error: ModelError | None = None, seconds: float = 0.0) -> None:
        """Nothing; the window learns how a request ended, and after how long."""
        if error is not None and error.cause == "timeout":
            self._narrow(admitted)
        elif seconds > self._slow:
            self._places = max(1.0, self._places - 1)
        if error is None:
            self._succeeded(admitted, grows=seconds <= self._slow)
        elif error.cause == "rate_limit":
            self._places = max(1.0, self._places - 1)
            self._failed(admitted, error.retry_after)
        elif error.cause in OUTAGE:
            self._failed(admitted, error.retry_after)
        elif self._has_answered:
            self._succeeded(admitted)

    def pause(self, seconds: float) -> None:
        """Nothing; no request leaves for so long, because the provider says that none is left."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    def _narrow(self, admitted: Pass) -> None:
        if admitted.narrowing == self.narrowing:
            self.narrowing += 1
            self._places = max(1.0, self._places * _KEPT_AFTER_A_TIMEOUT)

    def _succeeded(self, admitted: Pass, *, grows: bool = True) -> None:
        self._has_answered = True
        self._failures = 0
        if admitted.epoch != self.epoch:
            return
        self._trips = 0
        if self.probing:
            self.probing = False
        elif grows:
            self._places = min(self.ceiling, self._places + 1 / _SUCCESSES_PER_SLOT)

    def _failed(self, admitted: Pass, told: float | None) -> None:
        if told is not None:
            self._hold(told)
        elif admitted.epoch == self.epoch:
            self._failures += 1
            if admitted.probe or self._failures >= self._failures_to_open:
                self._hold(min(_LONGEST_PROBE, _FIRST_PROBE * 2.0**self._trips))
                self._trips += 1

    def _hold(self, seconds: float) -> None:
        self.pause(seconds)
        self.epoch += 1
        self._failures = 0
        self.probing = True
