"""What was knowable at a moment: nothing that is said or done later changes a signal as of that moment."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from promptlabel.records import Event, Message, Trace
from promptlabel.traces.signals import compute_signals

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
MOMENTS = st.integers(0, 60).map(lambda minutes: NOON + timedelta(minutes=minutes))
NAMES = [
    "shown",
    "accepted",
    "rejected",
    "reverted",
    "copied",
    "edited",
    "rated",
    "thumbs",
    "regenerated",
    "left",
]
EVENTS = st.lists(
    st.builds(
        Event, st.just("t"), MOMENTS, st.sampled_from(NAMES),
        st.sampled_from([None, True, 0.5, 3, "up", "a new prompt"]), st.sampled_from([{}, {"max": 5}]),
    ),
    max_size=12,
)  # fmt: skip
MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["user", "assistant"]), st.text("abc ?", max_size=20), MOMENTS),
    max_size=6,
)


def trace(messages: list[Message]) -> Trace:
    said = sorted(messages, key=lambda message: message.timestamp or NOON)
    return Trace("t", NOON, messages=tuple(said))


@given(MESSAGES, EVENTS, MOMENTS, st.randoms(use_true_random=False))
def test_deleting_or_shuffling_the_future_changes_no_signal(
    messages: list[Message], events: list[Event], now: datetime, luck: random.Random
) -> None:
    expected = compute_signals(trace(messages), events, as_of=now)
    past = [event for event in events if event.timestamp <= now]
    future = [event for event in events if event.timestamp > now]
    said = [message for message in messages if (message.timestamp or NOON) <= now]
    assert compute_signals(trace(said), past, as_of=now) == expected
    luck.shuffle(future)
    other = [Event("t", event.timestamp, luck.choice(NAMES), luck.random()) for event in future]
    assert compute_signals(trace(messages), [*other, *past], as_of=now) == expected


@given(MESSAGES, EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_the_log_changes_no_signal(
    messages: list[Message], events: list[Event], luck: random.Random
) -> None:
    shuffled = luck.sample(events, len(events))
    assert compute_signals(trace(messages), shuffled) == compute_signals(trace(messages), events)


@given(MESSAGES, EVENTS)
def test_long_after_all_is_known(messages: list[Message], events: list[Event]) -> None:
    late = NOON + timedelta(days=9)
    assert compute_signals(trace(messages), events, as_of=late) == compute_signals(trace(messages), events)


def test_what_only_time_can_tell_is_not_told_before() -> None:
    answered = trace([Message("user", "q", NOON), Message("assistant", "a", NOON)])
    events = [Event("t", NOON, "accepted"), Event("t", NOON, "shown")]

    def known(minutes: float) -> tuple[float | None, ...]:
        signals = compute_signals(answered, events, as_of=NOON + timedelta(minutes=minutes))
        return signals.get("kept"), signals.get("abandoned")

    assert [known(9.9), known(10)] == [(None, 0), (1, 0)]
    events = events[1:]
    assert [known(29.9), known(30)] == [(None, None), (None, 1)]
