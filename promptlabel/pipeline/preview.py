"""`preview`: one rule on a few traces and on its own examples; what is asked is kept and never paid twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from promptlabel.errors import Fault, fail, nearest
from promptlabel.pipeline.asking import Asking, Wanted, render
from promptlabel.pipeline.calibrating import calibrated
from promptlabel.pipeline.casting import code_vote, request_digest
from promptlabel.pipeline.gold import teaching_gold
from promptlabel.pipeline.loop import run_on_loop
from promptlabel.pipeline.progress import Progress
from promptlabel.pipeline.sending import Questions, Sent, send_all
from promptlabel.pipeline.vote import all_askings
from promptlabel.pipeline.workspace import Workspace
from promptlabel.pipeline.writing import VoteWriter
from promptlabel.records import Status, Trace, Vote
from promptlabel.rules.loading import Task

EXAMPLES_OF: Final = "examples of "
"""Prefix of the task name under which answers to a rule's own examples are kept, out of the way of votes."""


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What the rule says of one trace, and what people said; `hash` is the digest of the request.

    Attributes:
        outside: the probability that the model gave to none of the rule's answers, where it is known.
    """

    trace_id: str
    model: str
    prompt: str | None
    hash: str | None
    answer: str | None
    status: Status
    vote: str | None
    confidence: float | None
    distribution: Mapping[str, float] | None
    outside: float | None
    gold: str | None
    cause: str | None


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """What the rule says of one of its own examples, numbered from 1, shown none but the others."""

    number: int
    model: str
    expected: str
    vote: str | None
    status: Status
    passed: bool


@dataclass(frozen=True, slots=True)
class PreviewReport:
    """The rule on a few traces, a row for each trace and model; gold that is held back is not shown."""

    rule: str
    task: str
    traces: Sequence[PreviewRow]
    examples: Sequence[ExampleRow] = ()
    stopped: str | None = None
    message: str = ""


def preview(workspace: Workspace, rule: str, *, count: int = 20) -> PreviewReport:
    """The rule on up to `count` traces; up to half of them have gold to compare with.

    Raises:
        InputError: when no task, or more than one, has a rule of this name.
    """
    task = _task_of(workspace.tasks, rule)
    gold = {decision.trace_id: decision.label for decision in teaching_gold(workspace, task)}
    traces = _some_traces(workspace, list(gold), count)
    if any(prompt.name == rule for prompt in task.prompts):
        return run_on_loop(_preview_prompt(workspace, task, rule, traces, gold))
    return PreviewReport(rule, task.name, _code_rows(workspace, task, rule, traces, gold))


def _task_of(tasks: Sequence[Task], rule: str) -> Task:
    owners = [task for task in tasks if any(found.name == rule for found in task.rules)]
    if not owners:
        fail(
            Fault(f"no rule '{rule}'{nearest(rule, {found.name for task in tasks for found in task.rules})}")
        )
    if len(owners) > 1:
        names = ", ".join(task.name for task in owners)
        fail(Fault(f"tasks {names} each have a rule '{rule}': add --task NAME"))
    return owners[0]


def _some_traces(workspace: Workspace, labelled: Sequence[str], count: int) -> list[Trace]:
    chosen = {trace.trace_id: trace for trace in workspace.store.traces(labelled[: count // 2])}
    others = (trace for trace in workspace.store.traces(limit=2 * count) if trace.trace_id not in chosen)
    return [*chosen.values(), *islice(others, count - len(chosen))]


def _code_rows(
    workspace: Workspace, task: Task, name: str, traces: Iterable[Trace], gold: Mapping[str, str]
) -> list[PreviewRow]:
    registered = task.registered(workspace.project.settings.models)
    rule = next(found for found in registered if found.rule == name)
    heuristic = next(found for found in task.heuristics if found.name == name)
    return [_row(rule.model, code_vote(heuristic, rule, trace), gold) for trace in traces]


class _Collected(Progress):
    """Keeps every vote as it is cast."""

    def __init__(self) -> None:
        super().__init__()
        self.votes: dict[str, Vote] = {}

    def cast(self, vote: Vote) -> None:
        """Nothing; the vote is kept."""
        self.votes[vote.key] = vote


async def _preview_prompt(
    workspace: Workspace, task: Task, name: str, traces: Sequence[Trace], gold: Mapping[str, str]
) -> PreviewReport:
    asked = [asking for asking in all_askings(workspace, (name,)) if asking.rule.task == task.name]
    cells = {asking.rule.model: _Cells.of(asking, traces) for asking in asked}
    votes, sent = await _ask(workspace, cells)
    read = {model: own.calibrated(workspace, task, votes) for model, own in cells.items()}
    return PreviewReport(
        rule=name,
        task=task.name,
        traces=[row for model, own in cells.items() for row in own.rows(read[model], gold)],
        examples=[row for model, own in cells.items() for row in own.example_rows(read[model])],
        stopped=sent.stopped,
        message=sent.message,
    )


async def _ask(workspace: Workspace, cells: Mapping[str, _Cells]) -> tuple[dict[str, Vote], Sent]:
    collected = _Collected()
    writer = VoteWriter(workspace.store, collected)
    questions = {
        model: Questions(own.asking.client, [[*own.traces, *own.examples]]) for model, own in cells.items()
    }
    sent = await send_all(workspace, questions, writer)
    return collected.votes, sent


@dataclass(frozen=True, slots=True)
class _Cells:
    """What is asked of one model: the rule's question on each trace, and on each of the rule's examples."""

    asking: Asking
    traces: Sequence[Wanted | Vote]
    examples: Sequence[Wanted]

    @classmethod
    def of(cls, asking: Asking, traces: Sequence[Trace]) -> _Cells:
        """The cells of a rule and model."""
        return cls(asking, [render(asking, trace) for trace in traces], _example_cells(asking))

    def calibrated(self, workspace: Workspace, task: Task, votes: Mapping[str, Vote]) -> dict[str, Vote]:
        """The answered cells by vote key, calibrated over one another where the model needs it."""
        own = [votes[cell.key] for cell in (*self.traces, *self.examples) if cell.key in votes]
        if workspace.project.settings.models[self.asking.rule.model].calibration == "batch":
            own = calibrated(self.asking.prompt, task, own)
        return {vote.key: vote for vote in own}

    def rows(self, votes: Mapping[str, Vote], gold: Mapping[str, str]) -> list[PreviewRow]:
        """A row for each answered trace."""
        model = self.asking.rule.model
        return [
            _row(model, votes[cell.key], gold, _prompt(cell)) for cell in self.traces if cell.key in votes
        ]

    def example_rows(self, votes: Mapping[str, Vote]) -> list[ExampleRow]:
        """A row for each answered example."""
        numbered = enumerate(zip(self.examples, self.asking.prompt.spec.examples, strict=True), start=1)
        return [
            _example_row(number, self.asking.rule.model, example.vote, votes[cell.key])
            for number, (cell, example) in numbered
            if cell.key in votes
        ]


def _example_cells(asking: Asking) -> list[Wanted]:
    """The rule's examples as questions, each shown the other examples only."""
    apart = replace(asking.rule, task=EXAMPLES_OF + asking.rule.task)
    aside = replace(asking, rule=apart)
    return [
        Wanted(aside, trace, question, request_digest(apart.model_hash, question))
        for trace, question in asking.prompt.example_questions(decode=asking.decode, few_shot=asking.few_shot)
    ]


def _example_row(number: int, model: str, expected: str, vote: Vote) -> ExampleRow:
    return ExampleRow(
        number, model, expected, vote.label, vote.status, expected == (vote.label or vote.status)
    )


def _prompt(cell: Wanted | Vote) -> str | None:
    return cell.question.prompt if isinstance(cell, Wanted) else None


def _row(model: str, vote: Vote, gold: Mapping[str, str], prompt: str | None = None) -> PreviewRow:
    return PreviewRow(
        trace_id=vote.trace_id,
        model=model,
        prompt=prompt,
        hash=vote.request,
        answer=vote.raw.text if vote.raw else None,
        status=vote.status,
        vote=vote.label,
        confidence=vote.confidence,
        distribution=vote.distribution,
        outside=vote.raw.outside if vote.raw else None,
        gold=gold.get(vote.trace_id),
        cause=vote.cause,
    )
