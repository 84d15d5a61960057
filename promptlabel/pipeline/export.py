"""`export`: what the store and the frozen evals hold, as our own rows or in the formats of other tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

from promptlabel.errors import fail, nearest
from promptlabel.evals.annotations import Annotated, argilla_records, labelstudio_tasks
from promptlabel.evals.feedback import openinference_rows, otel_logs, phoenix_annotations
from promptlabel.evals.formats import EVAL_FORMATS, TaskCard
from promptlabel.evals.freezing import Refusal
from promptlabel.evals.versions import LATEST, Case, named_version, read_versions
from promptlabel.pipeline.export_rows import (
    ROW_SOURCES,
    TRAINING,
    columns,
    guarded_rows,
    opinions,
    posteriors,
)
from promptlabel.pipeline.files import Row, write_csv, write_document, write_jsonl, write_parquet
from promptlabel.pipeline.hugging_face import HubSplits, write_dataset
from promptlabel.pipeline.refusing import remember_refusals
from promptlabel.pipeline.trained import remember_trained
from promptlabel.pipeline.workspace import Workspace
from promptlabel.redaction import without_secrets
from promptlabel.review.adjudication import decide
from promptlabel.rules.loading import Task
from promptlabel.training.export import TrainingRow

ANNOTATION_FORMATS: Final = {"labelstudio": labelstudio_tasks, "argilla": argilla_records}
FEEDBACK_FORMATS: Final = {
    "openinference": openinference_rows,
    "phoenix-annotations": phoenix_annotations,
    "otel": otel_logs,
}
HUB: Final = "hf"

_ROWS: Final = (".jsonl", ".parquet")
ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys((TRAINING, *ROW_SOURCES), _ROWS),
    "promptfoo": (".yaml", ".yml", ".json", ".jsonl"),
    "inspect": (".jsonl", ".json"),
    "openai-evals": (".jsonl",),
    "deepeval": (".json", ".jsonl"),
    "langfuse": (".jsonl", ".json"),
    "phoenix": (".jsonl", ".json"),
    "jsonl": (".jsonl",),
    "csv": (".csv",),
    "labelstudio": (".json",),
    "argilla": (".json",),
    **dict.fromkeys(FEEDBACK_FORMATS, (".jsonl",)),
    HUB: ("",),
}
"""The endings each kind may be written with; the first is the default's."""

UNFROZEN: Final = "unfrozen"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written where; `refused` is what may not be trained on, and why."""

    path: str
    rows: int
    kind: str
    refused: tuple[Refusal, ...] = ()


def export(workspace: Workspace, kind: str, out: Path | None = None, version: str = LATEST) -> ExportReport:
    """What was written; the file, or for ``hf`` the folder, is there whole or not at all.

    Args:
        workspace: its tasks are exported into one file.
        kind: training, votes, posteriors, queue, gold, promptfoo, inspect, openai-evals, hf, labelstudio,
            argilla, deepeval, langfuse, phoenix, jsonl, csv, openinference, phoenix-annotations or otel.
        out: where to; its ending chooses between JSON Lines, JSON, YAML and Parquet. By default the
            project's folder ``exports``.
        version: of the eval sets.

    Raises:
        InputError: for an unknown kind or version, or an ending the kind has no form for.
    """
    path = _checked_path(workspace, kind, out)
    job = _Job(workspace, kind, version)
    if kind == HUB:
        rows = write_dataset(path, _hub_splits(job))
    else:
        rows = _write_rows(path, _rows(job), kind, workspace.tasks)
    for task, trace_ids in job.trained.items():
        remember_trained(workspace, task, path, trace_ids)
        remember_refusals(workspace, task, "export", job.refused.get(task, ()))
    return ExportReport(str(path), rows, kind, tuple(chain.from_iterable(job.refused.values())))


@dataclass(frozen=True, slots=True)
class _Job:
    """One export: what is asked, and by task what was refused, and the ids of what may be trained on from now on."""

    workspace: Workspace
    kind: str
    version: str
    refused: dict[str, list[Refusal]] = field(default_factory=dict)
    trained: dict[str, list[str]] = field(default_factory=dict)

    def training_rows(self, task: Task) -> Iterator[TrainingRow]:
        """The task's rows; their ids are kept, and what was refused."""
        ids = self.trained.setdefault(task.name, [])
        for row in guarded_rows(self.workspace, task, self.refused.setdefault(task.name, [])):
            ids.append(row.trace.trace_id)
            yield row


