"""What guards last refused, by verb and reason, kept for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from promptlabel.evals.freezing import Refusal
from promptlabel.flywheel.turning import Refused
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import JsonValue


def remember_refusals(
    workspace: Workspace, task: str, verb: str, refused: Iterable[Refusal], now: datetime | None = None
) -> None:
    """Nothing; what the verb refused this time replaces what it refused before."""
    reasons = dict(Counter(one.reason for one in refused))
    said: JsonValue = {"at": (now or datetime.now(UTC)).isoformat(), "reasons": reasons}
    workspace.store.save_state(_state(task), {**_saved(workspace, task), verb: said})


def refusals(workspace: Workspace, task: str) -> tuple[Refused, ...]:
    """What was refused last, most first."""
    found = (
        Refused(verb, reason, traces, said["at"][:10])
        for verb, said in _saved(workspace, task).items()
        for reason, traces in said["reasons"].items()
    )
    return tuple(sorted(found, key=lambda one: (-one.traces, one.verb, one.reason)))


def _saved(workspace: Workspace, task: str) -> Mapping[str, Any]:
    saved = workspace.store.state(_state(task))
    return saved if isinstance(saved, Mapping) else {}


def _state(task: str) -> str:
    return f"refused:{task}"
