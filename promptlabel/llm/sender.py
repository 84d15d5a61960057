"""Many questions to one model: bounded, retried in one place, held to the budget, each answered once."""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from promptlabel.errors import ModelError
from promptlabel.llm.client import CarefulClient, Client
from promptlabel.llm.crew import Crew
from promptlabel.llm.exchange import Ask, Requests
from promptlabel.llm.failures import OF_THE_RULE, RETRIED
from promptlabel.llm.gate import Gate
from promptlabel.llm.jobs import Chance, Deliver, Feed, Job, Jobs, Limits, Outcome, SendReport
from promptlabel.llm.ledger import Account
from promptlabel.records import Answer, Attempt

_REMEMBERED: Final = 12_288
_FOLLOWERS: Final = 1024
_STRIKES: Final = 3
_RATE_LIMITS_PER_ATTEMPT: Final = 4
_FIRST_WAIT: Final = 0.5
_LONGEST_BACKOFF: Final = 30.0


@dataclass(slots=True)
class _Pending:
    job: Job
    since: float
    attempts: list[Attempt] = field(default_factory=list)
    followers: list[Job] = field(default_factory=list)
    tries: int = 0
    rate_limits: int = 0


class Sender:
    """Sends jobs to one client; made inside a running event loop, for one run.

    As many workers as may be open at once pull jobs when they are free, so that a million jobs take no more
    memory than a few. A failed job that may succeed later waits in a heap with full jitter [1] while its worker
    goes on. This is the only place that retries. Equal requests are sent once; whoever comes later gets the
    first one's answer.

    [1] Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    def __init__(
        self,
        client: Client,
        limits: Limits,
        account: Account,
        chance: Chance | None = None,
        record: Callable[[Attempt], None] | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._record = record
        self.report = SendReport()
        self._client = client
        self._careful = client if isinstance(client, CarefulClient) else None
        self._limits = limits
        self._chance = chance or Chance()
        self._crew = Crew()
        self._requests = Requests(client, limits, account, self._chance, self._crew, gate)
        self._open: dict[str, _Pending] = {}
        self._recent: OrderedDict[str, Answer] = OrderedDict()
        self._retries: list[tuple[float, int, _Pending]] = []
        self._order = count()
        self._answered_at = self._chance.clock()

    @property
    def in_flight(self) -> int:
        """How many requests are open."""
        return self._requests.gate.in_flight

    async def run(self, jobs: Jobs, deliver: Deliver) -> SendReport:
        """The report, once every job has been delivered or the run was stopped.

        Jobs are delivered in the order of their answers. Before that, each request that decided nothing is
        handed over when it ends: a run that is killed must not forget what it paid.

        Raises:
            Exception: whatever `jobs` or `deliver` raised; requests in flight are then cut off.
        """
        self._jobs = Feed(jobs)
        self._deliver = deliver
        await self._crew.run(self._limits.concurrency * self._requests.gate.askers_a_place, self._work)
        return self.report

    def stop(self, cause: str = "interrupted", message: str = "the run was interrupted") -> None:
        """Nothing; no further request leaves, and those in flight have `grace` seconds to finish."""
        if self.report.stopped is None:
            self.report.stopped, self.report.message = cause, message
            self._crew.stop(self._limits.grace)

    async def _work(self) -> None:
        while pending := await self._next():
            try:
                answer = await self._well_formed(pending)
            except ModelError as error:
                await self._failed(pending, error)
            else:
                await self._finish(pending, answer)

    # --- which question is next
    async def _next(self) -> _Pending | None:
        while True:
            self._crew.leave_if_stopped()
            if self._retry_is_next():
                return await self._next_retry()
            job = self._jobs.at_hand()
            if job is None and not self._jobs.exhausted:
                with self._crew.waiting:
                    job = await self._jobs.next()
            if job is None and not self._retries:
                return None
            pending = job and await self._admit(job)
            if pending:
                return pending

    def _retry_is_next(self) -> bool:
        if not self._retries:
            return False
        full = len(self._retries) >= self._limits.concurrency
        no_more = self._jobs.exhausted or self._jobs.awaited
        return full or no_more or self._retries[0][0] <= self._chance.clock()

    async def _next_retry(self) -> _Pending:
        due, _, pending = heapq.heappop(self._retries)
        with self._crew.waiting:
            await self._chance.sleep(max(0.0, due - self._chance.clock()))
        return pending

    async def _admit(self, job: Job) -> _Pending | None:
        answer = self._recent.get(job.request)
        if answer is not None:
            await self._share(job, answer)
            return None
        pending = self._open.get(job.request)
        if pending is None:
            pending = self._open[job.request] = _Pending(job, self._chance.clock())
            return pending
        pending.followers.append(job)
        with self._crew.waiting:
            await asyncio.sleep(0 if len(pending.followers) < _FOLLOWERS else 0.05)
        return None

    # --- one question
    async def _well_formed(self, pending: _Pending) -> Answer:
        answer = await self._request(pending, self._client.ask, pending.job)
        careful = self._careful
        if careful is None or pending.attempts[-1].cause == "ok":
            return answer
        await self._book(pending)
        try:
            correction = replace(pending.job, question=careful.correction(pending.job.question, answer))
            return await self._request(pending, careful.correct, correction)
        except ModelError as error:
            if error.permanent:
                raise
            return answer  # what a failed correction cost goes with it

    async def _request(self, pending: _Pending, ask: Ask, job: Job) -> Answer:
        exchange = await self._requests.send(job, ask)
        if exchange is None:
            self.stop("budget", "the budget is used up: raise `budget` to go on where this stopped")
            raise ModelError(self.report.message, cause="budget", permanent=True)
        pending.attempts.append(exchange.attempt)
        self.report.count(exchange.attempt)
        if self._record is not None:
            self._record(exchange.attempt)
        if isinstance(exchange.result, Answer):
            self._answered_at = self._chance.clock()
            return exchange.result
        pending.rate_limits += exchange.result.cause == "rate_limit"
        pending.tries += exchange.result.cause != "rate_limit" and not exchange.probe
        raise exchange.result

    async def _failed(self, pending: _Pending, error: ModelError) -> None:
        self._stop_if_hopeless(error)
        may_pass = error.cause in RETRIED
        undecided = error.permanent or error.cause == "stopped" or (may_pass and self.report.stopped)
        if undecided:
            await self._book(pending)
        elif not may_pass or self._is_spent(pending):
            await self._finish(pending, error)
        else:
            await self._book(pending)
            self._retry_later(pending, error.retry_after or 0.0)

    async def _book(self, pending: _Pending) -> None:
        """Nothing; the requests sent so far are handed over, though they decided nothing."""
        attempts = tuple(pending.attempts)
        pending.attempts.clear()
        if attempts:
            await self._deliver(Outcome(pending.job, None, attempts))

    def _stop_if_hopeless(self, error: ModelError) -> None:
        silent_for = self._chance.clock() - self._answered_at
        same_so_far = self.report.causes[error.cause] if not self.report.answered else 0
        if error.permanent:
            self.stop(error.cause, str(error))
        elif (error.retry_after or 0.0) > self._limits.longest_wait:
            self.stop(error.cause, f"the server asks to wait {error.retry_after:.0f} s: run this again later")
        elif error.cause in RETRIED and silent_for > self._limits.patience:
            self.stop(error.cause, f"no answer for {silent_for:.0f} s: {error}")
        elif error.cause in OF_THE_RULE and same_so_far >= _STRIKES:
            self.stop(error.cause, f"the first {_STRIKES} questions all failed: {error}")

    def _is_spent(self, pending: _Pending) -> bool:
        return (
            pending.tries >= self._limits.attempts
            or pending.rate_limits >= self._limits.attempts * _RATE_LIMITS_PER_ATTEMPT
            or self._chance.clock() - pending.since > self._limits.patience
        )

    def _retry_later(self, pending: _Pending, told: float) -> None:
        failures = min(16, pending.tries + pending.rate_limits)
        backoff = min(_LONGEST_BACKOFF, _FIRST_WAIT * 2.0**failures)
        due = self._chance.clock() + told + self._chance.random() * backoff
        heapq.heappush(self._retries, (due, next(self._order), pending))

    # --- what came of it
    async def _finish(self, pending: _Pending, result: Answer | ModelError) -> None:
        del self._open[pending.job.request]
        if isinstance(result, Answer):
            self._remember(pending.job.request, result)
        await self._hand_over(Outcome(pending.job, result, tuple(pending.attempts)))
        for job in pending.followers:
            await self._share(job, result)

    async def _share(self, job: Job, result: Answer | ModelError) -> None:
        self.report.shared += 1
        await self._hand_over(Outcome(job, result))
        await asyncio.sleep(0)

    async def _hand_over(self, outcome: Outcome) -> None:
        if isinstance(outcome.result, Answer):
            self.report.answered += 1
        else:
            self.report.failed += 1
        await self._deliver(outcome)

    def _remember(self, request: str, answer: Answer) -> None:
        self._recent[request] = answer
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