def _checked_path(workspace: Workspace, kind: str, out: Path | None) -> Path:
    endings = ENDINGS.get(kind) or fail(f"there is no export '{kind}'{nearest(kind, ENDINGS)}")
    if out is None:
        return workspace.project.root / "exports" / f"{kind}{endings[0]}"
    if kind != HUB and out.suffix not in endings:
        fail(f"{out}: {kind} is written as {' or '.join(endings)}")
    if kind == HUB and out.is_file():
        fail(f"{out} is a file; {kind} is written as a folder")
    return out


def _write_rows(path: Path, rows: Iterable[Row], kind: str, tasks: tuple[Task, ...]) -> int:
    if path.suffix == ".parquet":
        return write_parquet(path, rows, columns(kind, tasks))
    if path.suffix == ".jsonl":
        return write_jsonl(path, rows)
    if path.suffix == ".csv":
        return write_csv(path, list(rows))
    return write_document(path, list(rows))


def _rows(job: _Job) -> Iterator[Row]:
    rows = chain.from_iterable(_task_rows(job, task) for task in job.workspace.tasks)
    return map(without_secrets, rows)


def _task_rows(job: _Job, task: Task) -> Iterable[Row]:
    workspace, kind = job.workspace, job.kind
    if kind == TRAINING:
        return (row.record() for row in job.training_rows(task))
    if kind in ROW_SOURCES:
        return ROW_SOURCES[kind](workspace, task)
    if kind in ANNOTATION_FORMATS:
        return ANNOTATION_FORMATS[kind](_annotated(workspace, task))
    if kind in FEEDBACK_FORMATS:
        return FEEDBACK_FORMATS[kind](opinions(workspace, task))
    version, cases = _cases(workspace, task, job.version)
    card = TaskCard(task.name, task.spec.labels, task.spec.guidelines)
    return EVAL_FORMATS[kind](card, version, cases)


def _cases(workspace: Workspace, task: Task, name: str) -> tuple[str, tuple[Case, ...]]:
    """The frozen version; before the first, every blind decision, marked unfrozen."""
    versions = read_versions(workspace.project.evals / task.name)
    version = named_version(versions, name)
    if version is not None:
        return version.version, version.cases
    if name != LATEST:
        fail(f"{task.name} has no eval version '{name}'{nearest(name, [one.version for one in versions])}")
    return UNFROZEN, tuple(_unfrozen(workspace, task))


def _unfrozen(workspace: Workspace, task: Task) -> Iterator[Case]:
    store = workspace.store
    blind = {
        one.trace_id: one for one in decide(store.reviews(task.name), store.gold(task.name)) if one.blind
    }
    for trace in store.traces(list(blind)):
        one = blind[trace.trace_id]
        yield Case(trace, task.name, one.label, UNFROZEN, one.at, one.reviewers, one.lane, one.probability)


def _annotated(workspace: Workspace, task: Task) -> Iterator[Annotated]:
    """The traces of the queue, and those that people decided."""
    store = workspace.store
    picks = {pick.trace_id: pick for pick in store.queue(task.name)}
    decisions = {one.trace_id: one for one in decide(store.reviews(task.name), store.gold(task.name))}
    wanted = picks.keys() | decisions.keys()
    known = {one.trace_id: one for one in posteriors(store.posteriors(task.name)) if one.trace_id in wanted}
    for trace in store.traces(sorted(wanted)):
        name = trace.trace_id
        yield Annotated(trace, task.name, known.get(name), decisions.get(name), picks.get(name))


def _hub_splits(job: _Job) -> Iterator[HubSplits]:
    for task in job.workspace.tasks:
        version = named_version(read_versions(job.workspace.project.evals / task.name), job.version)
        test: Iterable[Case] = version.cases if version else ()
        yield HubSplits(task, job.training_rows(task), test)
