"""One request: paid for in advance, let through the gate, asked under a deadline, settled, recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from promptlabel.errors import ModelError
from promptlabel.llm.client import CarefulClient, Client
from promptlabel.llm.crew import Crew
from promptlabel.llm.failures import UnusableAnswerError
from promptlabel.llm.gate import Gate, OwnGate
from promptlabel.llm.jobs import Chance, Job, Limits
from promptlabel.llm.ledger import Account, Reservation
from promptlabel.llm.window import Pass
from promptlabel.records import Answer, Attempt, Question, Usage

Ask = Callable[[Question], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one request brought, its entry in the ledger, and whether it only tried the server out."""

    result: Answer | ModelError
    attempt: Attempt
    probe: bool


class Requests:
    """Sends single requests to one client, within an account and the limits; through a gate of its own, if none is given."""

    def __init__(
        self,
        client: Client,
        limits: Limits,
        account: Account,
        chance: Chance,
        crew: Crew,
        gate: Gate | None = None,
    ) -> None:
        self.gate = gate or OwnGate(
            limits.concurrency,
            chance.clock,
            chance.sleep,
            limits.requests_per_minute,
            limits.tokens_per_minute,
            slow=limits.deadline / 2,
        )
        self._client = client
        self._careful = client if isinstance(client, CarefulClient) else None
        self._limits = limits
        self._account = account
        self._chance = chance
        self._crew = crew

    async def send(self, job: Job, ask: Ask) -> Exchange | None:
        """What the request brought; None where the budget does not allow it."""
        self._crew.leave_if_stopped()
        with self._crew.waiting:
            leave = await self._leave(job.question)
        if leave is None:
            return None
        admitted, reservation = leave
        started, at = self._chance.clock(), self._chance.now()
        result = await self._ask(ask, job.question)
        attempt = self._attempt(job, result, at, self._chance.clock() - started)
        self._account.settle(reservation, attempt.usd)
        self.gate.leave(admitted, result if isinstance(result, ModelError) else None, attempt.seconds)
        if self._careful is not None:
            self.gate.pause(self._careful.pause())
        return Exchange(result, attempt, admitted.probe)

    async def _leave(self, question: Question) -> tuple[Pass, Reservation] | None:
        """Pass and reservation; the money is set aside last, when all that was learned of prices is known."""
        while True:
            admitted = await self.gate.enter(self._tokens(question))
            reservation = self._account.try_reserve(self._bound(question))
            if reservation is not None:
                return admitted, reservation
            self.gate.withdraw(admitted)
            if not await self._account.settlement():
                return None

    def _bound(self, question: Question) -> float:
        return 0.0 if self._account.limit_usd is None else self._client.price(self._ceiling(question))

    def _tokens(self, question: Question) -> int:
        if self._limits.tokens_per_minute is None:
            return 0
        usage = self._client.count_tokens(question)
        return usage.input_tokens + usage.output_tokens

    async def _ask(self, ask: Ask, question: Question) -> Answer | ModelError:
        try:
            with self._crew.asking:
                async with asyncio.timeout(self._limits.deadline):
                    return await ask(question)
        except ModelError as error:
            return error
        except TimeoutError:
            return UnusableAnswerError(f"no answer within {self._limits.deadline:g} s", cause="timeout")
        except asyncio.CancelledError:
            if not self._crew.stopped:
                raise
            return UnusableAnswerError("cut off in flight by a stop", cause="stopped")
        except Exception as error:  # noqa: BLE001 - a client's fault over one question must not end the run
            return ModelError(f"{type(error).__name__}: {error}", cause="client_error")

    def _attempt(self, job: Job, result: Answer | ModelError, at: datetime, seconds: float) -> Attempt:
        usage, usd = self._cost(job.question, result)
        cause = self._cause(job.question, result)
        rule = job.rule
        return Attempt(job.request, rule.task, rule.rule, rule.model, at, seconds, cause, usage, usd)

    def _cost(self, question: Question, result: Answer | ModelError) -> tuple[Usage, float]:
        """What the server reports; where it was asked and reports nothing, the most it can have been."""
        if isinstance(result, UnusableAnswerError):
            if result.answer is None:
                most = self._ceiling(question)
                return most, self._client.price(most)
            return result.answer.usage, result.answer.usd
        return (result.usage, result.usd) if isinstance(result, Answer) else (Usage(), 0.0)

    def _cause(self, question: Question, result: Answer | ModelError) -> str:
        if isinstance(result, ModelError):
            return result.cause
        accepted = self._careful is None or self._careful.accepts(question, result)
        return "ok" if accepted else "malformed"

    def _ceiling(self, question: Question) -> Usage:
        return self._careful.ceiling(question) if self._careful else self._client.count_tokens(question)
