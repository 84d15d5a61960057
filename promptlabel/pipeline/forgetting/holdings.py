"""Where traces are held besides the store: frozen eval versions, and what was exported."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from promptlabel.evals.versions import EvalVersion, read_versions
from promptlabel.pipeline.exporting.trained import exported_for_training
from promptlabel.pipeline.exporting.written import written_exports
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import JsonValue

_STATE: Final = "copies of forgotten traces"


@dataclass(frozen=True, slots=True)
class HeldInEval:
    """A frozen eval version that has cases of the traces."""

    task: str
    version: str
    path: str
    cases: int


@dataclass(frozen=True, slots=True)
class HeldInExport:
    """A file or folder that was exported and is there still; `traces` is None where it may hold some of them."""

    path: str
    traces: int | None


def evals_with(workspace: Workspace, ids: Collection[str]) -> tuple[HeldInEval, ...]:
    """The frozen versions of all tasks that hold some of the traces."""
    return tuple(
        HeldInEval(version.task, version.version, str(path), cases)
        for path, version in frozen_folders(workspace)
        if (cases := sum(case.trace.trace_id in ids for case in version.cases))
    )


def frozen_folders(workspace: Workspace) -> Iterator[tuple[Path, EvalVersion]]:
    """Every frozen version of every task, and its folder."""
    for task in _folders(workspace.project.evals):
        for version in read_versions(task):
            yield task / version.version, version


def exports_with(workspace: Workspace, ids: frozenset[str]) -> tuple[HeldInExport, ...]:
    """The exports that are there and hold some of the traces, or may."""
    certain: dict[str, int] = {}
    for task in _tasks(workspace):
        for path, names in exported_for_training(workspace, task).items():
            certain[path] = certain.get(path, 0) + len(ids & names)
    possible = written_exports(workspace).keys() - certain.keys() if ids else ()
    held = [HeldInExport(path, count) for path, count in sorted(certain.items()) if count]
    return tuple(
        one for one in [*held, *(HeldInExport(path, None) for path in sorted(possible))] if _exists(one)
    )


def remember_copies(workspace: Workspace, exports: Collection[HeldInExport], now: datetime) -> None:
    """Nothing; these exports are known to hold what was forgotten until they are gone or written anew."""
    news: dict[str, JsonValue] = {one.path: {"at": now.isoformat(), "traces": one.traces} for one in exports}
    if news:
        workspace.store.save_state(_STATE, {**_saved(workspace), **news})


def copies(workspace: Workspace) -> tuple[HeldInExport, ...]:
    """The exports that hold what was forgotten, or may, and are as they were before."""
    return tuple(
        HeldInExport(path, said["traces"])
        for path, said in _saved(workspace).items()
        if Path(path).exists() and _changed_at(Path(path)) < datetime.fromisoformat(said["at"])
    )


def _saved(workspace: Workspace) -> Mapping[str, Any]:
    saved = workspace.store.state(_STATE)
    return saved if isinstance(saved, Mapping) else {}


def _exists(held: HeldInExport) -> bool:
    return Path(held.path).exists()


def _changed_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _tasks(workspace: Workspace) -> list[str]:
    """The names of all tasks, whether or not their rules can be read."""
    project = workspace.project
    return sorted({path.name for path in (*_folders(project.rules), *_folders(project.evals))})


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
