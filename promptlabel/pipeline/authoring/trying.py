"""One rule on given traces and on its own examples; what is asked is kept and never paid for twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from promptlabel.label_sets import applying, set_name
from promptlabel.pipeline.voting.asking import Asking, Wanted, askings, connect_models, render
from promptlabel.pipeline.voting.calibrating import calibrated, is_read_together
from promptlabel.pipeline.voting.casting import code_votes, request_digest
from promptlabel.pipeline.voting.loop import run_on_loop
from promptlabel.pipeline.voting.progress import Progress
from promptlabel.pipeline.voting.sending import SENDING, Questions, Sent, send_all
from promptlabel.pipeline.voting.writing import VoteWriter
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Status, Trace, Vote
from promptlabel.rules.declarative import DeclarativeRule
from promptlabel.rules.heuristic import CodeRule
from promptlabel.rules.loading import CODE_MODEL, Task
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.trace_values import EXAMPLE_ID, example_trace

Heard: TypeAlias = Callable[[Vote], None]

EXAMPLES_OF: Final = "examples of "
"""Prefix of the task name under which answers to a rule's own examples are kept, out of the way of votes."""


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
class TriedVote:
    """What a rule says of a trace by one model, and the prompt that was asked, None for code.

    Attributes:
        swapped: what a pairwise rule's model answered to the outputs in the other order.
    """

    model: str
    vote: Vote
    prompt: str | None = None
    swapped: str | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule's votes on traces, its examples, and what was sent for them."""

    votes: Sequence[TriedVote]
    examples: Sequence[ExampleRow] = ()
    sent: Sent = field(default_factory=Sent)


def try_rule(
    workspace: Workspace,
    task: Task,
    rule: PromptRule | CodeRule,
    traces: Sequence[Trace],
    heard: Heard | None = None,
) -> Tried:
    """The votes of a rule of the task, which may be a draft of it, as `vote` would cast them.

    `heard` is told of each answer of a model as it comes, before all of them are read together.

    Raises:
        InputError: a model cannot decode as the rule asks.
    """
    if isinstance(rule, PromptRule):
        return run_on_loop(_try_prompt(workspace, task, rule, traces, heard))
    return _try_code(workspace, task, rule, traces)


def try_aside(
    workspace: Workspace, task: Task, rule: PromptRule, traces: Sequence[Trace], aside: str
) -> tuple[list[Vote], Sent]:
    """The votes of a question that is no rule of the task, kept under a task name of its own that begins with `aside`."""
    (asking, *_) = _askings(workspace, task, rule)
    apart = replace(asking, rule=replace(asking.rule, task=aside + task.name))
    cells = _Cells(apart, _trace_cells(apart, traces), ())
    questions = {apart.rule.model: Questions(apart.client, [cells.traces])}
    votes, sent = run_on_loop(_ask(workspace, questions))
    read = cells.calibrated(workspace, task, votes)
    return [read[cell.key] for cell in cells.traces if cell.key in read], sent


# --- code


def _try_code(workspace: Workspace, task: Task, rule: CodeRule, traces: Sequence[Trace]) -> Tried:
    alone = replace(task, prompts=(), heuristics=(rule,))
    (registered,) = alone.registered(workspace.project.settings.models)
    votes = code_votes(rule, registered, traces)
    return Tried([TriedVote(CODE_MODEL, vote) for vote in votes], code_examples(rule))


def code_examples(rule: CodeRule) -> list[ExampleRow]:
    """What a rule without a model says of its examples; rules in Python have none."""
    if not isinstance(rule, DeclarativeRule):
        return []
    examples = rule.spec.examples
    said = rule.labels_of([replace(example_trace(example), trace_id=EXAMPLE_ID) for example in examples])
    return [
        _code_example(number, rule.task_spec.named(example.vote), label)
        for number, (example, label) in enumerate(zip(examples, said, strict=True), start=1)
    ]


def _code_example(number: int, expected: str, said: object) -> ExampleRow:
    if isinstance(said, Exception):
        return ExampleRow(number, CODE_MODEL, expected, None, "error", passed=False)
    label = set_name(applying(said), tuple(said)) if isinstance(said, Mapping) else said
    label = label if isinstance(label, str) else None
    status: Status = "abstain" if label is None else "vote"
    return ExampleRow(number, CODE_MODEL, expected, label, status, expected == (label or status))


# --- prompts


