"""Behavioural signals: numbers that say what people did in and around one trace, by stable names.

Every signal is a float; one that cannot be told (no timestamps, no such event) is left out, and
`trace.signal(name)` is then None. A conversation is the trace's messages, or its input and output where it has
none. Signals of the conversation look at all of it; signals of events at the events given, up to `window` after
the last moment of the conversation where one is given.

======================  ============================================================================
of the conversation
======================  ============================================================================
messages                how many there are
turns                   changes of the speaker, plus one
senders                 different roles that wrote something
one_sided               1 when only one role wrote, else 0
balance                 characters of the quietest role over those of the loudest: 1 even, 0 one-sided
characters              of all messages
words_per_message       mean
questions               messages with a question mark
laughter                messages with haha, lol, lmao, rofl or a laughing emoji
opener_spoke_last       1 when the role that opened the conversation also wrote its last message
duration_seconds        from the first to the last message
longest_silence         longest time between two messages in a row, in seconds
reply_seconds_median    between a message and an answer to it by another role
reply_seconds_max       the slowest of these answers
follow_up_similarity    greatest share of words that two turns of the asker in a row have in common
rephrased_turns         of the asker, sharing half or more with the turn before; of 3 words or more
returned_after_hours    longest silence of 1 hour or more before the asker spoke of an earlier topic again
======================  ============================================================================

======================  ============================================================================
of events named E       (copied, accepted, rejected, edited, reverted, rated, dwell, regenerated, ...)
======================  ============================================================================
E                       value of the last one if it is a number or truth value, else 1: it happened
E_count                 how many
E_total                 sum of the values that are numbers: seconds of dwell, for one
E_after_seconds         from the end of the conversation to the first one
E_V                     1 for each short text value V: ``rated_down``
======================  ============================================================================

======================  ============================================================================
of what came after, where traces have a session or a user
======================  ============================================================================
next_seconds            until the next trace of the session
next_similarity         words that the last question here and the first one there share, if both have 3 or more
asked_again             1 where that is half or more and came within 30 minutes, else 0: the answer did not do
topic_returned_hours    until the person, hours later, asked of the same topic again, within 10 traces; 0 never
======================  ============================================================================

======================  ============================================================================
of several together
======================  ============================================================================
accepted_share          accepted over accepted and rejected
kept                    of accepted: 1 unless rejected or reverted within 10 minutes after, then 0
reverted_after_minutes  from accepted or copied to the soonest reverted after it
decision_seconds        from the last shown before it to the first accepted, rejected or copied
edited_share            of edited: its value from 0 to 1, else the words that `before` (in its metadata, or
                        the answer) and `after` (in its metadata, or its value) do not share
abandoned               1 where the answer came last, events are logged, and none of use within 30 minutes
rating_share            of the last rated, thumbs or feedback: 0 worst, 1 best; up, down, true and false are
                        known, numbers need `max` (and `min`, else 1) in the event's metadata
rerequest_similarity    words that the question and the prompt of the last regenerated, requested or retried
                        share: 1 all, 0 none; the prompt is its `prompt` in metadata, or its value
rerequest_changed       1 where that prompt differs from the question, else 0
======================  ============================================================================
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import fmean, median
from typing import Final, TypeVar

import orjson

from promptlabel.records import Event, JsonValue, Message, Trace
from promptlabel.traces.follow_ups import asked, follow_up_signals, spoken
from promptlabel.traces.reactions import EventsByName, reaction_signals
from promptlabel.traces.sessions import session_signals

_LAUGHTER: Final = re.compile(
    r"\b(?:a*(?:ha){2,}h?|he(?:he)+|lo+l+|lmf?ao+|rofl)\b|[😂🤣😆😹]", re.IGNORECASE
)
_Dated = TypeVar("_Dated", Message, Event, Trace)
_SHORT_VALUE: Final = re.compile(r"\w{1,20}")


def compute_signals(
    trace: Trace,
    events: Sequence[Event],
    *,
    window: timedelta | None = None,
    as_of: datetime | None = None,
    later: Sequence[Trace] = (),
) -> dict[str, float]:
    """The signals of one trace by name; an event can not take the name of a signal of the conversation.

    Args:
        trace: the conversation.
        events: the trace's own events, in any order.
        window: how long after the conversation events still count; None is for ever.
        as_of: the moment of which to say what was known: what was said or done later does not count, and what
            only time can tell (`kept`, `abandoned`) is left out until it has. None is after all of it.
        later: the traces of the same session or person that came after it, in any order.
    """
    conversation = _known(spoken(trace), as_of)
    end = max((moment for moment in (trace.timestamp, *_moments(conversation)) if moment), default=None)
    counted = sorted(_known(_within(events, end, window), as_of), key=_in_order)
    by_name = _by_name(counted)
    return {
        **_event_signals(by_name, end),
        **_reactions(by_name, conversation, end, as_of),
        **session_signals(trace, _known(later, as_of), as_of),
        **_conversation_signals(conversation),
    }


def _known(dated: Sequence[_Dated], as_of: datetime | None) -> Sequence[_Dated]:
    if as_of is None:
        return dated
    return [item for item in dated if item.timestamp is None or item.timestamp <= as_of]


def _in_order(event: Event) -> tuple[datetime, str, bytes, bytes]:
    """By time; what happened at one time by name and content, so that the log's order does not matter."""
    return event.timestamp, event.event, _json(event.value), _json(event.metadata)


