"""What a sender is given and what it gives back: jobs, limits, outcomes, a report."""

from __future__ import annotations

import asyncio
import random as randomness
import time
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

from promptlabel.errors import ModelError
from promptlabel.records import Answer, Attempt, Question, RegisteredRule
from promptlabel.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Job:
    """A question to send; `request` is its digest, shared by equal requests, `item` comes back untouched."""

    question: Question
    request: str
    rule: RegisteredRule
    item: object = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job, and the requests sent for it that were not handed over before.

    `result` is None where nothing is decided yet, or ever in this run: keep the attempts, write no vote.
    """

    job: Job
    result: Answer | ModelError | None
    attempts: tuple[Attempt, ...] = ()


Deliver = Callable[[Outcome], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a sender keeps to; seconds throughout.

    Attributes:
        concurrency: the most requests open at once.
        attempts: the most times one question is sent; four times as many where the answer is a 429.
        deadline: for one whole request.
        longest_wait: a server that asks for more ends the run.
        patience: a model that answered nothing for so long ends the run.
        grace: what requests in flight are given to finish after a stop.
    """

    concurrency: int = 16
    attempts: int = 6
    deadline: float = 120.0
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    longest_wait: float = 300.0
    patience: float = 600.0
    grace: float = 5.0

    @classmethod
    def of(cls, settings: ModelSettings) -> Limits:
        """The limits in a model's settings."""
        return cls(
            concurrency=settings.concurrency,
            attempts=settings.attempts,
            deadline=settings.timeout,
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
        )


def utc_now() -> datetime:
    """The date and time now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Chance:
    """Time and luck, given from outside: a monotonic clock, the date, sleep, and numbers in [0, 1)."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = randomness.random


@dataclass(slots=True)
class SendReport:
    """What a run did so far; `stopped` is a cause word where it ended early, and `message` says why.

    Attributes:
        shared: jobs that got the answer to an equal request.
        calls, usd, input_tokens, output_tokens: over all attempts, failed ones too.
        causes: how many attempts ended how; ``ok`` for a well-formed answer.
    """

    answered: int = 0
    failed: int = 0
    shared: int = 0
    calls: int = 0
    usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None
    message: str = ""

    def count(self, attempt: Attempt) -> None:
        """Nothing; the attempt is added to the sums."""
        self.calls += 1
        self.usd += attempt.usd
        self.input_tokens += attempt.usage.input_tokens
        self.output_tokens += attempt.usage.output_tokens
        self.causes[attempt.cause] += 1


Jobs: TypeAlias = Iterable[Job] | AsyncIterable[Iterable[Job]]
"""Jobs that are at hand, or batches of them that have to be waited for."""


class Feed:
    """The next of many jobs; batches of them are waited for by one worker at a time."""

    def __init__(self, jobs: Jobs) -> None:
        self.exhausted = False
        self._lock = asyncio.Lock()
        self._later: AsyncIterator[Iterable[Job]] | None = None
        self._now: Iterator[Job] = iter(())
        if isinstance(jobs, AsyncIterable):
            self._later = aiter(jobs)
        else:
            self._now = iter(jobs)

    @property
    def awaited(self) -> bool:
        """Whether a worker is waiting for the next job already."""
        return self._lock.locked()

    def at_hand(self) -> Job | None:
        """The next job, or None where it has to be waited for, and after the last."""
        job = next(self._now, None)
        if job is None and self._later is None:
            self.exhausted = True
        return job

    async def next(self) -> Job | None:
        """The next job, or None after the last."""
        async with self._lock:
            while (job := self.at_hand()) is None and not self.exhausted:
                await self._turn()
        return job

    async def _turn(self) -> None:
        """Nothing; the next batch is at hand."""
        batch = await anext(self._later, None) if self._later else None
        if batch is None:
            self.exhausted = True
        else:
            self._now = iter(batch)
