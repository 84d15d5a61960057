"""Sends the questions of all models at once, each model through a sender of its own, all on one budget."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, cast

from promptlabel.llm.client import Client
from promptlabel.llm.gate import Gate
from promptlabel.llm.jobs import Job, Limits, Outcome, SendReport
from promptlabel.llm.ledger import Account
from promptlabel.llm.sender import Sender
from promptlabel.pipeline.voting.accounts import close_account, open_account
from promptlabel.pipeline.voting.asking import Wanted
from promptlabel.pipeline.voting.loop import on_interrupt
from promptlabel.pipeline.voting.progress import Traffic
from promptlabel.pipeline.voting.telemetry import tracing
from promptlabel.pipeline.voting.writing import VoteWriter
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Answer, Vote
from promptlabel.store.contract import Store

SENDING: Final = "asking models"
"""What one process at a time may do: the budget is reserved, and questions are chosen, by that one alone."""

_FIRST_LOOK_UP: Final = 64
_LONGEST_LOOK_UP: Final = 1024
"""Questions rendered and looked up at once: a look-up reads all stored requests, however few it is for."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What all senders did together; `stopped` and `message` are those of the first that ended early."""

    calls: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    stopped: str | None = None
    message: str = ""

    def plus(self, other: Sent) -> Sent:
        """The sums of both; of two that ended early, the first's reason."""
        return Sent(
            self.calls + other.calls,
            self.cached + other.cached,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.usd + other.usd,
            self.stopped or other.stopped,
            self.message or other.message,
        )

    def joined(self, report: SendReport, cached: int) -> Sent:
        """The sums of this and what else was sent; of two that ended early, this one's reason."""
        tokens = report.input_tokens, report.output_tokens
        return self.plus(Sent(report.calls, cached, *tokens, report.usd, report.stopped, report.message))


Chunk = Sequence[Wanted | Vote]


@dataclass(frozen=True, slots=True)
class Questions:
    """All that one model is to be asked, in chunks that share what can be looked up at once."""

    client: Client
    chunks: Iterable[Chunk]


@dataclass(frozen=True, slots=True)
class _LookedUp:
    """What is to be voted on, and the answers that were paid for before."""

    items: Chunk
    known: Mapping[str, Answer]

    @property
    def broken(self) -> list[Vote]:
        """The dead letters of what cannot be rendered."""
        return [item for item in self.items if isinstance(item, Vote)]

    @property
    def reused(self) -> list[Vote]:
        """The votes of what was answered before."""
        return [item.vote(self.known[item.request]) for item in self._wanted if item.request in self.known]

    @property
    def jobs(self) -> list[Job]:
        """What has to be asked."""
        return [item.job for item in self._wanted if item.request not in self.known]

    @property
    def _wanted(self) -> Iterator[Wanted]:
        return (item for item in self.items if isinstance(item, Wanted))


class _Delivery:
    """Turns outcomes into votes for the store, and counts what took no request."""

    def __init__(self, store: Store, writer: VoteWriter) -> None:
        self.cached = 0
        self._store = store
        self._writer = writer

    async def jobs(self, chunks: Iterable[Chunk]) -> AsyncIterator[Sequence[Job]]:
        """The questions that have to be asked; what was answered before, or cannot be rendered, is written at once.

        While the questions of one look-up are being asked, the next are rendered and looked up.
        """
        source, size = iter(chunks), _FIRST_LOOK_UP
        ahead = asyncio.create_task(self._look_up(source, size))
        try:
            while (looked_up := await ahead).items:
                size = min(2 * size, _LONGEST_LOOK_UP)
                ahead = asyncio.create_task(self._look_up(source, size))
                self.cached += len(looked_up.reused)
                self._writer.write([*looked_up.broken, *looked_up.reused])
                yield looked_up.jobs
        finally:
            ahead.cancel()

    async def deliver(self, outcome: Outcome) -> None:
        """Nothing; the vote that the outcome amounts to is put with its attempts."""
        item = cast("Wanted", outcome.job.item)
        vote = None if outcome.result is None else item.vote(outcome.result)
        self.cached += isinstance(outcome.result, Answer) and not outcome.attempts
        await self._writer.put(vote, outcome.attempts)

    async def _look_up(self, chunks: Iterator[Chunk], size: int) -> _LookedUp:
        items: list[Wanted | Vote] = []
        for chunk in chunks:
            items.extend(chunk)
            if len(items) >= size:
                break
            await asyncio.sleep(0)
        requests = [item.request for item in items if isinstance(item, Wanted)]
        return _LookedUp(items, await asyncio.to_thread(self._store.answers, requests))


async def send_all(
    workspace: Workspace,
    questions: Mapping[str, Questions],
    writer: VoteWriter,
    granted: Account | None = None,
    gates: Mapping[str, Gate] = MappingProxyType({}),
) -> Sent:
    """What was sent, by model name, once all votes are delivered or the run was stopped by signal, budget or failure.

    On the project's whole budget and rates, unless an account was granted, and gates by model name.
    """
    account = granted or open_account(workspace)
    delivery = _Delivery(workspace.store, writer)
    models = workspace.project.settings.models
    try:
        with tracing({name: models[name] for name in questions}) as records:
            senders = {
                name: Sender(
                    asked.client,
                    Limits.of(models[name]),
                    account,
                    record=records.get(name),
                    gate=gates.get(name),
                )
                for name, asked in questions.items()
            }
            writer.progress.watch(lambda: _traffic(senders.values()))
            reports = await _run(senders, questions, delivery)
    finally:
        await asyncio.gather(*(asked.client.close() for asked in questions.values()))
    if granted is None:
        close_account(workspace, account)
    return _summed(reports, delivery.cached)


async def _run(
    senders: Mapping[str, Sender], questions: Mapping[str, Questions], delivery: _Delivery
) -> list[SendReport]:
    def stop() -> None:
        for sender in senders.values():
            sender.stop()

    with on_interrupt(stop):
        return await asyncio.gather(
            *(
                senders[name].run(delivery.jobs(asked.chunks), delivery.deliver)
                for name, asked in questions.items()
            )
        )


def _traffic(senders: Iterable[Sender]) -> Traffic:
    causes: Counter[str] = Counter()
    for sender in senders:
        causes.update(dict(sender.report.causes))
    return Traffic(
        in_flight=sum(sender.in_flight for sender in senders),
        calls=sum(sender.report.calls for sender in senders),
        usd=sum(sender.report.usd for sender in senders),
        causes=causes,
    )


def _summed(reports: Sequence[SendReport], cached: int) -> Sent:
    early = next((report for report in reports if report.stopped), SendReport())
    return Sent(
        calls=sum(report.calls for report in reports),
        cached=cached,
        input_tokens=sum(report.input_tokens for report in reports),
        output_tokens=sum(report.output_tokens for report in reports),
        usd=sum(report.usd for report in reports),
        stopped=early.stopped,
        message=early.message,
    )
