"""One training export: its rows under all guards, what was refused, and the record that is kept of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

import orjson

from promptlabel.errors import StoppedError
from promptlabel.evals.freezing import Refusal
from promptlabel.pipeline.exporting.lineage import Lineage, path_in, remember_export
from promptlabel.pipeline.exporting.trained import remember_trained
from promptlabel.pipeline.exporting.training_checks import Checks, RowSample
from promptlabel.pipeline.exporting.training_labels import TrainingSource
from promptlabel.pipeline.exporting.training_survey import Reweighting
from promptlabel.pipeline.files import write_jsonl
from promptlabel.pipeline.refusing import remember_refusals
from promptlabel.pipeline.workspace import Workspace
from promptlabel.rules.loading import Task
from promptlabel.training.export import TrainingRow
from promptlabel.training.provenance import ExportRecord, Origin, missing_reviews
from promptlabel.training.sft import why_not_repeated

Item = TypeVar("Item")

REFUSED: Final = ".refused.jsonl"
"""What the name of the file beside an export adds that lists what was refused, each with its chain."""
_DIGITS: Final = 10


@dataclass(slots=True)
class _Written:
    """What was written of one task."""

    ids: list[str] = field(default_factory=list)
    human: int = 0


@dataclass
class TrainingExport:
    """The rows of an export as they pass, and what is known of them at its end."""

    workspace: Workspace
    lineage: Lineage
    reweight: bool = False
    keep: str | None = None
    checks: list[Checks] = field(default_factory=list)
    reweighted: list[Reweighting] = field(default_factory=list)
    refused: list[tuple[str, Refusal]] = field(default_factory=list)
    set_aside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _origins: set[Origin] = field(default_factory=set)
    _written: dict[str, _Written] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._digest = sha256()

    def rows(
        self, task: Task, refusal: Callable[[TrainingRow], Refusal | None] = lambda _: None
    ) -> Iterator[TrainingRow]:
        """The task's training rows, streamed; `refusal` says of one that passed the guards why it is unfit."""
        source = TrainingSource(self.workspace, task, self.lineage, self.reweight)
        self.set_aside |= source.set_aside
        self._origins.update(source.origins)
        refused: list[Refusal] = []
        fit = self._fit(task, source.rows(refused), refusal, refused)
        yield from self._noted(task, fit)
        self.refused += [(task.name, one) for one in refused]
        reweighted = source.reweighting()
        self.reweighted += [reweighted] if reweighted else []

    def _fit(
        self,
        task: Task,
        rows: Iterable[TrainingRow],
        refusal: Callable[[TrainingRow], Refusal | None],
        refused: list[Refusal],
    ) -> Iterator[TrainingRow]:
        """The rows but for the unfit; where conversations of one label are to be repeated, these."""
        for row in rows:
            reason = why_not_repeated(row, task.spec.members(row.label), self.keep) if self.keep else None
            unfit = Refusal(row.trace.trace_id, reason) if reason else refusal(row)
            if unfit is None:
                yield row
            else:
                refused.append(unfit)

    def _noted(self, task: Task, rows: Iterable[TrainingRow]) -> Iterator[TrainingRow]:
        written, sample = self._written.setdefault(task.name, _Written()), RowSample(task.name)
        for row in rows:
            written.ids.append(row.trace.trace_id)
            written.human += row.is_human
            self._digest.update(orjson.dumps([task.name, row.trace.trace_id, dict(row.probs)]))
            sample.add(row)
            yield row
        self.checks.append(sample.checks())

    def ending_well(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items; after the last, before anything is in its place, the share of human labels is looked at.

        Raises:
            StoppedError: where a model's next training set holds too few of them.
        """
        yield from items
        floor = self.workspace.project.settings.training.human_share
        short = {task: missing_reviews(len(one.ids), one.human, floor) for task, one in self._written.items()}
        if self.lineage.students and any(short.values()):
            raise StoppedError("\n".join(self._too_few(task, n) for task, n in short.items() if n))

    def finish(self, path: Path) -> ExportRecord:
        """The record of the export, remembered; what was refused is listed beside it."""
        for task, one in self._written.items():
            remember_trained(self.workspace, task, path, one.ids)
            mine = (refusal for name, refusal in self.refused if name == task)
            remember_refusals(self.workspace, task, "export", mine)
        record = self._record(path)
        remember_export(self.workspace, record, self.lineage)
        _list_refused(path, self.refused)
        return record

    def _too_few(self, task: str, missing: int) -> str:
        one, floor = self._written[task], self.workspace.project.settings.training.human_share
        students = ", ".join(sorted(self.lineage.students.models))
        return (
            f"{task}: people decided {one.human:,} of {len(one.ids):,} rows for {students}, under the share of "
            f"{floor:.1%} of training.human_share; {missing:,} more reviews are missing (promptlabel review), "
            "nothing was written"
        )

    def _record(self, path: Path) -> ExportRecord:
        place = path_in(self.workspace.project, path)
        return ExportRecord(
            name=f"{place}@{self._digest.hexdigest()[:_DIGITS]}",
            path=place,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            tasks=tuple(self._written),
            students=tuple(sorted(self.lineage.students.models)),
            origins=tuple(sorted(self._origins, key=lambda one: one.model)),
            rows=sum(len(one.ids) for one in self._written.values()),
            human=sum(one.human for one in self._written.values()),
            refused=dict(Counter(one.reason for _, one in self.refused)),
            set_aside=self.set_aside,
            figures=self.checks[0].figures if len(self.checks) == 1 else {},
        )


def _list_refused(path: Path, refused: Iterable[tuple[str, Refusal]]) -> None:
    rows = [_refused_row(task, one) for task, one in refused]
    place = refused_path(path)
    if rows:
        write_jsonl(place, rows)
    else:
        place.unlink(missing_ok=True)


def refused_path(path: Path) -> Path:
    """The file beside an export that lists what was refused."""
    return path.with_name(path.name + REFUSED)


def _refused_row(task: str, refusal: Refusal) -> Mapping[str, object]:
    known = {key: value for key, value in asdict(refusal).items() if value not in (None, ())}
    return {"trace_id": refusal.trace_id, "task": task} | known
