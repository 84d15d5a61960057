"""What the page and the server say to each other: requests checked strictly, traces without anything made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from promptlabel.records import Trace
from promptlabel.redaction import redacted

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


def item_message(trace: Trace) -> dict[str, Any]:
    """What a reviewer may see before they decide: what was logged, but for secrets, and nothing that was made of it."""
    return {
        "trace_id": trace.trace_id,
        "timestamp": trace.timestamp.isoformat() if trace.timestamp else None,
        "category": trace.category,
        "turns": [{"role": turn.role, "content": redacted(turn.content)} for turn in trace.turns],
        "metadata": {key: redacted(str(value)) for key, value in trace.metadata.items()},
    }
