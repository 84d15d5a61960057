"""What was exported where, but for training: so that whoever forgets a trace can be told which files may hold it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from promptlabel.pipeline.workspace import Workspace

_STATE: Final = "written exports"


def remember_written(workspace: Workspace, kind: str, path: Path) -> None:
    """Nothing; the file is known from now on."""
    entry = {"kind": kind, "at": datetime.now(UTC).isoformat()}
    workspace.store.save_state(_STATE, {**written_exports(workspace), str(path.resolve()): entry})


def written_exports(workspace: Workspace) -> Mapping[str, Any]:
    """The path of every such export -> its kind, and when it was last written."""
    saved = workspace.store.state(_STATE)
    return saved if isinstance(saved, Mapping) else {}
