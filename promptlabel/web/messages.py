"""What the page and the server say to each other: requests checked strictly, traces without anything made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from promptlabel.records import ORDER, Trace, digest
from promptlabel.redaction import redacted
from promptlabel.rules.spec import TaskSpec

Id = Annotated[str, Field(min_length=1, max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class JoinRequest(_Strict):
    """A name, and the token of the printed address unless the browser is signed in."""

    name: str
    token: str = ""


class InviteRequest(_Strict):
    """The name of whom an address is to let in."""

    name: str


class DisputedRequest(_Strict):
    """A page asks for traces on which reviewers differ, beside those it has."""

    count: int = Field(ge=0, le=20)
    have: list[Id] = Field(default=[], max_length=500)


class NextRequest(_Strict):
    """A browser tab asks for traces beside those it has."""

    tab: Id
    count: int = Field(ge=0, le=20)
    have: list[Id] = Field(default=[], max_length=500)


class Act(_Strict):
    """One thing a reviewer did."""

    event_id: Id
    action: Literal["label", "skip", "flag", "undo", "change", "adjudicate"]
    trace_id: Id | None = None
    label: str | None = None
    seconds: float | None = Field(default=None, ge=0, strict=False, allow_inf_nan=False)
    undoes: Id | None = None


class EventsRequest(_Strict):
    """What a reviewer did, in order."""

    events: list[Act] = Field(min_length=1, max_length=100)


def item_message(trace: Trace, task: TaskSpec, reviewer: str) -> dict[str, Any]:
    """What a reviewer may see before they decide: what was logged, but for secrets, and nothing that was made of it.

    Of a pair, its outputs from left to right in an order that is the reviewer's own, and the labels they stand for.
    """
    if task.kind == "pairwise" and len(trace.outputs) == len(ORDER):
        return _logged(replace(trace, outputs=())) | _pair(trace, tuple(task.labels), reviewer)
    return _logged(trace)


def _pair(trace: Trace, labels: tuple[str, ...], reviewer: str) -> dict[str, Any]:
    turned = int(digest([trace.trace_id, reviewer]), 16) % 2 == 1
    sides = list(zip(labels[: len(ORDER)], trace.outputs, strict=True))[:: -1 if turned else 1]
    return {"sides": [label for label, _ in sides], "outputs": [redacted(text) for _, text in sides]}


def _logged(trace: Trace) -> dict[str, Any]:
    return {
        "trace_id": trace.trace_id,
        "timestamp": trace.timestamp.isoformat() if trace.timestamp else None,
        "category": trace.category,
        "turns": [{"role": turn.role, "content": redacted(turn.content)} for turn in trace.turns],
        "metadata": {key: redacted(str(value)) for key, value in trace.metadata.items()},
    }
