"""Which traces were exported for training, so that no eval case repeats what a model has learnt from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promptlabel.evals.duplicates import Match, repeated_in
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Trace


def remember_trained(workspace: Workspace, task: str, path: Path, trace_ids: Sequence[str]) -> None:
    """Nothing; the traces of this export are known from now on, in place of those an earlier one wrote there."""
    exports = dict(_exports(workspace, task))
    exports[str(path.resolve())] = {"at": datetime.now(UTC).isoformat(), "traces": list(trace_ids)}
    workspace.store.save_state(_state(task), exports)


def trained_repeats(workspace: Workspace, task: str, traces: Sequence[Trace]) -> dict[str, Match]:
    """Trace id -> the row exported for training that repeats it, for those of the traces that one does."""
    return repeated_in(traces, _trained(workspace, task)) if traces else {}


def trained_ids(workspace: Workspace, task: str) -> frozenset[str]:
    """The traces of all exports for training."""
    return frozenset(name for export in _exports(workspace, task).values() for name in export["traces"])


def exported_for_training(workspace: Workspace, task: str) -> dict[str, frozenset[str]]:
    """The path of every export for training -> its traces."""
    return {path: frozenset(export["traces"]) for path, export in _exports(workspace, task).items()}


def _trained(workspace: Workspace, task: str) -> Iterator[tuple[Trace, str]]:
    places = {
        name: f"row {name} of {Path(path).name}, exported for training"
        for path, export in _exports(workspace, task).items()
        for name in export["traces"]
    }
    for trace in workspace.store.traces(list(places)) if places else ():
        yield trace, places[trace.trace_id]


def _exports(workspace: Workspace, task: str) -> Mapping[str, Any]:
    saved = workspace.store.state(_state(task))
    return saved if isinstance(saved, Mapping) else {}


def _state(task: str) -> str:
    return f"trained:{task}"
