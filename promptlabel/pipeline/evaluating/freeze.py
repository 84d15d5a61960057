"""`freeze`: blind human decisions become the next frozen version of a task's eval set."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from promptlabel.errors import PromptlabelError
from promptlabel.evals.changes import describe
from promptlabel.evals.duplicates import example_texts
from promptlabel.evals.freezing import EvalTask, Frozen, Policy, Refusal, freeze_version
from promptlabel.evals.periods import month
from promptlabel.evals.versions import (
    CASES_FILE,
    MANIFEST_FILE,
    EvalVersion,
    cases_bytes,
    manifest_bytes,
    named_version,
)
from promptlabel.flywheel.drift import Freshness
from promptlabel.flywheel.refresh import Refresh
from promptlabel.pipeline.eval_sets import eval_versions
from promptlabel.pipeline.evaluating.freshening import beside_production, put_refresh_into_queue, refresh
from promptlabel.pipeline.exporting.trained import trained_repeats
from promptlabel.pipeline.files import write_bytes
from promptlabel.pipeline.fitting.tables import known_label, label_gold, marks, vote_table
from promptlabel.pipeline.recording import recorded
from promptlabel.pipeline.refusing import remember_refusals
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import JsonValue, Trace
from promptlabel.redaction import redacted, without_secrets
from promptlabel.review.adjudication import Decision, decide
from promptlabel.rules.loading import Task
from promptlabel.settings import Project


@dataclass(frozen=True, slots=True)
class Options:
    """What a freeze is asked for besides a version.

    Attributes:
        dry: write nothing; what would be frozen is reported.
        despite_training: take what was exported for training as well.
        reviews: propose so many reviews that bring the set closest to recent production.
        enqueue: put the proposed traces into the review queue.
    """

    dry: bool = False
    despite_training: bool = False
    reviews: int = 0
    enqueue: bool = False


@dataclass(frozen=True, slots=True)
class Short:
    """A category and month with fewer cases than `evals.least`."""

    category: str
    month: str
    cases: int


@dataclass(frozen=True, slots=True)
class FreezeReport:
    """The newest version of the task's eval set, None before there is one.

    Attributes:
        path: its folder.
        cases: how many cases it holds.
        fresh: how many of them came in now; none when nothing is new, and then no version was made.
        counts: of its cases, by label, category, month, lane, reason to be hard, and reviewer.
        refused: what may not enter, and why; for duplicates with the matching text and its place.
        diff: sentences on what changed against the parent.
        short: categories and months with fewer cases than the project asks for.
        freshness: how far the version trails production.
        refresh: the reviews that would close the distance fastest, where that was asked.
        queued: how many of them were put into the queue now.
        written: whether the version was made by this run; false for a dry one.
    """

    task: str
    version: str | None
    path: str | None
    cases: int
    fresh: int
    changed: bool
    counts: Mapping[str, object]
    refused: tuple[Refusal, ...]
    diff: tuple[str, ...] = ()
    short: tuple[Short, ...] = ()
    freshness: Freshness | None = None
    refresh: Refresh | None = None
    queued: int = 0
    written: bool = field(default=False)


def _told(report: FreezeReport) -> dict[str, JsonValue]:
    return {"version": report.version, "cases": report.cases, "new": report.fresh} if report.written else {}


@recorded("freeze", _told)
def freeze(
    workspace: Workspace, task: Task, *, now: datetime | None = None, options: Options = Options()
) -> FreezeReport:
    """What was frozen; `now` names the version, all else follows from the store.

    Raises:
        InputError: when an earlier version was edited.
    """
    decisions = _decisions(workspace, task)
    traces = list(
        map(_without_secrets, workspace.store.traces([decision.trace_id for decision in decisions]))
    )
    earlier = eval_versions(workspace, task.name)
    frozen = freeze_version(
        eval_task(workspace, task, decisions, [] if options.despite_training else traces),
        decisions,
        {trace.trace_id: trace for trace in traces},
        earlier,
        now or datetime.now(UTC),
    )
    written = frozen.changed and frozen.version is not None and not options.dry
    if written and frozen.version is not None:
        _write(workspace.project, frozen.version)
    if not options.dry:
        remember_refusals(workspace, task.name, "freeze", frozen.refused, now)
    return _report(workspace, task, frozen, earlier, options)


def _without_secrets(trace: Trace) -> Trace:
    """The trace as a case holds it: eval sets are committed and handed on, so keys and passwords are taken out."""
    return replace(
        trace,
        input=without_secrets(trace.input),
        output=without_secrets(trace.output),
        outputs=tuple(map(redacted, trace.outputs)),
        messages=tuple(replace(message, content=redacted(message.content)) for message in trace.messages),
        metadata=without_secrets(trace.metadata),
    )


def _decisions(workspace: Workspace, task: Task) -> list[Decision]:
    """What people decided; gold brought for a trace of the queue is the decision of that pick."""
    picks = {pick.trace_id: pick for pick in workspace.store.queue(task.name)}
    decided = decide(workspace.store.reviews(task.name), workspace.store.gold(task.name))
    return [
        replace(one, lane=pick.lane, probability=pick.probability)
        if one.lane is None and (pick := picks.get(one.trace_id))
        else one
        for one in (replace(one, label=known_label(task, one.label) or one.label) for one in decided)
    ]


def eval_task(
    workspace: Workspace, task: Task, decisions: Sequence[Decision], compared: Sequence[Trace]
) -> EvalTask:
    """What freezing must know of the task; `compared` are the traces that may repeat what was trained on."""
    settings = workspace.project.settings.evals
    days = settings.retire_after_days
    return EvalTask(
        name=task.name,
        labels=tuple(task.labels),
        examples=tuple(example_texts(task.prompts)),
        trained=trained_repeats(workspace, task.name, compared),
        outvoted=_outvoted(workspace, task, decisions),
        rules=tuple(workspace.store.registered_rules(task.name)),
        is_set=task.spec.kind == "several",
        policy=Policy(task.spec.holdout_after, settings.most, timedelta(days=days) if days else None),
    )


def _outvoted(workspace: Workspace, task: Task, decisions: Sequence[Decision]) -> frozenset[str]:
    """The decided traces on which most rules that vote say something else."""
    if task.spec.kind == "several":
        return _outvoted_sets(workspace, task, decisions)
    table = vote_table(workspace, task)
    row_of = {name: row for row, name in enumerate(table.trace_ids)}
    known = [one for one in decisions if one.trace_id in row_of and one.label in task.labels]
    if not known or not table.rules:
        return frozenset()
    votes = table.votes[[row_of[one.trace_id] for one in known]]
    label = np.array([task.labels.index(one.label) for one in known])[:, None]
    against = ((votes >= 0) & (votes != label)).sum(axis=1) > (votes == label).sum(axis=1)
    return frozenset(one.trace_id for one, out in zip(known, against.tolist(), strict=True) if out)


def _outvoted_sets(workspace: Workspace, task: Task, decisions: Sequence[Decision]) -> frozenset[str]:
    """The decided traces on which most rules say otherwise of one of the labels."""
    votes = workspace.store.label_votes(task.name, task.labels)
    gold = label_gold(task, votes.trace_ids, {one.trace_id: one.label for one in decisions})[:, None, :]
    said = marks(votes.applies)
    against = ((said >= 0) & (said != gold)).sum(axis=1) > (said == gold).sum(axis=1)
    out = against.any(axis=1) & (gold[:, 0, 0] >= 0)
    return frozenset(name for name, is_out in zip(votes.trace_ids, out.tolist(), strict=True) if is_out)


def version_folder(project: Project, version: EvalVersion) -> Path:
    """Where a version's two files lie."""
    return project.evals / version.task / version.version


