"""What was knowable of a trace at the moment of prediction, and when each signal became what it is.

A training row may hold what a model could have seen when it had to answer: the text up to then, and signals as of then.
What people did afterwards is an outcome; it may be a label, and never a feature.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final, Literal

from promptlabel.records import Event, Message, Trace
from promptlabel.traces.reactions import ABANDON_WINDOW, REVERT_WINDOW
from promptlabel.traces.signals import compute_signals

PredictAt = Literal["end", "answer", "question"]
"""When a model must know: after the last message, after the first answer, or before it."""

_AN_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Known:
    """The value of a signal from a moment on, None from where it cannot be told; a moment of None is always."""

    since: datetime | None
    value: float | None


@dataclass(frozen=True)
class Knowable:
    """A trace as of the moment of prediction.

    Attributes:
        trace: without what was said later.
        at: the moment, None where the log does not say.
        features: the signals as of then; without a moment, those of the conversation, since no event can be placed.
    """

    trace: Trace
    at: datetime | None
    features: Mapping[str, float]


def knowable(trace: Trace, events: Sequence[Event], predict_at: PredictAt = "end") -> Knowable:
    """What could be known of the trace when a model had to answer."""
    cut = _cut(trace, predict_at)
    at = _moment(cut)
    features = compute_signals(cut, events if at else (), as_of=at)
    return Knowable(cut, at, features)


def signal_history(trace: Trace, events: Sequence[Event]) -> dict[str, tuple[Known, ...]]:
    """For every signal the values it took and since when, oldest first.

    Signals change when something is said or done, and when a window of time has passed after that, at no other moment.
    """
    moments = _moments_of_change(trace, events)
    history: dict[str, list[Known]] = {}
    for since, signals in _at_each(trace, events, moments):
        for name in history.keys() | signals.keys():
            steps = history.setdefault(name, [])
            value = signals.get(name)
            if (steps[-1].value if steps else None) != value:
                steps.append(Known(since, value))
    return {name: tuple(steps) for name, steps in sorted(history.items())}


def as_known(history: Mapping[str, Sequence[Known]], moment: datetime) -> dict[str, float]:
    """The signals as they were known at a moment: the join of a history as of then."""
    found = {name: _value_at(steps, moment) for name, steps in history.items()}
    return {name: value for name, value in found.items() if value is not None}


def _value_at(steps: Sequence[Known], moment: datetime) -> float | None:
    timed = [step.since for step in steps if step.since is not None]
    place = bisect_right(timed, moment) + len(steps) - len(timed)
    return steps[place - 1].value if place else None


def _moments_of_change(trace: Trace, events: Iterable[Event]) -> list[datetime]:
    said = [message.timestamp for message in trace.messages]
    happened = {
        moment for moment in (trace.timestamp, *said, *(event.timestamp for event in events)) if moment
    }
    windows = (timedelta(0), REVERT_WINDOW, ABANDON_WINDOW)
    return sorted({moment + window for moment in happened for window in windows})


def _at_each(
    trace: Trace, events: Sequence[Event], moments: Sequence[datetime]
) -> Iterable[tuple[datetime | None, dict[str, float]]]:
    yield None, compute_signals(trace, events, as_of=moments[0] - _AN_INSTANT if moments else None)
    for moment in moments:
        yield moment, compute_signals(trace, events, as_of=moment)


def _cut(trace: Trace, predict_at: PredictAt) -> Trace:
    """The trace up to the first answer, or up to what was asked before it; whole for ``end``."""
    if predict_at == "end":
        return trace
    if not trace.messages:
        return trace if predict_at == "answer" else replace(trace, output=None)
    asked = list(takewhile(lambda message: message.role != "assistant", trace.messages))
    answers = trace.messages[len(asked) : len(asked) + 1] if predict_at == "answer" else ()
    kept = (*asked, *answers)
    return replace(
        trace,
        messages=kept,
        input=_if_said(trace.input, asked, trace.messages),
        output=_if_said(trace.output, answers, trace.messages),
    )


def _if_said(text: str | None, kept: Sequence[Message], said: Sequence[Message]) -> str | None:
    """An input or output is kept unless it stands in a message that was cut off, or could be of a later turn."""
    contents = {message.content for message in kept}
    return text if text in contents or len(kept) == len(said) else None


def _moment(trace: Trace) -> datetime | None:
    """When the last of what is left was said; of a trace whose messages bear no times, its own."""
    said = [message.timestamp for message in trace.messages if message.timestamp]
    return max(said) if said else trace.timestamp
