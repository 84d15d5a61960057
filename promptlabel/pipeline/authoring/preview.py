"""`preview`: one rule on a few traces and on its own examples, beside gold, other rules and its committed version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from promptlabel.errors import Fault, fail, nearest
from promptlabel.pipeline.authoring.committed import Committed, committed_rule
from promptlabel.pipeline.authoring.trying import ExampleRow, Heard, TriedVote, try_rule
from promptlabel.pipeline.fitting.gold import teaching_gold
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Status, Trace, Vote
from promptlabel.rules.heuristic import CodeRule
from promptlabel.rules.loading import Task
from promptlabel.rules.prompt import PromptRule
from promptlabel.votes.comparing import LabelTally, contradict, is_right, said_of, tallies


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What the rule says of one trace, and what people and the other rules said; `hash` is the request's digest.

    Attributes:
        outside: the probability that the model gave to none of the rule's answers, where it is known.
        right: whether the vote is what people decided, of a set on the labels that the vote speaks of; None where
            either is missing.
        speaks_of: where several labels may apply, those that the vote says something of; else None.
        others: the label that each other rule of the task has voted, by rule, those that abstained left out.
        disagrees: the rules of `others` whose votes contradict this one.
        before: with a comparison, what the committed version of the rule votes.
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
    right: bool | None = None
    speaks_of: Sequence[str] | None = None
    others: Mapping[str, str] = field(default_factory=dict)
    disagrees: Sequence[str] = ()
    before: str | None = None
    swapped: str | None = None


@dataclass(frozen=True, slots=True)
class PreviewDiff:
    """The rule against its committed version: lines of a unified diff, and on how many of the traces it votes anew."""

    revision: str
    lines: Sequence[str]
    changed: int


@dataclass(frozen=True, slots=True)
class PreviewReport:
    """The rule on a few traces, a row for each trace and model; gold that is held back is not shown.

    Attributes:
        labels: where several labels may apply, how right the votes are about each; else empty.
    """

    rule: str
    task: str
    traces: Sequence[PreviewRow]
    labels: Sequence[LabelTally] = ()
    examples: Sequence[ExampleRow] = ()
    stopped: str | None = None
    message: str = ""
    diff: PreviewDiff | None = None


def preview(
    workspace: Workspace, rule: str, *, count: int = 20, diff: bool = False, heard: Heard | None = None
) -> PreviewReport:
    """The rule on up to `count` traces; up to half of them have gold to compare with; `heard` as in `try_rule`.

    Raises:
        InputError: when no task, or more than one, has a rule of this name; when there is nothing to compare with.
    """
    task, found = rule_named(workspace.tasks, rule)
    beside = Beside(task, gold_shown(workspace, task))
    traces = some_traces(workspace, list(beside.gold), count)
    committed = committed_rule(workspace, task, found) if diff else None
    tried = try_rule(workspace, task, found, traces, heard)
    before = _votes_before(workspace, task, committed, traces)
    others = votes_of_others(workspace, task, rule, traces)
    rows = [
        replace(beside.row(one, others), before=before.get((one.model, one.vote.trace_id)))
        for one in tried.votes
    ]
    return PreviewReport(
        rule=rule,
        task=task.name,
        traces=rows,
        labels=beside.tallies(tried.votes),
        examples=tried.examples,
        stopped=tried.sent.stopped,
        message=tried.sent.message,
        diff=None if committed is None else _diff(committed, rows),
    )


def rule_named(tasks: Sequence[Task], rule: str) -> tuple[Task, PromptRule | CodeRule]:
    """The rule of that name and its task.

    Raises:
        InputError: when no task, or more than one, has it.
    """
    owners = [(task, found) for task in tasks for found in task.rules if found.name == rule]
    if not owners:
        names = {found.name for task in tasks for found in task.rules}
        fail(Fault(f"no rule '{rule}'{nearest(rule, names)}"))
    if len(owners) > 1:
        names_of_tasks = ", ".join(task.name for task, _ in owners)
        fail(Fault(f"tasks {names_of_tasks} each have a rule '{rule}': add --task NAME"))
    return owners[0]


def some_traces(workspace: Workspace, labelled: Sequence[str], count: int) -> list[Trace]:
    """Up to `count` traces, up to half of them among those labelled."""
    chosen = {trace.trace_id: trace for trace in workspace.store.traces(labelled[: count // 2])}
    others = (trace for trace in workspace.store.traces(limit=2 * count) if trace.trace_id not in chosen)
    return [*chosen.values(), *islice(others, count - len(chosen))]


def gold_shown(workspace: Workspace, task: Task) -> dict[str, str]:
    """Trace id -> what people decided, each set in the one way of writing it; without gold that is held back."""
    return {one.trace_id: task.spec.named(one.label) for one in teaching_gold(workspace, task)}


def votes_of_others(
    workspace: Workspace, task: Task, rule: str, traces: Sequence[Trace]
) -> Mapping[str, Mapping[str, Vote]]:
    """By trace, the votes of the task's other rules: by a rule's own name, or with its model's."""
    found: dict[str, dict[str, Vote]] = {}
    for owner, vote in workspace.store.votes(task.name, trace_ids=[trace.trace_id for trace in traces]):
        if owner.rule != rule and vote.label is not None:
            name = f"{owner.rule} ({owner.model})" if owner.kind == "prompt" else owner.rule
            found.setdefault(vote.trace_id, {})[name] = vote
    return found


@dataclass(frozen=True, slots=True)
class Beside:
    """What the votes of a rule are shown beside: the gold of the task's traces."""

    task: Task
    gold: Mapping[str, str]

    def row(self, tried: TriedVote, others: Mapping[str, Mapping[str, Vote]]) -> PreviewRow:
        """The row of one vote; `others` are the votes of other rules by trace."""
        vote, kind = tried.vote, self.task.spec.kind
        said, gold = others.get(vote.trace_id, {}), self.gold.get(vote.trace_id)
        return PreviewRow(
            trace_id=vote.trace_id,
            model=tried.model,
            prompt=tried.prompt,
            hash=vote.request,
            answer=vote.raw.text if vote.raw else None,
            status=vote.status,
            vote=vote.label,
            confidence=vote.confidence,
            distribution=vote.distribution,
            outside=vote.raw.outside if vote.raw else None,
            gold=gold,
            cause=vote.cause,
            right=is_right(vote, gold, kind),
            speaks_of=list(said_of(vote)) if kind == "several" else None,
            others={name: str(other.label) for name, other in said.items()},
            disagrees=[name for name, other in said.items() if contradict(vote, other, kind)],
            swapped=tried.swapped,
        )

    def tallies(self, tried: Sequence[TriedVote]) -> Sequence[LabelTally]:
        """Where several labels may apply and there is gold, how right the votes are about each label."""
        if self.task.spec.kind != "several":
            return []
        labels = [label for label in self.task.labels if any(label in said_of(one.vote) for one in tried)]
        return tallies([one.vote for one in tried], self.gold, labels)


def _votes_before(
    workspace: Workspace, task: Task, committed: Committed | None, traces: Sequence[Trace]
) -> dict[tuple[str, str], str]:
    if committed is None:
        return {}
    tried = try_rule(workspace, task, committed.rule, traces)
    return {(row.model, row.vote.trace_id): row.vote.label or row.vote.status for row in tried.votes}


def _diff(committed: Committed, rows: Sequence[PreviewRow]) -> PreviewDiff:
    changed = sum(row.before is not None and row.before != (row.vote or row.status) for row in rows)
    return PreviewDiff(committed.revision, committed.lines, changed)
