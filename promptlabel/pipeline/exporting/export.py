"""`export`: what the store and the frozen evals hold, as our own rows or in the formats of other tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from promptlabel.errors import Fault, fail, nearest, raise_if_any
from promptlabel.evals.annotations import Annotated, argilla_records, labelstudio_tasks
from promptlabel.evals.feedback import openinference_rows, otel_logs, phoenix_annotations
from promptlabel.evals.formats import EVAL_FORMATS, TaskCard
from promptlabel.evals.freezing import Refusal
from promptlabel.evals.versions import LATEST, Case, named_version
from promptlabel.pipeline.eval_sets import eval_versions
from promptlabel.pipeline.exporting.export_rows import ROW_SOURCES, TRAINING, columns, opinions, posteriors
from promptlabel.pipeline.exporting.hugging_face import HubSplits, write_dataset
from promptlabel.pipeline.exporting.lineage import lineage_of
from promptlabel.pipeline.exporting.training_checks import Checks
from promptlabel.pipeline.exporting.training_export import TrainingExport, refused_path
from promptlabel.pipeline.exporting.training_survey import Reweighting
from promptlabel.pipeline.exporting.written import remember_written
from promptlabel.pipeline.files import Row, write_csv, write_document, write_jsonl, write_parquet
from promptlabel.pipeline.recording import recorded
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import JsonValue
from promptlabel.redaction import without_secrets
from promptlabel.review.adjudication import decide
from promptlabel.rules.loading import Task
from promptlabel.training.preferences import Pairs
from promptlabel.training.provenance import ExportRecord
from promptlabel.training.sft import conversation_chat, labelling_chat

ANNOTATION_FORMATS: Final = {"labelstudio": labelstudio_tasks, "argilla": argilla_records}
FEEDBACK_FORMATS: Final = {
    "openinference": openinference_rows,
    "phoenix-annotations": phoenix_annotations,
    "otel": otel_logs,
}
HUB: Final = "hf"
PREFERENCES: Final = "preferences"
SFT: Final = "sft"

_ROWS: Final = (".jsonl", ".parquet")
ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys((TRAINING, *ROW_SOURCES), _ROWS),
    PREFERENCES: (".jsonl",),
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
    SFT: (".jsonl",),
}
"""The endings each kind may be written with; the first is the default's."""

UNFROZEN: Final = "unfrozen"


TRAINING_KINDS: Final = (TRAINING, HUB, SFT, PREFERENCES)
"""What models are trained on: these pass the guards and are remembered."""


@dataclass(frozen=True, slots=True)
class TrainingWish:
    """What a training export should be like.

    Attributes:
        students: the models that are to be trained on it; none: those that are `trained_on` something.
        reweight: whether rows weigh more where few like them have a label.
        keep: for ``sft``, the label of the conversations to be repeated; None for the labelling task itself.
        least_confidence: for ``preferences``, pairs less sure than this are left out.
    """

    students: tuple[str, ...] = ()
    reweight: bool = False
    keep: str | None = None
    least_confidence: float = 0.5


