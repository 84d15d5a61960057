"""What people did with an answer, out of several events together: how much they changed, how soon, whether they left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from promptlabel.records import Event, JsonValue
from promptlabel.traces.follow_ups import similarity, words_of

EventsByName: TypeAlias = Mapping[str, Sequence[Event]]
"""The events of one trace by their names, each list in order of time."""

REVERT_WINDOW: Final = timedelta(minutes=10)
ABANDON_WINDOW: Final = timedelta(minutes=30)

TAKEN: Final = ("accepted", "copied")
TAKEN_BACK: Final = ("rejected", "reverted")
DECIDED: Final = ("accepted", "rejected", "copied")
ASKED_AGAIN: Final = ("regenerated", "requested", "retried")
RATED: Final = ("rated", "thumbs", "feedback")
NO_USE: Final = frozenset({"shown", "viewed", "opened", "dwell", "left", "closed", "abandoned", "dismissed"})
"""Events that do not mean that anybody did anything with the answer."""

_GOOD: Final = frozenset({"up", "good", "like", "liked", "positive", "yes", "helpful", "👍"})
_BAD: Final = frozenset({"down", "bad", "dislike", "disliked", "negative", "no", "unhelpful", "👎"})


def reaction_signals(
    events: EventsByName,
    *,
    question: str | None,
    answer: str | None,
    answered_at: datetime | None,
    as_of: datetime | None = None,
) -> dict[str, float]:
    """The signals that several events, or an event and the conversation, give together; those that can be told.

    Args:
        events: all that count, by name.
        question: the asker's last turn.
        answer: what was answered last; None where the asker spoke last.
        answered_at: the end of the conversation.
        as_of: the moment when this is known, no event being later; None is when nothing more can come.
    """
    found = {
        "accepted_share": _accepted_share(events),
        "kept": _kept(events, as_of),
        "reverted_after_minutes": _minutes_to_revert(events),
        "decision_seconds": _seconds_to_decide(events),
        "edited_share": _edited_share(events.get("edited", ()), answer),
        "abandoned": None if answer is None else _abandoned(events, answered_at, as_of),
        "rating_share": _rating(_in_order(events, RATED)),
        **_asked_again(_in_order(events, ASKED_AGAIN), question),
    }
    return {name: value for name, value in found.items() if value is not None}


def _in_order(events: EventsByName, names: Sequence[str]) -> list[Event]:
    chosen = [event for name in names for event in events.get(name, ())]
    return sorted(chosen, key=lambda event: (event.timestamp, event.event))


def _accepted_share(events: EventsByName) -> float | None:
    accepted, rejected = len(events.get("accepted", ())), len(events.get("rejected", ()))
    return accepted / (accepted + rejected) if accepted or rejected else None


def _kept(events: EventsByName, as_of: datetime | None) -> float | None:
    """1 where the last acceptance outlived ten minutes, 0 where it did not."""
    if not events.get("accepted"):
        return None
    last = events["accepted"][-1].timestamp
    return _nothing_followed(last, _in_order(events, TAKEN_BACK), REVERT_WINDOW, as_of)


def _nothing_followed(
    start: datetime, events: Sequence[Event], window: timedelta, as_of: datetime | None
) -> float | None:
    """0 once one of the events came within the window, 1 when it has passed without; None before that is known."""
    if any(start <= event.timestamp <= start + window for event in events):
        return 0.0
    return None if as_of is not None and as_of < start + window else 1.0


def _minutes_to_revert(events: EventsByName) -> float | None:
    """From taking the answer to the soonest revert of it."""
    taken = [event.timestamp for event in _in_order(events, TAKEN)]
    waits = [_since_last(taken, revert.timestamp) for revert in events.get("reverted", ())]
    soonest = min((wait for wait in waits if wait is not None), default=None)
    return None if soonest is None else soonest / timedelta(minutes=1)


def _seconds_to_decide(events: EventsByName) -> float | None:
    """From the last time the answer was shown to what was decided first."""
    shown = [event.timestamp for event in events.get("shown", ())]
    waits = [_since_last(shown, decision.timestamp) for decision in _in_order(events, DECIDED)]
    first = next((wait for wait in waits if wait is not None), None)
    return None if first is None else first.total_seconds()


def _since_last(moments: Sequence[datetime], now: datetime) -> timedelta | None:
    earlier = [moment for moment in moments if moment <= now]
    return now - max(earlier) if earlier else None


def _edited_share(edits: Sequence[Event], answer: str | None) -> float | None:
    """The share as logged, else the share of words that the edited text and what it was do not have in common."""
    if not edits:
        return None
    edit = edits[-1]
    if isinstance(edit.value, (int, float)) and not isinstance(edit.value, bool):
        return float(edit.value) if 0 <= edit.value <= 1 else None
    after = edit.metadata.get("after", edit.value)
    before = edit.metadata.get("before", answer)
    return changed_share(before, after) if isinstance(before, str) and isinstance(after, str) else None


def changed_share(before: str, after: str) -> float:
    """One minus the overlap of two texts' words, each as often as it stands there (Dice 1945); 0 for equal texts."""
    old, new = Counter(before.split()), Counter(after.split())
    size = old.total() + new.total()
    return 1 - 2 * (old & new).total() / size if size else 0.0


def _abandoned(events: EventsByName, answered_at: datetime | None, as_of: datetime | None) -> float | None:
    """1 where events are logged but none of use came within half an hour after the answer, else 0."""
    if answered_at is None or not events:
        return None
    uses = [event for name, same in events.items() if name not in NO_USE for event in same]
    return _nothing_followed(answered_at, uses, ABANDON_WINDOW, as_of)


def _rating(ratings: Sequence[Event]) -> float | None:
    """The last rating from 0, worst, to 1, best; None where its scale is not known."""
    if not ratings:
        return None
    rating = ratings[-1]
    value, least, most = rating.value, rating.metadata.get("min", 1), rating.metadata.get("max")
    if isinstance(value, str):
        return _of_words(value.strip().lower())
    if isinstance(value, bool) or (rating.event == "thumbs" and isinstance(value, (int, float))):
        return float(value > 0)
    return _on_scale(value, least, most)


def _of_words(value: str) -> float | None:
    return 1.0 if value in _GOOD else 0.0 if value in _BAD else None


def _on_scale(value: JsonValue, least: JsonValue, most: JsonValue) -> float | None:
    if not (isinstance(value, (int, float)) and isinstance(least, (int, float))):
        return None
    if not isinstance(most, (int, float)) or not least <= value <= most or least == most:
        return None
    return (value - least) / (most - least)


def _asked_again(requests: Sequence[Event], question: str | None) -> dict[str, float]:
    """How like the question the prompt of the last new request is, and whether it was changed at all."""
    if not requests or question is None:
        return {}
    prompt = requests[-1].metadata.get("prompt", requests[-1].value)
    if not isinstance(prompt, str):
        return {}
    return {
        "rerequest_similarity": similarity(words_of(question), words_of(prompt)),
        "rerequest_changed": float(question.split() != prompt.split()),
    }
