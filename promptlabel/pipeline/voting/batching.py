"""Votes by batch files: written, submitted once, waited for, collected; only what is left is submitted again."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from promptlabel.errors import Fault, ModelError, raise_if_any
from promptlabel.llm.batches import BatchClient, BatchRunner, BatchState
from promptlabel.llm.client import HostedModel
from promptlabel.llm.failures import RETRIED
from promptlabel.llm.jobs import SendReport, utc_now
from promptlabel.pipeline.voting.accounts import batch_account
from promptlabel.pipeline.voting.asking import (
    Asking,
    Wanted,
    by_model,
    connect_models,
    interleaved,
    render,
    wanted,
)
from promptlabel.pipeline.voting.batch_collecting import Collector, Harvest
from promptlabel.pipeline.voting.batch_filling import BatchFiller
from promptlabel.pipeline.voting.batch_log import Batch, BatchLog, Slot
from promptlabel.pipeline.voting.loop import on_interrupt
from promptlabel.pipeline.voting.progress import Traffic
from promptlabel.pipeline.voting.writing import VoteWriter
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Vote
from promptlabel.settings import CONFIGURATION_FILE

_CHUNKS_LOOKED_UP: Final = 16
_FIRST_LOOK: Final = 1.0
_LONGEST_LOOK: Final = 60.0
_PATIENCE: Final = 3600.0
_SECOND_LOOK: Final = 2.0
_ENQUEUED_TOO_MUCH: Final = "token_limit_exceeded"

Source = deque[tuple[Wanted | Vote, int]]


def _new_name() -> str:
    return f"b-{secrets.token_hex(12)}"


def _silent(line: str) -> None:
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Batching:
    """How a run uses batch files.

    Attributes:
        submit: questions of models that take batch files are asked in such files.
        wait: the run goes on until they are answered.
        tell: is told of every step, a line each.
        sleep: waits so many seconds between two looks at a batch.
        name: makes a name that no other batch anywhere has.
    """

    submit: bool = False
    wait: bool = True
    tell: Callable[[str], None] = _silent
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    name: Callable[[], str] = _new_name


@dataclass(slots=True)
class _Model:
    """One model's questions on their way into files."""

    client: BatchClient
    runner: BatchRunner
    askings: list[Asking]
    chunks: Iterator[list[Wanted | Vote]] = field(default_factory=lambda: iter(()))
    source: Source = field(default_factory=deque)
    later: list[tuple[str, Slot]] = field(default_factory=list)

    @property
    def by_rule(self) -> Mapping[tuple[str, str], Asking]:
        return {(asking.rule.task, asking.rule.rule): asking for asking in self.askings}


