"""What a run has done so far, for whoever watches: kept in plain counts, worked out when somebody looks."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from promptlabel.records import Vote

_RATE_OVER: Final = 10.0
"""Seconds over which the rate is taken, so that it tells of now rather than of the start."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What goes between a run and its models: `causes` says how attempts ended, ``ok`` for a well-formed answer."""

    in_flight: int = 0
    calls: int = 0
    usd: float = 0.0
    causes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment.

    Attributes:
        seconds: since it began.
        rate: votes a second over the last ten seconds.
        errors: attempts that failed, by cause; most of them are tried again.
        dead_letters: votes that could not be had, by cause.
        projected_usd: what the run will have cost, if the rest costs as much a vote as what was asked so far.
        seconds_left: None while no rate is known.
    """

    seconds: float
    votes: int
    total: int
    rate: float
    in_flight: int
    calls: int
    errors: Mapping[str, int]
    dead_letters: Mapping[str, int]
    usd: float
    projected_usd: float
    seconds_left: float | None


def _unheard(line: str) -> None:
    """Nothing."""


class Progress:
    """Told of each vote as it is cast; reading it never holds the run up.

    Attributes:
        note: is told, a line each, of what is worth a word while the run goes on.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, note: Callable[[str], None] = _unheard
    ) -> None:
        self.note = note
        self._clock = clock
        self._began = clock()
        self._total = self._to_ask = self._cast = self._asked = 0
        self._dead: Counter[str] = Counter()
        self._traffic: Callable[[], Traffic] = Traffic
        self._seen: deque[tuple[float, int]] = deque([(self._began, 0)])

    def begin(self, votes: int, to_ask: int) -> None:
        """Nothing; this many votes are to be cast, so many of them by asking a model."""
        self._total, self._to_ask = votes, to_ask

    def watch(self, traffic: Callable[[], Traffic]) -> None:
        """Nothing; from now on this tells what goes between the run and its models."""
        self._traffic = traffic

    def cast(self, vote: Vote) -> None:
        """Nothing; one vote was cast."""
        self._cast += 1
        self._asked += vote.request is not None
        if vote.status in ("malformed", "error"):
            self._dead[vote.cause or vote.status] += 1

    def cast_elsewhere(self, votes: int) -> None:
        """Nothing; so many votes of code rules were cast by another process."""
        self._cast += votes

    def snapshot(self) -> Snapshot:
        """The run now."""
        now, traffic = self._clock(), self._traffic()
        rate = self._rate(now)
        left = self._total - self._cast
        return Snapshot(
            seconds=now - self._began,
            votes=self._cast,
            total=self._total,
            rate=rate,
            in_flight=traffic.in_flight,
            calls=traffic.calls,
            errors={cause: count for cause, count in dict(traffic.causes).items() if cause != "ok"},
            dead_letters=dict(self._dead),
            usd=traffic.usd,
            projected_usd=traffic.usd * max(1.0, self._to_ask / self._asked) if self._asked else traffic.usd,
            seconds_left=left / rate if rate else (None if left else 0.0),
        )

    def _rate(self, now: float) -> float:
        self._seen.append((now, self._cast))
        while len(self._seen) > 2 and self._seen[0][0] < now - _RATE_OVER:
            self._seen.popleft()
        since, before = self._seen[0]
        return (self._cast - before) / (now - since) if now > since else 0.0