class _Collected(Progress):
    """Keeps every vote as it is cast."""

    def __init__(self, heard: Heard | None = None) -> None:
        super().__init__()
        self.votes: dict[str, Vote] = {}
        self._heard = heard

    def cast(self, vote: Vote) -> None:
        """Nothing; the vote is kept."""
        self.votes[vote.key] = vote
        if self._heard is not None:
            self._heard(vote)


async def _try_prompt(
    workspace: Workspace, task: Task, rule: PromptRule, traces: Sequence[Trace], heard: Heard | None
) -> Tried:
    asked = _askings(workspace, task, rule)
    cells = {asking.rule.model: _Cells.of(asking, traces) for asking in asked}
    votes, sent = await _ask(
        workspace,
        {model: Questions(own.asking.client, [[*own.traces, *own.examples]]) for model, own in cells.items()},
        heard,
    )
    read = {model: own.calibrated(workspace, task, votes) for model, own in cells.items()}
    return Tried(
        [row for model, own in cells.items() for row in own.tried(read[model])],
        [row for model, own in cells.items() for row in own.example_rows(read[model])],
        sent,
    )


def _askings(workspace: Workspace, task: Task, rule: PromptRule) -> list[Asking]:
    clients = connect_models(workspace.project, rule.models)
    alone = replace(task, prompts=(rule,), heuristics=())
    return askings(alone, workspace.project.settings.models, clients)


async def _ask(
    workspace: Workspace, questions: Mapping[str, Questions], heard: Heard | None = None
) -> tuple[dict[str, Vote], Sent]:
    """The votes by key, and what was sent for them; what was answered before costs nothing, and the budget holds."""
    collected = _Collected(heard)
    writer = VoteWriter(workspace.store, collected)
    with workspace.store.hold(SENDING):
        sent = await send_all(workspace, questions, writer)
    writer.settle()
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
        return cls(asking, _trace_cells(asking, traces), _example_cells(asking))

    def calibrated(self, workspace: Workspace, task: Task, votes: Mapping[str, Vote]) -> dict[str, Vote]:
        """The answered cells by vote key, calibrated over one another where the model needs it."""
        own = [votes[cell.key] for cell in (*self.traces, *self.examples) if cell.key in votes]
        if is_read_together(self.asking.prompt, workspace.project.settings.models[self.asking.rule.model]):
            own = calibrated(self.asking.prompt, task, own)
        return {vote.key: vote for vote in own}

    def tried(self, votes: Mapping[str, Vote]) -> list[TriedVote]:
        """A row for each answered trace."""
        other = {
            vote.trace_id: vote.raw.text
            for vote in votes.values()
            if vote.sample == 1 and vote.raw is not None
        }
        return [
            TriedVote(self.asking.rule.model, vote, _prompt(cell), other.get(vote.trace_id))
            for cell in self.traces
            if (vote := votes.get(cell.key)) is not None and vote.sample == 0
        ]

    def example_rows(self, votes: Mapping[str, Vote]) -> list[ExampleRow]:
        """A row for each answered example."""
        shown, named = (
            [cell for cell in self.examples if cell.sample == 0],
            self.asking.prompt.task_spec.named,
        )
        numbered = enumerate(zip(shown, self.asking.prompt.spec.examples, strict=True), start=1)
        return [
            _example_row(number, self.asking.rule.model, named(example.vote), votes[cell.key])
            for number, (cell, example) in numbered
            if cell.key in votes
        ]


def _trace_cells(asking: Asking, traces: Sequence[Trace]) -> list[Wanted | Vote]:
    """The rule's question on each trace, once; of a pairwise rule in both orders."""
    return [render(asking, trace, sample) for trace in traces for sample in _orders(asking.prompt)]


def _orders(prompt: PromptRule) -> range:
    return range(2 if prompt.is_pairwise else 1)


def _example_cells(asking: Asking) -> list[Wanted]:
    """The rule's examples as questions, each shown the other examples only."""
    apart = replace(asking.rule, task=EXAMPLES_OF + asking.rule.task)
    aside = replace(asking, rule=apart)
    return [
        Wanted(aside, trace, question, request_digest(apart.model_hash, question), sample)
        for sample in _orders(asking.prompt)
        for trace, question in asking.prompt.example_questions(
            decode=asking.decode, few_shot=asking.few_shot, sample=sample
        )
    ]


def _example_row(number: int, model: str, expected: str, vote: Vote) -> ExampleRow:
    return ExampleRow(
        number, model, expected, vote.label, vote.status, expected == (vote.label or vote.status)
    )


def _prompt(cell: Wanted | Vote) -> str | None:
    return cell.question.prompt if isinstance(cell, Wanted) else None