class BatchRun:
    """The batches of a project, for the length of one run.

    Args:
        asked: every rule and model of the tasks, whose batches may be out.
        rules: only these are asked anew; all without names.

    Attributes:
        report: what was collected, and why the run ended early if it did.
        cached: votes that took no request.
    """

    def __init__(
        self,
        workspace: Workspace,
        asked: Sequence[Asking],
        writer: VoteWriter,
        options: Batching,
        *,
        rules: Sequence[str] = (),
    ) -> None:
        self.report = SendReport()
        self.cached = 0
        self._workspace = workspace
        self._writer = writer
        self._options = options
        self._rules = rules
        self._log = BatchLog.of(workspace.project)
        self._models = self._batchable(asked)
        self._outstanding: dict[str, set[str]] = {name: set() for name in self._models}
        self._held: set[tuple[str, Slot]] = set()
        self._told: dict[str, str] = {}
        self._nap: asyncio.Future[None] | None = None
        self._filling = False

    # --- what a run does with it
    def takes(self, asking: Asking) -> bool:
        """Whether the asking's questions go into files in this run."""
        return self._options.submit and asking.rule.model in self._models

    @property
    def any_open(self) -> bool:
        """Whether there are batches that are not collected."""
        return bool(self._log.open)

    def without_held(self, chunks: Iterable[list[Wanted | Vote]]) -> Iterator[list[Wanted | Vote]]:
        """The chunks without the questions that are in a batch that is not collected."""
        for chunk in chunks:
            yield [item for item in chunk if not self._holds(item)]

    def _holds(self, item: Wanted | Vote) -> bool:
        if not isinstance(item, Wanted):
            return False
        return item.request in self._outstanding.get(item.asking.rule.model, ())

    def _is_asked(self, asking: Asking) -> bool:
        return not self._rules or asking.rule.rule in self._rules

    async def begin(self, limit: int | None) -> None:
        """Nothing; batches that have ended are collected, and where files are used new ones are out."""
        with on_interrupt(self._interrupt):
            for batch in self._ours():
                await self._resume(batch)
            await self._look()
            for model in self._models.values():
                model.later.clear()  # what is left of ended batches lacks a vote, and is among what is asked now
            if self._options.submit:
                for model in self._models.values():
                    asked = [asking for asking in model.askings if self._is_asked(asking)]
                    streams = [wanted(self._workspace, asking, limit) for asking in asked]
                    model.chunks = interleaved(streams)
                self._filling = True
                await self._fill_all()

    async def end(self) -> None:
        """Nothing, once all batches are collected, or the run is over for another reason that `report` names."""
        if self._options.submit and self._options.wait:
            self._writer.progress.watch(self._traffic)
            with on_interrupt(self._interrupt):
                await self._wait()
        left = self._ours()
        if left and not self.report.stopped:
            questions = sum(batch.calls for batch in left)
            self._stop(
                "batch",
                f"{questions:,} questions are in {_batches(len(left))} that are not answered yet: {_GO_ON}",
            )

    async def close(self) -> None:
        """Nothing; connections and files are closed, batches go on."""
        for model in self._models.values():
            await model.runner.close()
            await model.client.close()
        self._log.close()

    # --- submitting
    async def _resume(self, batch: Batch) -> None:
        """Nothing; of a batch that was written it is known whether anybody has it, and its questions are held."""
        slots = list(self._log.slots(batch.name))
        self._outstanding[batch.model].update(slot.request for slot in slots)
        self._held.update((batch.task, slot._replace(tries=0)) for slot in slots)
        if batch.runner is not None:
            return
        found = await self._found(batch)
        if found is not None:
            self._log.submitted(batch.name, found)
        elif self._options.submit and not self.report.stopped:
            await self._submit(batch)
        elif not self.report.stopped:
            self._close(batch)

    async def _found(self, batch: Batch) -> str | None:
        """The runner's name of a batch that may have been submitted; asked twice, since it may be on its way."""
        runner = self._models[batch.model].runner
        try:
            found = await runner.find(batch.name)
            if found is None:
                await self._pause(_SECOND_LOOK)
                found = await runner.find(batch.name)
        except ModelError as error:
            self._stop(error.cause, f"whether batch {batch.name} was submitted is not known: {error}")
            return None
        return found

    async def _submit(self, batch: Batch) -> None:
        runner = self._models[batch.model].runner
        try:
            name = await runner.submit(batch.name, self._log.requests_file(batch.name), batch.path)
        except ModelError as error:
            if error.permanent or error.cause not in RETRIED:
                self._stop(error.cause, f"batch {batch.name} was not accepted: {error}")
                return
            found = await self._found(batch)
            if found is None:
                self._stop(error.cause, f"batch {batch.name} could not be submitted: {error}; run this again")
                return
            name = found
        self._log.submitted(batch.name, name)
        money = f", at most ${batch.usd:,.4f}" if batch.usd else ""
        self._tell(f"{batch.model}: {batch.calls:,} questions submitted as batch {name}{money}")

    async def _fill_all(self) -> None:
        for name, model in self._models.items():
            if not self.report.stopped:
                await self._fill(name, model)

    async def _fill(self, name: str, model: _Model) -> None:
        """Nothing; as many of the model's questions as the budget allows are in batches that are out."""
        self._writer.settle()
        size = self._workspace.project.settings.models[name].batch_size
        account = batch_account(self._workspace, self._log)
        filler = BatchFiller(
            name, model.client, self._log, account, self._outstanding[name], size, self._options.name
        )
        within = True
        while within and not self.report.stopped and (entry := self._next(model)):
            within = self._add(filler, model, entry)
            for batch in filler.full():
                await self._submit(batch)
        for batch in filler.rest():
            await self._submit(batch)
        model.later.extend(filler.waiting)
        if not within and not self._ours():
            self._stop("budget", "the budget is used up: raise `budget` to go on where this stopped")

    def _add(self, filler: BatchFiller, model: _Model, entry: tuple[Wanted | Vote, int]) -> bool:
        item, tries = entry
        if isinstance(item, Vote):
            self._writer.write([item])
            return True
        try:
            if filler.add(item, tries):
                return True
        except ModelError as error:
            self._writer.write([item.vote(error)])
            return True
        model.source.appendleft(entry)
        return False

    def _next(self, model: _Model) -> tuple[Wanted | Vote, int] | None:
        """The next question that has no answer yet, in the store or in a batch."""
        while not model.source:
            items = [item for chunk in islice(model.chunks, _CHUNKS_LOOKED_UP) for item in chunk]
            if not items:
                return None
            self._admit(model, [(item, 0) for item in items if not self._waits(item)])
        return model.source.popleft()

    def _admit(self, model: _Model, entries: Sequence[tuple[Wanted | Vote, int]]) -> None:
        """Nothing; what was answered before is cast, the rest is in line."""
        requests = [item.request for item, _ in entries if isinstance(item, Wanted)]
        known = self._workspace.store.answers(requests)
        for item, tries in entries:
            if isinstance(item, Wanted) and item.request in known:
                self.cached += 1
                self._writer.write([item.vote(known[item.request])])
            else:
                model.source.append((item, tries))

    def _waits(self, item: Wanted | Vote) -> bool:
        if not isinstance(item, Wanted):
            return False
        rule = item.asking.rule
        slot = Slot(item.request, rule.rule, item.trace.trace_id, item.sample)
        return (rule.task, slot) in self._held

    # --- waiting and collecting
    async def _wait(self) -> None:
        pause, quiet = _FIRST_LOOK, 0.0
        while self._ours() and not self.report.stopped:
            await self._pause(pause)
            before = len(self._log.open), self._told.copy()
            heard = await self._look()
            quiet = 0.0 if heard else quiet + pause
            if quiet > _PATIENCE:
                self._stop("connection", f"nothing was heard of the batches for an hour: {_GO_ON}")
            moved = before != (len(self._log.open), self._told)
            pause = _FIRST_LOOK if moved else min(_LONGEST_LOOK, 2 * pause)

    async def _look(self) -> bool:
        """Whether anything was heard; what has ended is collected, and what is left of it submitted again."""
        heard, ended = False, False
        for batch in self._ours():
            if batch.runner is None or self.report.stopped:
                continue
            try:
                ended |= await self._advance(batch)
                heard = True
            except ModelError as error:
                self._complain(batch, error)
        if ended and self._filling and not self.report.stopped:
            self._requeue()
            await self._fill_all()
        return heard

    def _complain(self, batch: Batch, error: ModelError) -> None:
        if error.permanent:
            self._stop(error.cause, f"batch {batch.runner}: {error}")
        else:
            self._tell_once(batch, f"cannot be seen now: {error}")

    async def _advance(self, batch: Batch) -> bool:
        """Whether the batch has ended, and what came of it is in the store."""
        runner = self._models[batch.model].runner
        state = await runner.state(str(batch.runner))
        if state.status == "running":
            self._tell_once(batch, f"{state.done:,} of {batch.calls:,} done" if state.done else "running")
            return False
        if state.status == "refused":
            self._refused(batch, state)
            return True
        content = b"\n".join([await runner.fetch(file) for file in state.files])
        self._log.received(batch.name, content)
        await self._collect(batch, content)
        return True

    async def _collect(self, batch: Batch, content: bytes) -> None:
        model = self._models[batch.model]
        askings = {rule: asking for (task, rule), asking in model.by_rule.items() if task == batch.task}
        attempts = self._workspace.project.settings.models[batch.model].attempts
        collector = Collector(
            self._workspace.store, self._writer, batch, model.client, askings, attempts, utc_now()
        )
        harvest = await collector.collect(self._log.slots(batch.name), content)
        self._writer.settle()
        self._close(batch)
        self._count(batch, harvest)
        model.later.extend((batch.task, slot) for slot in harvest.undecided)

    def _count(self, batch: Batch, harvest: Harvest) -> None:
        for attempt in harvest.attempts:
            self.report.count(attempt)
        said = [f"{harvest.decided:,} votes"]
        said += [f"{len(harvest.undecided):,} not answered"] if harvest.undecided else []
        said += [f"{harvest.orphans:,} for rules that have changed since"] if harvest.orphans else []
        said += [f"{harvest.strange:,} lines that answer nothing"] if harvest.strange else []
        self._tell(f"{batch.model}: batch {batch.runner} collected: {', '.join(said)}")
        if harvest.permanent is not None:
            self._stop(harvest.permanent.cause, str(harvest.permanent))

    def _refused(self, batch: Batch, state: BatchState) -> None:
        slots = list(self._log.slots(batch.name))
        self._close(batch)
        if _ENQUEUED_TOO_MUCH in state.message and self._ours():
            self._tell(f"{batch.model}: batch {batch.runner} has to wait for the others: {state.message}")
            self._models[batch.model].later.extend((batch.task, slot) for slot in slots)
        else:
            self._stop("batch", f"batch {batch.runner} was refused: {state.message}")

    def _close(self, batch: Batch) -> None:
        slots = list(self._log.slots(batch.name))
        self._log.collected(batch.name)
        self._outstanding[batch.model].difference_update(slot.request for slot in slots)
        self._held.difference_update((batch.task, slot._replace(tries=0)) for slot in slots)

    def _requeue(self) -> None:
        """Nothing; what is left of ended batches is in line again, as it is asked now."""
        for model in self._models.values():
            later, model.later = model.later, []
            ids = list({slot.trace_id for _, slot in later})
            traces = {trace.trace_id: trace for trace in self._workspace.store.traces(ids)}
            entries = [
                (render(asking, traces[slot.trace_id], slot.sample), slot.tries)
                for task, slot in later
                if (asking := model.by_rule.get((task, slot.rule))) and slot.trace_id in traces
            ]
            self._admit(model, entries)

    # --- small things
    def _ours(self) -> list[Batch]:
        """The open batches of this run's tasks and models."""
        tasks = {task.name for task in self._workspace.tasks}
        return [
            batch for batch in self._log.open.values() if batch.task in tasks and batch.model in self._models
        ]

    def _batchable(self, asked: Sequence[Asking]) -> dict[str, _Model]:
        """The models that are asked, or have open batches, and take batch files."""
        groups = by_model(asked)
        gone = {batch.model for batch in self._log.open.values()} - groups.keys()
        configured = self._workspace.project.settings.models.keys()
        clients = {name: group[0].client for name, group in groups.items()}
        clients |= connect_models(self._workspace.project, gone & configured)
        found, faults = {}, []
        for name, client in clients.items():
            runner = client.batch_runner(self._log.folder) if isinstance(client, BatchClient) else None
            if isinstance(client, BatchClient) and runner is not None:
                found[name] = _Model(client, runner, groups.get(name, []))
            elif self._options.submit and isinstance(client, HostedModel):
                faults.append(Fault(_NO_BATCHES, CONFIGURATION_FILE, key=f"models.{name}"))
        raise_if_any(faults)
        return found

    def _stop(self, cause: str, message: str) -> None:
        if self.report.stopped is None:
            self.report.stopped, self.report.message = cause, message

    def _interrupt(self) -> None:
        self._stop("interrupted", f"what was submitted goes on: {_GO_ON}")
        if self._nap is not None:
            self._nap.cancel()

    async def _pause(self, seconds: float) -> None:
        """Nothing, after so many seconds or an interrupt."""
        self._nap = asyncio.ensure_future(self._options.sleep(seconds))
        try:
            await self._nap
        except asyncio.CancelledError:
            if not self.report.stopped:
                raise

    def _traffic(self) -> Traffic:
        questions = sum(batch.calls for batch in self._ours())
        return Traffic(questions, self.report.calls, self.report.usd, self.report.causes)

    def _tell(self, line: str) -> None:
        self._options.tell(line)

    def _tell_once(self, batch: Batch, line: str) -> None:
        if self._told.get(batch.name) != line:
            self._told[batch.name] = line
            self._tell(f"{batch.model}: batch {batch.runner}: {line}")


_GO_ON: Final = "`promptlabel vote` collects what is done, `promptlabel vote --batch` waits for the rest"
_NO_BATCHES: Final = "its provider takes no batch files: run without --batch, or only other rules with --rule"


def _batches(number: int) -> str:
    return "a batch" if number == 1 else f"{number:,} batches"
