"""Runs the code rules of a task over the traces that lack their votes, in shards where the engine has several workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from promptlabel.errors import PromptlabelError
from promptlabel.pipeline.run_log import Run, shard, this_run
from promptlabel.pipeline.voting.casting import code_votes
from promptlabel.pipeline.voting.executors import Executor, executor_of, workers_here
from promptlabel.pipeline.voting.writing import VoteWriter
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.records import RegisteredRule, Status, Trace, Vote, digest
from promptlabel.rules.heuristic import CodeRule
from promptlabel.rules.loading import Task, load_checked
from promptlabel.store.connection import Row
from promptlabel.store.contract import WHOLE, Part
from promptlabel.store.opening import kind_of
from promptlabel.store.rows import pack, statuses

SHARDS_A_WORKER: Final = 4
"""At least, where there are traces enough: one that is slow then holds up no more than a few."""
VOTES_AT_ONCE: Final = 512
"""Traces a rule sees at once: enough for a batch of SQL, few enough for the progress bar to move."""


def cast_code_votes(
    workspace: Workspace, task: Task, writer: VoteWriter, *, rules: Sequence[str], limit: int | None
) -> None:
    """Nothing; every missing vote of the task's heuristics is with the store."""
    engine = workspace.project.settings.engine
    groups = _groups(workspace, task, rules)
    if limit is not None:
        groups = [(rule,) for group in groups for rule in group]
    if engine.executor == "inline" or not groups or limit is not None:
        for group in groups:
            with shard(this_run(), "1/1", task=task.name, rules=names_of(group)) as told:
                counts: Counter[str] = Counter()
                for votes in _cast(workspace, task, group, limit=limit):
                    writer.write(votes)
                    counts.update(vote.status for vote in votes)
                told.update(counts=dict(counts))
        return
    with executor_of(engine) as executor:
        shared = kind_of(workspace.project.settings.store)
        (_cast_where_they_are if shared else _cast_from_here)(workspace, executor, groups, writer)


Rules = tuple[RegisteredRule, ...]
"""Rules that lack the same traces, or next to: each trace is read once for all of them."""


def _groups(workspace: Workspace, task: Task, names: Sequence[str]) -> list[Rules]:
    """The chosen rules: those that have not voted yet together, each other alone."""
    cast = workspace.store.count_votes(task.name)
    chosen = {code.name for code in task.heuristics if not names or code.name in names}
    found = [
        rule
        for rule in task.registered(workspace.project.settings.models)
        if rule.rule in chosen and rule.kind != "prompt"
    ]
    fresh = tuple(rule for rule in found if not cast.get((rule.rule, rule.model)))
    return [group for group in (fresh, *((rule,) for rule in found if rule not in fresh)) if group]


def _cast(
    workspace: Workspace, task: Task, rules: Rules, *, limit: int | None = None, part: Part = WHOLE
) -> Iterator[list[Vote]]:
    """The rules' missing votes.

    All rules see what the first lacks; then each sees what it lacks still, as after a shard that was cut off.
    """
    for count, first in enumerate(rules):
        together = (first,) if count else rules
        for traces in _pending(workspace, first, VOTES_AT_ONCE, limit=limit, part=part):
            yield [vote for rule in together for vote in code_votes(code_rule(task, rule), rule, traces)]


