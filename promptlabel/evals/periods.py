"""Time as eval sets see it: the month of a trace, and which traces are held back by a split in time."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime

from promptlabel.records import Trace


def month(trace: Trace) -> str:
    """``YYYY-MM`` of the trace, or ``none`` where it has no time."""
    return f"{trace.timestamp:%Y-%m}" if trace.timestamp else "none"


def is_later(trace: Trace, moment: datetime | None) -> bool:
    """Whether the trace is later than the moment; every trace is where there is none, one without a time never."""
    if moment is None:
        return True
    return trace.timestamp is not None and trace.timestamp > moment


def is_held_back(trace: Trace, holdout_after: datetime | None, frozen: Container[str]) -> bool:
    """Whether human labels of the trace are for judging only.

    They are when it is later than the task's `holdout_after`, or a case of a frozen version.
    """
    return trace.trace_id in frozen or (holdout_after is not None and is_later(trace, holdout_after))
