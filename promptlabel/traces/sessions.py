"""What somebody did next, in other traces of the same session or by the same person, says of this one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, cast

from promptlabel.records import Trace
from promptlabel.traces.follow_ups import (
    REPHRASED_FROM,
    RETURNED_AFTER,
    asked,
    likeness_of,
    same_topic,
    spoken,
)

AGAIN_WITHIN: Final = timedelta(minutes=30)
LOOK_AHEAD: Final = 10
"""How many later traces of a person are looked at."""


def session_signals(trace: Trace, later: Sequence[Trace], as_of: datetime | None = None) -> dict[str, float]:
    """The signals of what followed; none without a timestamp, or where neither session nor user is known.

    Args:
        trace: of which they speak.
        later: traces of the same session or person that came after it, in any order.
        as_of: the moment when this is known, no later trace being later; None is when nothing more can come.
    """
    if trace.timestamp is None or person_of(trace) is None:
        return {}
    ordered = sorted((one for one in later if one.timestamp), key=moment_of)
    same = [one for one in ordered if one.session_id == trace.session_id]
    mine = [one for one in ordered if person_of(one) == person_of(trace)]
    known = {} if trace.session_id is None else _next_signals(trace, same[:1], as_of)
    return {**known, "topic_returned_hours": _returned(trace, mine[:LOOK_AHEAD]) / timedelta(hours=1)}


class Sessions:
    """Traces by session and by person, to find what came after one of them."""

    def __init__(self, traces: Iterable[Trace]) -> None:
        self._groups: dict[tuple[str, str], list[Trace]] = {}
        for trace in traces:
            for key in _keys(trace) if trace.timestamp else ():
                self._groups.setdefault(key, []).append(trace)
        for group in self._groups.values():
            group.sort(key=moment_of)

    def later(self, trace: Trace) -> list[Trace]:
        """What `session_signals` looks at: the next traces of its session and of its person."""
        if trace.timestamp is None:
            return []
        found: dict[str, Trace] = {}
        for key in _keys(trace):
            group = self._groups.get(key, [])
            start = bisect_right(group, moment_of(trace), key=moment_of)
            found |= {one.trace_id: one for one in group[start : start + LOOK_AHEAD]}
        return list(found.values())


def person_of(trace: Trace) -> str | None:
    """Who asked: the user, else the session."""
    return trace.session_id if trace.user_id is None else trace.user_id


def moment_of(trace: Trace) -> tuple[datetime, str]:
    """The trace's place among the others of its session; one without a time is never asked for it."""
    return cast("datetime", trace.timestamp), trace.trace_id


def _keys(trace: Trace) -> list[tuple[str, str]]:
    named = (("session", trace.session_id), ("person", person_of(trace)))
    return [(kind, name) for kind, name in named if name is not None]


def _next_signals(trace: Trace, following: Sequence[Trace], as_of: datetime | None) -> dict[str, float]:
    if not following:
        is_open = as_of is not None and as_of < moment_of(trace)[0] + AGAIN_WITHIN
        return {} if is_open else {"asked_again": 0.0}
    wait, alike = _wait(trace, following[0]), likeness_of(_last(trace), _first(following[0]))
    return {
        "next_seconds": wait.total_seconds(),
        "next_similarity": alike,
        "asked_again": float(wait <= AGAIN_WITHIN and alike >= REPHRASED_FROM),
    }


def _returned(trace: Trace, later: Sequence[Trace]) -> timedelta:
    waits = (
        wait
        for one in later
        if (wait := _wait(trace, one)) >= RETURNED_AFTER and same_topic(_last(trace), _first(one))
    )
    return next(waits, timedelta(0))


def _wait(trace: Trace, other: Trace) -> timedelta:
    return moment_of(other)[0] - moment_of(trace)[0]


def _first(trace: Trace) -> str:
    return next((turn.content for turn in asked(spoken(trace))), "")


def _last(trace: Trace) -> str:
    return next((turn.content for turn in reversed(asked(spoken(trace)))), "")