# --- a shared store: workers read it and write to it themselves


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of all traces, and the versions of the rules that are to vote on it."""

    root: Path
    rules: Rules
    part: Part
    since: datetime | None = None
    run: Run = field(default_factory=this_run)

    def __str__(self) -> str:
        return f"{_named(self.rules)} over part {self.part.number + 1} of {self.part.of} of the traces"

    def pieces(self) -> list[Shard]:
        """A shard for each rule."""
        return [replace(self, rules=(rule,)) for rule in self.rules]


@dataclass(frozen=True, slots=True)
class Cast:
    """What a shard came to: votes by status, and a digest of them, whatever their order."""

    counts: dict[Status, int]
    digest: int


def _cast_where_they_are(
    workspace: Workspace, executor: Executor, groups: Sequence[Rules], writer: VoteWriter
) -> None:
    traces = workspace.store.count_traces()
    parts = max(1, -(-traces // _shard_size(workspace, traces)))
    root = workspace.project.root.resolve()
    shards = (
        Shard(root, rules, Part(number, parts), workspace.since)
        for rules in groups
        for number in range(parts)
    )
    for cast in executor.map(cast_shard, shards):
        writer.written_elsewhere(cast.counts)


def cast_shard(given: Shard) -> Cast:
    """What the shard came to; its votes are with the store, which has each once however often this is done."""
    task, part = given.rules[0].task, given.part
    name = f"{part.number + 1}/{part.of}"
    with shard(given.run, name, task=task, rules=names_of(given.rules)) as told:
        counts: Counter[Status] = Counter()
        total = 0
        with open_workspace(given.root, [task], since=given.since) as workspace:
            for votes in _cast(workspace, workspace.tasks[0], given.rules, part=part):
                workspace.store.add_votes(votes)
                counts.update(vote.status for vote in votes)
                total ^= votes_digest(votes)
            workspace.store.settle()
        told.update(counts=dict(counts))
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
    """Traces that rules are to vote on."""

    root: Path
    rules: Rules
    traces: tuple[Trace, ...]
    number: int
    run: Run = field(default_factory=this_run)

    def __str__(self) -> str:
        return f"{_named(self.rules)} over {len(self.traces):,} traces from {self.traces[0].trace_id} on"

    def pieces(self) -> list[Handful]:
        """A handful for each rule."""
        return [replace(self, rules=(rule,)) for rule in self.rules]


def _cast_from_here(
    workspace: Workspace, executor: Executor, groups: Sequence[Rules], writer: VoteWriter
) -> None:
    size = _shard_size(workspace, workspace.store.count_traces())
    for rules in groups:
        for count, first in enumerate(rules):
            together = (first,) if count else rules
            for packed in executor.map(cast_handful, _handfuls(workspace, first, together, size)):
                writer.write_packed(packed)


def _handfuls(workspace: Workspace, lacking: RegisteredRule, rules: Rules, size: int) -> Iterator[Handful]:
    root = workspace.project.root.resolve()
    for number, traces in enumerate(_pending(workspace, lacking, size), start=1):
        yield Handful(root, rules, tuple(traces), number)


def cast_handful(handful: Handful) -> list[Row]:
    """The rules' votes on the traces, packed."""
    task, rules = handful.rules[0].task, handful.rules
    with shard(handful.run, str(handful.number), task=task, rules=names_of(rules)) as told:
        _, tasks = load_checked(handful.root, [task])
        rows = [
            row for rule in rules for row in pack(code_votes(code_rule(tasks[0], rule), rule, handful.traces))
        ]
        told.update(counts=dict(statuses(rows)))
    return rows


# --- both


def _shard_size(workspace: Workspace, traces: int) -> int:
    """Traces in a shard: so many as is configured, or fewer, so that of all these there are some for every worker."""
    engine = workspace.project.settings.engine
    fair = -(-traces // (SHARDS_A_WORKER * workers_here(engine)))
    return min(engine.shard, max(fair, VOTES_AT_ONCE))


def names_of(rules: Rules) -> list[str]:
    """The rules' names."""
    return [rule.rule for rule in rules]


def _named(rules: Rules) -> str:
    return "voting by " + ", ".join(f"{rule.task}/{rule.rule}" for rule in rules)


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


def _pending(
    workspace: Workspace, rule: RegisteredRule, size: int, *, limit: int | None = None, part: Part = WHOLE
) -> Iterator[list[Trace]]:
    pending = (trace for trace, _ in workspace.pending(rule, limit=limit, part=part))
    while traces := list(islice(pending, size)):
        yield traces
