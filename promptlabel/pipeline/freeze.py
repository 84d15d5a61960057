"""`freeze`: blind human decisions become the next frozen version of a task's eval set."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from promptlabel.errors import PromptlabelError
from promptlabel.evals.duplicates import example_texts
from promptlabel.evals.freezing import EvalTask, Frozen, Policy, Refusal, freeze_version
from promptlabel.evals.versions import (
    CASES_FILE,
    MANIFEST_FILE,
    EvalVersion,
    cases_bytes,
    manifest_bytes,
    read_versions,
)
from promptlabel.pipeline.files import write_bytes
from promptlabel.pipeline.workspace import Workspace
from promptlabel.review.adjudication import decide
from promptlabel.rules.loading import Task
from promptlabel.settings import Project


@dataclass(frozen=True, slots=True)
class FreezeReport:
    """The newest version of the task's eval set, None before there is one.

    Attributes:
        path: its folder.
        cases: how many cases it holds.
        fresh: how many of them came in now; none when nothing is new, and then no version was made.
        counts: of its cases, by label, category, month, lane and reviewer.
        refused: what may not enter, and why; for duplicates with the matching text's place.
    """

    task: str
    version: str | None
    path: str | None
    cases: int
    fresh: int
    changed: bool
    counts: Mapping[str, object]
    refused: tuple[Refusal, ...]


def freeze(workspace: Workspace, task: Task, *, now: datetime | None = None) -> FreezeReport:
    """What was frozen; `now` names the version, all else follows from the store.

    Raises:
        InputError: when an earlier version was edited.
    """
    decisions = decide(workspace.store.reviews(task.name), workspace.store.gold(task.name))
    traces = workspace.store.traces([decision.trace_id for decision in decisions])
    earlier = read_versions(workspace.project.evals / task.name)
    frozen = freeze_version(
        eval_task(workspace, task),
        decisions,
        {trace.trace_id: trace for trace in traces},
        earlier,
        now or datetime.now(UTC),
    )
    if frozen.changed and frozen.version is not None:
        _write(workspace.project, frozen.version)
    return _report(workspace.project, task.name, frozen)


def eval_task(workspace: Workspace, task: Task) -> EvalTask:
    """What freezing must know of the task."""
    return EvalTask(
        name=task.name,
        labels=tuple(task.labels),
        examples=tuple(example_texts(task.prompts)),
        rules=tuple(workspace.store.registered_rules(task.name)),
        policy=Policy(holdout_after=task.spec.holdout_after),
    )


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


def _report(project: Project, task: str, frozen: Frozen) -> FreezeReport:
    version = frozen.version
    return FreezeReport(
        task=task,
        version=version.version if version else None,
        path=str(version_folder(project, version)) if version else None,
        cases=len(version.cases) if version else 0,
        fresh=sum(case.since == version.version for case in version.cases)
        if version and frozen.changed
        else 0,
        changed=frozen.changed,
        counts=_counts(version),
        refused=frozen.refused,
    )


def _counts(version: EvalVersion | None) -> Mapping[str, object]:
    counts = version.manifest["counts"] if version else None
    return counts if isinstance(counts, Mapping) else {}