def _json(value: JsonValue) -> bytes:
    return orjson.dumps(value, default=dict)


def _reactions(
    by_name: EventsByName, conversation: Sequence[Message], end: datetime | None, as_of: datetime | None
) -> dict[str, float]:
    questions = asked(conversation)
    is_answered = bool(conversation) and conversation[-1] not in questions[-1:]
    return reaction_signals(
        by_name,
        question=questions[-1].content if questions else None,
        answer=conversation[-1].content if is_answered else None,
        answered_at=end,
        as_of=as_of,
    )


def _moments(conversation: Sequence[Message]) -> list[datetime]:
    return [message.timestamp for message in conversation if message.timestamp is not None]


def _within(events: Iterable[Event], end: datetime | None, window: timedelta | None) -> list[Event]:
    if end is None or window is None:
        return list(events)
    return [event for event in events if event.timestamp <= end + window]


def _conversation_signals(conversation: Sequence[Message]) -> dict[str, float]:
    if not conversation:
        return {}
    return {
        **_sender_signals(conversation),
        **_text_signals(conversation),
        **_time_signals(conversation),
        **follow_up_signals(conversation),
    }


def _sender_signals(conversation: Sequence[Message]) -> dict[str, float]:
    written: dict[str, int] = defaultdict(int)
    for message in conversation:
        written[message.role] += len(message.content)
    loudest = max(written.values())
    return {
        "messages": float(len(conversation)),
        "turns": 1.0 + sum(before.role != after.role for before, after in pairwise(conversation)),
        "senders": float(len(written)),
        "one_sided": float(len(written) == 1),
        "balance": min(written.values()) / loudest if len(written) > 1 and loudest else 0.0,
        "characters": float(sum(written.values())),
        "opener_spoke_last": float(conversation[0].role == conversation[-1].role),
    }


def _text_signals(conversation: Sequence[Message]) -> dict[str, float]:
    contents = [message.content for message in conversation]
    return {
        "words_per_message": fmean(len(content.split()) for content in contents),
        "questions": float(sum("?" in content for content in contents)),
        "laughter": float(sum(_LAUGHTER.search(content) is not None for content in contents)),
    }


def _time_signals(conversation: Sequence[Message]) -> dict[str, float]:
    moments = _moments(conversation)
    if len(moments) < len(conversation):
        return {}
    gaps = [_seconds(before, after) for before, after in pairwise(moments)]
    signals = {
        "duration_seconds": _seconds(min(moments), max(moments)),
        "longest_silence": max(gaps, default=0.0),
    }
    answers = [
        gap
        for gap, (before, after) in zip(gaps, pairwise(conversation), strict=True)
        if before.role != after.role
    ]
    if answers:
        signals |= {"reply_seconds_median": median(answers), "reply_seconds_max": max(answers)}
    return signals


def _by_name(events: Iterable[Event]) -> dict[str, list[Event]]:
    by_name: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_name[event.event].append(event)
    return by_name


def _event_signals(by_name: EventsByName, end: datetime | None) -> dict[str, float]:
    signals: dict[str, float] = {}
    for name, same in sorted(by_name.items()):
        signals |= _signals_of_one_name(name, same, end)
    return signals


def _signals_of_one_name(name: str, events: Sequence[Event], end: datetime | None) -> dict[str, float]:
    numbers = [float(event.value) for event in events if isinstance(event.value, (bool, int, float))]
    last = _number(events[-1].value)
    signals = {name: 1.0 if last is None else last, f"{name}_count": float(len(events))}
    if numbers:
        signals[f"{name}_total"] = sum(numbers)
    if end is not None:
        signals[f"{name}_after_seconds"] = _seconds(end, events[0].timestamp)
    return signals | {f"{name}_{event.value}": 1.0 for event in events if _is_short_text(event.value)}


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, (bool, int, float)) else None


def _is_short_text(value: JsonValue) -> bool:
    return isinstance(value, str) and _SHORT_VALUE.fullmatch(value) is not None


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()
