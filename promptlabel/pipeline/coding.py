"""Runs the code rules of a task over the traces that lack their votes, in shards where the engine has several workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from promptlabel.errors import PromptlabelError
from promptlabel.pipeline.casting import code_votes
from promptlabel.pipeline.executors import Executor, executor_of
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.pipeline.writing import VoteWriter
from promptlabel.records import RegisteredRule, Status, Trace, Vote, digest
from promptlabel.rules.heuristic import CodeRule
from promptlabel.rules.loading import Task, load_checked
from promptlabel.store.contract import WHOLE, Part, Store
from promptlabel.store.opening import kind_of

VOTES_AT_ONCE: Final = 512
"""Traces a rule sees at once: enough for a batch of SQL, few enough for the progress bar to move."""


def cast_code_votes(
    workspace: Workspace, task: Task, writer: VoteWriter, *, rules: Sequence[str], limit: int | None
) -> None:
    """Nothing; every missing vote of the task's heuristics is with the store."""
    chosen = _chosen(workspace, task, rules)
    engine = workspace.project.settings.engine
    if engine.executor == "inline" or not chosen or limit is not None:
        for code, rule in chosen:
            for traces in _pending(workspace.store, rule, VOTES_AT_ONCE, limit=limit):
                writer.write(code_votes(code, rule, traces))
        return
    registered = tuple(rule for _, rule in chosen)
    with executor_of(engine) as executor:
        if kind_of(workspace.project.settings.store):
            _cast_where_they_are(workspace, executor, registered, writer)
        else:
            _cast_from_here(workspace, executor, registered, writer)


# --- a shared store: workers read it and write to it themselves


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of all traces, and the versions of the rules that are to vote on it."""

    root: Path
    rules: tuple[RegisteredRule, ...]
    part: Part


@dataclass(frozen=True, slots=True)
class Cast:
    """What a shard came to: votes by status, and a digest of them, whatever their order."""

    counts: dict[Status, int]
    digest: int


def _cast_where_they_are(
    workspace: Workspace, executor: Executor, rules: tuple[RegisteredRule, ...], writer: VoteWriter
) -> None:
    parts = max(1, -(-workspace.store.count_traces() // workspace.project.settings.engine.shard))
    root = workspace.project.root.resolve()
    for cast in executor.map(cast_shard, (Shard(root, rules, Part(index, parts)) for index in range(parts))):
        writer.written_elsewhere(cast.counts)


def cast_shard(shard: Shard) -> Cast:
    """What the shard came to; its votes are with the store, which has each once however often this is done."""
    counts: Counter[Status] = Counter()
    total = 0
    with open_workspace(shard.root, [shard.rules[0].task]) as workspace:
        for rule in shard.rules:
            code = code_rule(workspace.tasks[0], rule)
            for traces in _pending(workspace.store, rule, VOTES_AT_ONCE, part=shard.part):
                votes = code_votes(code, rule, traces)
                workspace.store.add_votes(votes)
                counts.update(vote.status for vote in votes)
                total ^= votes_digest(votes)
        workspace.store.settle()
    return Cast(dict(counts), total)


def votes_digest(votes: Sequence[Vote]) -> int:
    """The exclusive or of the votes' digests: the same for the same votes in any order and any split."""
    total = 0
    for vote in votes:
        total ^= int(digest([vote.key, vote.status, vote.label]), 16)
    return total


# --- an embedded store: its one owner hands out traces and takes votes


@dataclass(frozen=True, slots=True)
class Handful:
    """Traces that one rule is to vote on."""

    root: Path
    rule: RegisteredRule
    traces: tuple[Trace, ...]


def _cast_from_here(
    workspace: Workspace, executor: Executor, rules: tuple[RegisteredRule, ...], writer: VoteWriter
) -> None:
    root, size = workspace.project.root.resolve(), workspace.project.settings.engine.shard
    handfuls = (
        Handful(root, rule, tuple(traces))
        for rule in rules
        for traces in _pending(workspace.store, rule, size)
    )
    for votes in executor.map(cast_handful, handfuls):
        writer.write(votes)


def cast_handful(handful: Handful) -> list[Vote]:
    """The rule's votes on the traces."""
    _, tasks = load_checked(handful.root, [handful.rule.task])
    return code_votes(code_rule(tasks[0], handful.rule), handful.rule, handful.traces)


# --- both


def code_rule(task: Task, rule: RegisteredRule) -> CodeRule:
    """The task's code rule of that version.

    Raises:
        PromptlabelError: if it is not, or no longer, in the rules folder as this worker sees it.
    """
    for code in task.heuristics:
        if (code.name, code.rule_hash) == (rule.rule, rule.rule_hash):
            return code
    raise PromptlabelError(
        f"rule {task.name}/{rule.rule} was changed while it was voting, or is another version on this worker;"
        " what was voted is stored: run this again"
    )


def _chosen(workspace: Workspace, task: Task, rules: Sequence[str]) -> list[tuple[CodeRule, RegisteredRule]]:
    registered = {rule.rule: rule for rule in task.registered(workspace.project.settings.models)}
    return [(code, registered[code.name]) for code in task.heuristics if not rules or code.name in rules]


def _pending(
    store: Store, rule: RegisteredRule, size: int, *, limit: int | None = None, part: Part = WHOLE
) -> Iterator[list[Trace]]:
    pending = (trace for trace, _ in store.pending(rule, limit=limit, part=part))
    while traces := list(islice(pending, size)):
        yield traces
