"""One model's rates for senders in several processes: each gets what it can use of what the others leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from promptlabel.errors import ModelError
from promptlabel.llm.gate import Pace
from promptlabel.llm.jobs import Limits
from promptlabel.llm.window import Pass, Window

PACED_AT: Final = 0.97
"""Of the rates per minute: messages come late by differing times, so that what was given out evenly arrives in bunches."""
_AHEAD: Final = 0.5
"""Seconds that a pace may be given out in advance: longer than two messages take, short enough to lose little when
a sender ends."""


class Ended(NamedTuple):
    """How a request ended: its pass, the cause and the wait of its failure, and its seconds."""

    admitted: Pass
    cause: str | None = None
    retry_after: float | None = None
    seconds: float = 0.0

    @property
    def error(self) -> ModelError | None:
        """The failure, None for an answer."""
        return ModelError(self.cause, cause=self.cause, retry_after=self.retry_after) if self.cause else None


class Lack(NamedTuple):
    """Units of a pace that requests wait for: all of them, and the first alone."""

    all: int
    first: int


NO_LACK: Final = Lack(0, 0)


class Report(NamedTuple):
    """What a sender says of itself since it last did.

    Attributes:
        open: requests in flight.
        wanted: requests it would have in flight if it might.
        ended: how requests ended.
        pause: seconds that its provider says nobody should send.
        requests, tokens: what its requests wait for.
    """

    open: int = 0
    wanted: int = 0
    ended: tuple[Ended, ...] = ()
    pause: float = 0.0
    requests: Lack = NO_LACK
    tokens: Lack = NO_LACK


class Stretch(NamedTuple):
    """So many units, the first to be used after `wait` seconds, each other `each` seconds after the one before."""

    wait: float
    amount: float
    each: float


class Share(NamedTuple):
    """What a sender may do until it hears of the next.

    Attributes:
        places: requests it may have in flight.
        held: seconds that no request may leave.
        probing: whether only one request at a time may leave, to try the server out.
        epoch, narrowing: see `Window`.
    """

    places: int
    held: float
    probing: bool
    epoch: int
    narrowing: int
    requests: Stretch | None = None
    tokens: Stretch | None = None


@dataclass(slots=True)
class _Member:
    """A sender: what it may have in flight by its last share, the most it can have, and what it wants."""

    places: int = 0
    most: int = 0
    wanted: int = 0


class Rates:
    """Divides one model's places and paces among its senders, by what each wants, anew whenever one of them speaks.

    A sender's places count as taken until it has said, after it was told of fewer, that they are free: so all together
    never have more in flight than may be. What one learns of the server holds for all.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._window = Window(limits.concurrency, clock, limits.deadline / 2)
        self._requests = _pace(limits.requests_per_minute, clock)
        self._tokens = _pace(limits.tokens_per_minute, clock)
        self._members: dict[str, _Member] = {}

    def exchange(self, sender: str, report: Report) -> Share:
        """What the sender may do from now on."""
        self._learn(report)
        member = self._members.setdefault(sender, _Member())
        member.wanted = report.wanted
        member.most = max(member.places, report.open)
        member.places = self._places(member, report)
        member.most = max(member.most, member.places)
        window = self._window
        return Share(
            member.places,
            max(0.0, window.held),
            window.probing,
            window.epoch,
            window.narrowing,
            _stretch(self._requests, report.requests),
            _stretch(self._tokens, report.tokens),
        )

    def leave(self, sender: str) -> None:
        """Nothing; the sender has nothing more to send now, and what it held is free for others."""
        self._members.pop(sender, None)

    def _learn(self, report: Report) -> None:
        for ended in report.ended:
            self._window.learn(ended.admitted, ended.error, ended.seconds)
        if report.pause > 0:
            self._window.pause(report.pause)

    def _places(self, member: _Member, report: Report) -> int:
        others = [other for other in self._members.values() if other is not member]
        taken = sum(other.most for other in others)
        if self._window.probing:
            may_probe = all(other.places == 0 for other in others) and report.wanted
            return min(self._window.ceiling - taken, report.open + 1) if may_probe else 0
        fair = fair_share(self._window.places, member.wanted, [other.wanted for other in others])
        return max(0, min(fair, self._window.places - taken))


def fair_share(places: int, wanted: int, others: Iterable[int]) -> int:
    """How many of the places go to one who wants so many, beside others: all that fits, else as much as anybody gets.

    The remainder of a division goes to whoever asks, so that no place is left empty.
    """
    left, askers = places, len(list(others := sorted(others))) + 1
    for other in others:
        if other * askers > left:
            break
        left, askers = left - other, askers - 1
    return min(wanted, -(-left // askers))


def _pace(per_minute: int | None, clock: Callable[[], float]) -> Pace | None:
    return Pace(per_minute * PACED_AT, clock) if per_minute else None


def _stretch(pace: Pace | None, lack: Lack) -> Stretch | None:
    """Units of the pace as far as it may be given out in advance, at least those of one request."""
    if pace is None or not lack.all or pace.wait >= _AHEAD:
        return None
    room = int((_AHEAD - max(0.0, pace.wait)) / pace.share)
    amount = max(lack.first, min(lack.all, room))
    return Stretch(pace.take(amount), amount, pace.share)
