"""Which model was trained on which export, as the settings say and the exports before are remembered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from promptlabel.errors import Fault, fail, nearest, raise_if_any
from promptlabel.pipeline.files import write_bytes
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import RegisteredRule
from promptlabel.rules.loading import CODE_MODEL
from promptlabel.settings import CONFIGURATION_FILE, Project, family_of
from promptlabel.training.provenance import ExportRecord, Origin, Students, chain_to

_STATE: Final = "exports"
PROVENANCE: Final = ".provenance.json"
"""What the name of the file beside an export adds that says where its labels come from."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Who is to be trained, and the models and exports as they descend from one another."""

    students: Students
    models: Mapping[str, Origin]
    exports: Mapping[str, ExportRecord]

    def origin(self, model: str) -> Origin:
        """The model as an origin of labels."""
        return self.models.get(model) or Origin(model, family_of(model))

    def chain(self, rule: RegisteredRule) -> tuple[str, ...] | None:
        """The chain from a rule's votes to what is to be trained, None where there is none."""
        if rule.model == CODE_MODEL or not self.students:
            return None
        return chain_to(self.students, self.origin(rule.model), self.exports)


def lineage_of(workspace: Workspace, students: Sequence[str] = ()) -> Lineage:
    """The lineage for an export that trains these models; without any, those that were `trained_on` something.

    Args:
        workspace: the project.
        students: names of `models` in promptlabel.yaml, or full names of others, such as ``org/model``.

    Raises:
        InputError: for every model and every export that nothing is known of.
    """
    project = workspace.project
    exports = {one.name: one for one in known_exports(workspace)}
    models, faults = _models(project, exports)
    raise_if_any((*faults, *_unknown_students(project, students)))
    names = students or [name for name, model in project.settings.models.items() if model.trained_on]
    trained = [models.get(name) or Origin(name, family_of(name)) for name in names]
    return Lineage(Students.of(trained), models, exports)


def known_exports(workspace: Workspace) -> tuple[ExportRecord, ...]:
    """All training exports of the project, in the order in which they were written."""
    saved = workspace.store.state(_STATE)
    if not isinstance(saved, Sequence) or isinstance(saved, str):
        return ()
    return tuple(ExportRecord.read(one) for one in saved if isinstance(one, Mapping))


def remember_export(workspace: Workspace, record: ExportRecord, lineage: Lineage) -> None:
    """Nothing; the export is known from now on, and a file beside it says where its labels come from."""
    earlier = [one.record() for one in known_exports(workspace) if one.name != record.name]
    workspace.store.save_state(_STATE, [*earlier, record.record()])
    document = {"export": record.record(), "ancestors": [one.record() for one in _ancestors(record, lineage)]}
    place = workspace.project.root / record.path
    write_bytes(_beside(place), orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def path_in(project: Project, path: Path) -> str:
    """The path as records keep it: from the project's folder on where it lies inside."""
    root, full = project.root.resolve(), path.resolve()
    return str(full.relative_to(root) if full.is_relative_to(root) else full)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + PROVENANCE)


def _ancestors(record: ExportRecord, lineage: Lineage) -> list[ExportRecord]:
    found: dict[str, ExportRecord] = {}
    waiting = [record]
    while waiting:
        for origin in waiting.pop().origins:
            news = {name: lineage.exports[name] for name in origin.trained_on if name in lineage.exports}
            waiting += [one for name, one in news.items() if name not in found]
            found |= news
    return list(found.values())


def _models(project: Project, exports: dict[str, ExportRecord]) -> tuple[dict[str, Origin], list[Fault]]:
    """The models by name; exports of other projects, read from beside their files, join the known ones."""
    models, faults = {}, []
    for name, settings in project.settings.models.items():
        trained_on: list[str] = []
        for entry in settings.trained_on:
            found = _resolved(project, entry, exports)
            trained_on += [one.name for one in found]
            if not found:
                faults.append(_unknown_export(name, entry, exports))
        models[name] = Origin(name, settings.kin, tuple(trained_on))
    return models, faults


def _resolved(project: Project, entry: str, exports: dict[str, ExportRecord]) -> list[ExportRecord]:
    """The export of that name; of a path alone, every export that was written there."""
    if entry in exports:
        return [exports[entry]]
    path = path_in(project, project.root / entry)
    known = [one for one in exports.values() if one.path == path]
    return known or list(_read_beside(project.root / entry, exports))


def _read_beside(path: Path, exports: dict[str, ExportRecord]) -> Iterator[ExportRecord]:
    place = _beside(path)
    if not place.is_file():
        return
    try:
        document = orjson.loads(place.read_bytes())
        records = [ExportRecord.read(one) for one in (document["export"], *document["ancestors"])]
    except (ValueError, KeyError, TypeError):
        fail(Fault("is not what `export` writes beside its file; copy it again from there", str(place)))
    for record in records:
        exports.setdefault(record.name, record)
    yield records[0]


def _unknown_export(model: str, entry: str, exports: Mapping[str, ExportRecord]) -> Fault:
    names = {name for one in exports.values() for name in (one.name, one.path)}
    return Fault(
        f"no training export '{entry}' is known{nearest(entry, names)}, and no {entry}{PROVENANCE} is there",
        CONFIGURATION_FILE,
        key=f"models.{model}.trained_on",
    )


def _unknown_students(project: Project, students: Sequence[str]) -> Iterator[Fault]:
    models = project.settings.models
    for name in students:
        if name not in models and "/" not in name:
            yield Fault(
                f"'{name}' is none of the models{nearest(name, models)}; "
                "give one that is not among them by its full name, such as org/model",
                key="--for",
            )
