"""Time as eval sets see it: the month of a trace, and what lies after a split in time."""

from __future__ import annotations

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
