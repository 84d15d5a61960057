"""`export`: what the store and the frozen evals hold, as our own rows or in the formats of other tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from promptlabel.errors import fail, nearest
from promptlabel.evals.annotations import Annotated, argilla_records, labelstudio_tasks
from promptlabel.evals.formats import EVAL_FORMATS, TaskCard
from promptlabel.evals.freezing import Refusal
from promptlabel.evals.versions import Case, read_versions
from promptlabel.pipeline.export_rows import ROW_SOURCES, columns, guarded_rows, posteriors
from promptlabel.pipeline.files import Row, write_document, write_jsonl, write_parquet
from promptlabel.pipeline.hugging_face import HubSplits, write_dataset
from promptlabel.pipeline.workspace import Workspace
from promptlabel.review.adjudication import decide
from promptlabel.rules.loading import Task

ANNOTATION_FORMATS: Final = {"labelstudio": labelstudio_tasks, "argilla": argilla_records}
HUB: Final = "hf"

_ROWS: Final = (".jsonl", ".parquet")
ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(ROW_SOURCES, _ROWS),
    "promptfoo": (".yaml", ".yml", ".json", ".jsonl"),
    "inspect": (".jsonl", ".json"),
    "openai-evals": (".jsonl",),
    "deepeval": (".json", ".jsonl"),
    "labelstudio": (".json",),
    "argilla": (".json",),
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


def export(workspace: Workspace, kind: str, out: Path | None = None) -> ExportReport:
    """What was written; the file, or for ``hf`` the folder, is there whole or not at all.

    Args:
        workspace: its tasks are exported into one file.
        kind: training, votes, posteriors, queue, gold, promptfoo, inspect, openai-evals, hf, labelstudio,
            argilla or deepeval.
        out: where to; its ending chooses between JSON Lines, JSON, YAML and Parquet. By default the
            project's folder ``exports``.

    Raises:
        InputError: for an unknown kind, or an ending the kind has no form for.
    """
    path = _checked_path(workspace, kind, out)
    refused: list[Refusal] = []
    if kind == HUB:
        rows = write_dataset(path, _hub_splits(workspace, refused))
    else:
        rows = _write_rows(path, _rows(workspace, kind, refused), kind, workspace.tasks)
    return ExportReport(str(path), rows, kind, tuple(refused))


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
    return write_document(path, list(rows))


def _rows(workspace: Workspace, kind: str, refused: list[Refusal]) -> Iterator[Row]:
    return chain.from_iterable(_task_rows(workspace, task, kind, refused) for task in workspace.tasks)


def _task_rows(workspace: Workspace, task: Task, kind: str, refused: list[Refusal]) -> Iterable[Row]:
    if kind in ROW_SOURCES:
        return ROW_SOURCES[kind](workspace, task, refused)
    if kind in ANNOTATION_FORMATS:
        return ANNOTATION_FORMATS[kind](_annotated(workspace, task))
    version, cases = _cases(workspace, task)
    card = TaskCard(task.name, task.spec.labels, task.spec.guidelines)
    return EVAL_FORMATS[kind](card, version, cases)


def _cases(workspace: Workspace, task: Task) -> tuple[str, tuple[Case, ...]]:
    """The newest frozen version; before the first, every blind decision, marked unfrozen."""
    versions = read_versions(workspace.project.evals / task.name)
    if versions:
        return versions[-1].version, versions[-1].cases
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


def _hub_splits(workspace: Workspace, refused: list[Refusal]) -> Iterator[HubSplits]:
    for task in workspace.tasks:
        versions = read_versions(workspace.project.evals / task.name)
        test: Iterable[Case] = versions[-1].cases if versions else ()
        yield HubSplits(task, guarded_rows(workspace, task, refused), test)