def _write(project: Project, version: EvalVersion) -> None:
    """Both files appear at once, in a folder that was not there before."""
    folder = version_folder(project, version)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".freezing.", dir=folder.parent) as temporary:
        made = Path(temporary) / version.version
        write_bytes(made / CASES_FILE, cases_bytes(version.cases))
        write_bytes(made / MANIFEST_FILE, manifest_bytes(version.manifest))
        try:
            made.rename(folder)
        except OSError as error:
            raise PromptlabelError(f"{folder} was made by someone else meanwhile; run this again") from error


def _report(
    workspace: Workspace, task: Task, frozen: Frozen, earlier: Sequence[EvalVersion], options: Options
) -> FreezeReport:
    version, made = frozen.version, frozen.changed
    if version is None:
        return FreezeReport(task.name, None, None, 0, 0, made, {}, frozen.refused)
    beside = beside_production(workspace, [case.trace for case in version.cases])
    proposed = refresh(workspace, task, beside, options.reviews) if options.reviews else None
    return FreezeReport(
        task=task.name,
        version=version.version,
        path=str(version_folder(workspace.project, version)),
        cases=len(version.cases),
        fresh=sum(case.since == version.version for case in version.cases) if made else 0,
        changed=made,
        counts=_counts(version),
        refused=frozen.refused,
        diff=describe(version, named_version(earlier, str(version.manifest["parent"]))),
        short=tuple(_short(version, workspace.project.settings.evals.least or 0)),
        freshness=beside.freshness,
        refresh=proposed,
        queued=put_refresh_into_queue(workspace, task, proposed) if proposed and options.enqueue else 0,
        written=made and not options.dry,
    )


def _counts(version: EvalVersion) -> Mapping[str, object]:
    counts = version.manifest["counts"]
    return counts if isinstance(counts, Mapping) else {}


def _short(version: EvalVersion, least: int) -> Iterator[Short]:
    cells = Counter((case.trace.category or "none", month(case.trace)) for case in version.cases)
    for (category, of_month), cases in sorted(cells.items()):
        if cases < least:
            yield Short(category, of_month, cases)
