"""`vote` and `retry`: run the rules over the traces that lack a vote, within the budget, resumable at any point."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from promptlabel.errors import Fault, fail, nearest
from promptlabel.pipeline.recording import notice_settings
from promptlabel.pipeline.run_log import kind_of_error, logged, this_run
from promptlabel.pipeline.voting.asking import Asking, all_askings, by_model, interleaved, wanted
from promptlabel.pipeline.voting.batch_log import BatchLog
from promptlabel.pipeline.voting.batching import Batching, BatchRun
from promptlabel.pipeline.voting.coding import cast_code_votes
from promptlabel.pipeline.voting.loop import run_on_loop
from promptlabel.pipeline.voting.progress import Progress
from promptlabel.pipeline.voting.readiness import require_ready
from promptlabel.pipeline.voting.sending import SENDING, Questions, Sent, send_all
from promptlabel.pipeline.voting.writing import VoteWriter
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import RegisteredRule, Status
from promptlabel.rules.loading import Task
from promptlabel.store.opening import kind_of


@dataclass(frozen=True, slots=True)
class VoteReport:
    """What this run did; `seconds` is wall time, `dead_letters` votes of these tasks wait for `retry`, for `causes`.

    Attributes:
        cached: votes whose answer had been paid for before, for an equal request.
        stopped: why the run ended early (``budget``, ``interrupted``, ``auth`` ...), None when it did not.
        run_id: of the run's log lines and spans.
    """

    votes: int
    abstains: int
    malformed: int
    errors: int
    calls: int
    cached: int
    tokens: Mapping[str, int]
    usd: float
    seconds: float
    dead_letters: int
    causes: Mapping[str, int]
    stopped: str | None
    message: str
    run_id: str = ""

    @property
    def exit_code(self) -> int:
        """1 while the run is incomplete or dead letters wait."""
        return 1 if self.stopped or self.dead_letters else 0


def _told(report: VoteReport) -> Mapping[str, object]:
    named = ("votes", "abstains", "malformed", "errors", "calls", "cached", "tokens", "usd", "stopped")
    causes: Counter[str] = Counter()
    for cause, count in report.causes.items():
        causes[kind_of_error(cause)] += count
    return {name: getattr(report, name) for name in named} | {"dead_letters": dict(causes)}


@logged("vote", _told)
def vote(
    workspace: Workspace,
    *,
    rules: Sequence[str] = (),
    limit: int | None = None,
    progress: Progress | None = None,
    batching: Batching | None = None,
) -> VoteReport:
    """What the run did; everything it learnt is durable. Answers of batches that have ended are taken first.

    Raises:
        InputError: for a rule nobody knows, a model that cannot decode as asked, or a key that is missing.
    """
    started = time.monotonic()
    require_rules(workspace.tasks, rules)
    notice_settings(workspace)
    for task in workspace.tasks:
        workspace.store.register_rules(task.name, task.registered(workspace.project.settings.models))
    counts, sent = run_on_loop(_cast(workspace, rules, limit, progress or Progress(), batching or Batching()))
    _calibrate(workspace)
    causes: Counter[str] = Counter()
    for task in workspace.tasks:
        causes.update(workspace.store.count_dead_letters(task.name))
    return VoteReport(
        votes=counts["vote"],
        abstains=counts["abstain"],
        malformed=counts["malformed"],
        errors=counts["error"],
        calls=sent.calls,
        cached=sent.cached,
        tokens={"input": sent.input_tokens, "output": sent.output_tokens},
        usd=sent.usd,
        seconds=time.monotonic() - started,
        dead_letters=causes.total(),
        causes=causes,
        stopped=sent.stopped,
        message=sent.message,
        run_id=this_run().id,
    )


def _calibrate(workspace: Workspace) -> None:
    models = workspace.project.settings.models
    tasks = [
        task
        for task in workspace.tasks
        if any(
            prompt.is_pairwise or models[name].calibration == "batch"
            for prompt in task.prompts
            for name in prompt.models
        )
    ]
    if tasks:  # imported here for numpy, which a hosted run can do without
        from promptlabel.pipeline.voting.calibrating import calibrate_votes

        for task in tasks:
            calibrate_votes(workspace, task)


def retry(
    workspace: Workspace,
    *,
    rules: Sequence[str] = (),
    progress: Progress | None = None,
    batching: Batching | None = None,
) -> VoteReport:
    """What came of asking again for every malformed or failed vote of these tasks."""
    for task in workspace.tasks:
        workspace.store.drop_dead_letters(task.name)
    return vote(workspace, rules=rules, progress=progress, batching=batching)


def require_rules(tasks: Sequence[Task], names: Sequence[str]) -> None:
    """Nothing when every name is a rule of one of the tasks.

    Raises:
        InputError: naming each unknown rule and the rule most like it.
    """
    known = {rule.name for task in tasks for rule in task.rules}
    unknown = [name for name in names if name not in known]
    if unknown:
        fail(tuple(Fault(f"no rule '{name}'{nearest(name, known)}", key="--rule") for name in unknown))


async def _cast(
    workspace: Workspace,
    rules: Sequence[str],
    limit: int | None,
    progress: Progress,
    batching: Batching,
) -> tuple[Mapping[Status, int], Sent]:
    lacking = missing_votes(workspace, rules, limit)
    asked = [asking for asking in all_askings(workspace, rules) if lacking[asking.rule]]
    require_ready([asking.client for asking in asked], workspace.project.settings.budget)
    progress.begin(sum(lacking.values()), sum(lacking[asking.rule] for asking in asked))
    writer = VoteWriter(workspace.store, progress)
    everyone = all_askings(workspace, ()) if BatchLog.of(workspace.project).open else asked
    batches = BatchRun(workspace, everyone, writer, batching, rules=rules)
    with workspace.store.hold(SENDING) if everyone else nullcontext():
        try:
            for task in workspace.tasks:
                cast_code_votes(workspace, task, writer, rules=rules, limit=limit)
            await batches.begin(limit)
            inline = [asking for asking in asked if not batches.takes(asking)]
            questions = _questions(workspace, inline, limit, batches)
            with workspace.store.squeezed():
                sent = await _send(
                    workspace, inline, questions, writer, spread=limit is None and not batches.any_open
                )
            await batches.end()
        finally:
            await batches.close()
    return writer.counts, sent.joined(batches.report, batches.cached)


async def _send(
    workspace: Workspace,
    asked: Sequence[Asking],
    questions: Mapping[str, Questions],
    writer: VoteWriter,
    *,
    spread: bool,
) -> Sent:
    """What was sent, from here or from every node of a cluster that shares the store."""
    settings = workspace.project.settings
    if not (spread and asked and settings.engine.executor == "ray" and kind_of(settings.store)):
        return await send_all(workspace, questions, writer)
    from promptlabel.pipeline.voting.spreading import send_spread

    return await asyncio.to_thread(send_spread, workspace, asked, writer)


def _questions(
    workspace: Workspace, asked: Sequence[Asking], limit: int | None, batches: BatchRun
) -> dict[str, Questions]:
    chunks = {
        name: interleaved([wanted(workspace, asking, limit) for asking in group])
        for name, group in by_model(asked).items()
    }
    return {
        name: Questions(group[0].client, batches.without_held(chunks[name]))
        for name, group in by_model(asked).items()
    }


def missing_votes(
    workspace: Workspace, rules: Sequence[str], limit: int | None = None
) -> dict[RegisteredRule, int]:
    """How many votes each rule and model is to cast in a run."""
    traces = workspace.store.count_traces()
    missing: dict[RegisteredRule, int] = {}
    for task in workspace.tasks:
        cast = workspace.store.count_votes(task.name)
        samples = {prompt.name: prompt.asks for prompt in task.prompts}
        for rule in task.registered(workspace.project.settings.models):
            if not rules or rule.rule in rules:
                each = samples.get(rule.rule, 1)
                done = sum(cast.get((rule.rule, rule.model), {}).values())
                missing[rule] = min(traces * each - done, (limit or traces) * each)
    return missing