NO_WISH: Final = TrainingWish()


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written where.

    Attributes:
        refused: what may not be trained on, and why; also in the file `refused_path`, where there is any.
        training: what is remembered of a training export: where its labels come from and for whom they are.
        checks: what a sample of the rows shows, a task each.
        reweighted: what became of the weights, a task each, where that was wished for.
    """

    path: str
    rows: int
    kind: str
    refused: tuple[Refusal, ...] = ()
    refused_path: str | None = None
    training: ExportRecord | None = None
    checks: tuple[Checks, ...] = ()
    reweighted: tuple[Reweighting, ...] = ()


def _told(report: ExportReport) -> dict[str, JsonValue]:
    refused = {"refused": len(report.refused)} if report.refused else {}
    return {"kind": report.kind, "file": report.path, "rows": report.rows, **refused}


@recorded("export", _told)
def export(
    workspace: Workspace,
    kind: str,
    out: Path | None = None,
    version: str = LATEST,
    wish: TrainingWish = NO_WISH,
    *,
    suggestions: bool = False,
) -> ExportReport:
    """What was written; the file, or for ``hf`` the folder, is there whole or not at all.

    Args:
        workspace: its tasks are exported into one file.
        kind: training, sft, preferences, votes, posteriors, queue, gold, promptfoo, inspect, openai-evals, hf,
            labelstudio, argilla, deepeval, langfuse, phoenix, jsonl, csv, openinference,
            phoenix-annotations or otel.
        out: where to; its ending chooses between JSON Lines, JSON, YAML and Parquet. By default the
            project's folder ``exports``.
        version: of the eval sets.
        wish: what a training export should be like.
        suggestions: for ``labelstudio`` and ``argilla``, what the rules suggest and what people decided as well;
            otherwise the file holds what waits for review and nothing that was made of it.

    Raises:
        InputError: for an unknown kind, version, model or label, or an ending the kind has no form for.
        StoppedError: when people decided too few of the rows that a model is to be trained on.
    """
    path = _checked_path(workspace, kind, out)
    raise_if_any(_unfit(workspace, kind, wish))
    if kind not in TRAINING_KINDS:
        rows = _write_rows(path, _rows(workspace, kind, version, suggestions), kind, workspace.tasks)
        remember_written(workspace, kind, path)
        return ExportReport(str(path), rows, kind)
    made = TrainingExport(workspace, lineage_of(workspace, wish.students), wish.reweight, wish.keep)
    if kind == PREFERENCES:
        rows = write_jsonl(path, map(without_secrets, made.ending_well(_pairs(made, wish.least_confidence))))
    else:
        rows = _write_training(path, made, kind, version)
    record = made.finish(path)
    refused = tuple(one for _, one in made.refused)
    listed = str(refused_path(path)) if refused else None
    return ExportReport(
        str(path), rows, kind, refused, listed, record, tuple(made.checks), tuple(made.reweighted)
    )


def _unfit(workspace: Workspace, kind: str, wish: TrainingWish) -> Iterator[Fault]:
    given = {"--for": wish.students, "--reweight": wish.reweight, "--keep": wish.keep}
    kinds = {"--for": TRAINING_KINDS, "--reweight": TRAINING_KINDS, "--keep": (SFT,)}
    for option, value in given.items():
        if value and kind not in kinds[option]:
            yield Fault(f"goes with {', '.join(kinds[option])}, not with {kind}", key=option)
    labels = {label for task in workspace.tasks for label in task.labels}
    if wish.keep and wish.keep not in labels:
        yield Fault(f"no task has the label '{wish.keep}'{nearest(wish.keep, labels)}", key="--keep")


def _write_training(path: Path, made: TrainingExport, kind: str, version: str) -> int:
    tasks = made.workspace.tasks
    if kind == HUB:
        return write_dataset(path, made.ending_well(_hub_splits(made, version)))
    if kind == SFT:
        chats = chain.from_iterable(_chats(made, task) for task in tasks)
        return _write_rows(path, map(without_secrets, made.ending_well(chats)), kind, tasks)
    rows = (row.record() for task in tasks for row in made.rows(task))
    return _write_rows(path, map(without_secrets, made.ending_well(rows)), kind, tasks)


def _chats(made: TrainingExport, task: Task) -> Iterator[Row]:
    for row in made.rows(task):
        if made.keep is None:
            is_set = task.spec.kind == "several"
            yield labelling_chat(row, task.spec.labels, task.spec.guidelines, is_set=is_set)
        else:
            yield conversation_chat(row)


def _pairs(made: TrainingExport, least: float) -> Iterator[Row]:
    """The preference pairs of the pairwise tasks."""
    tasks = [task for task in made.workspace.tasks if task.spec.kind == "pairwise"]
    if not tasks:
        fail("preferences come of pairwise tasks: write `kind: pairwise` in task.yaml")
    for task in tasks:
        first, second = task.labels[:2]
        pairs = Pairs((first, second), least)
        yield from (pairs.record(row) for row in made.rows(task, pairs.refusal))


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


def _rows(workspace: Workspace, kind: str, version: str, suggestions: bool) -> Iterator[Row]:
    rows = (_task_rows(workspace, kind, version, suggestions, task) for task in workspace.tasks)
    return map(without_secrets, chain.from_iterable(rows))


def _task_rows(workspace: Workspace, kind: str, version: str, suggestions: bool, task: Task) -> Iterable[Row]:
    if kind in ROW_SOURCES:
        return ROW_SOURCES[kind](workspace, task)
    if kind in ANNOTATION_FORMATS:
        annotated = _annotated(workspace, task) if suggestions else _waiting(workspace, task)
        return ANNOTATION_FORMATS[kind](annotated)
    if kind in FEEDBACK_FORMATS:
        return FEEDBACK_FORMATS[kind](opinions(workspace, task))
    found, cases = _cases(workspace, task, version)
    card = TaskCard(task.name, task.spec.labels, task.spec.guidelines, task.spec.kind == "several")
    return EVAL_FORMATS[kind](card, found, cases)


def _cases(workspace: Workspace, task: Task, name: str) -> tuple[str, tuple[Case, ...]]:
    """The frozen version; before the first, every blind decision, marked unfrozen."""
    versions = eval_versions(workspace, task.name)
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
        label = task.spec.named(one.label)
        yield Case(trace, task.name, label, UNFROZEN, one.at, one.reviewers, one.lane, one.probability)


def _waiting(workspace: Workspace, task: Task) -> Iterator[Annotated]:
    """The undecided traces of the queue, in its order, and nothing that was made of them."""
    ids = [pick.trace_id for pick in workspace.store.queue(task.name, undecided=True)]
    found = {trace.trace_id: trace for trace in workspace.store.traces(ids)}
    return (Annotated(found[trace_id], task.name) for trace_id in ids)


def _annotated(workspace: Workspace, task: Task) -> Iterator[Annotated]:
    """The traces of the queue, and those that people decided."""
    store = workspace.store
    picks = {pick.trace_id: pick for pick in store.queue(task.name)}
    decisions = {one.trace_id: one for one in decide(store.reviews(task.name), store.gold(task.name))}
    wanted = picks.keys() | decisions.keys()
    known = {
        one.trace_id: one
        for one in posteriors(store.posteriors(task.name), task.spec.kind)
        if one.trace_id in wanted
    }
    for trace in store.traces(sorted(wanted)):
        name = trace.trace_id
        yield Annotated(
            trace, task.name, known.get(name), decisions.get(name), picks.get(name), task.spec.kind
        )


def _hub_splits(made: TrainingExport, name: str) -> Iterator[HubSplits]:
    workspace = made.workspace
    for task in workspace.tasks:
        version = named_version(eval_versions(workspace, task.name), name)
        test: Iterable[Case] = version.cases if version else ()
        yield HubSplits(task, made.rows(task), test)
