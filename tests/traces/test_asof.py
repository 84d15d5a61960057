"""As of a moment: histories agree with signals computed then, and no future changes what a training row may hold."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from itertools import pairwise

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces.test_point_in_time import EVENTS, MESSAGES, MOMENTS, NAMES, NOON, trace

from promptlabel.records import Event, Message, Trace
from promptlabel.traces.asof import Known, as_known, knowable, signal_history
from promptlabel.traces.signals import compute_signals

LATER = timedelta(minutes=1)


@given(MESSAGES, EVENTS, MOMENTS)
def test_a_history_says_what_signals_were_at_any_moment(
    messages: list[Message], events: list[Event], moment: datetime
) -> None:
    said = trace(messages)
    history = signal_history(said, events)
    assert as_known(history, moment) == compute_signals(said, events, as_of=moment)
    for steps in history.values():
        assert all(before.value != after.value for before, after in pairwise(steps))


@given(MESSAGES, EVENTS, st.sampled_from(["end", "answer", "question"]), st.randoms(use_true_random=False))
def test_deleting_shuffling_or_inventing_the_future_changes_nothing_knowable(
    messages: list[Message], events: list[Event], predict_at: str, luck: random.Random
) -> None:
    found = knowable(trace(messages), events, predict_at)
    assert found.at is not None
    past = [event for event in events if event.timestamp <= found.at]
    future = [
        Event("t", found.at + LATER * luck.randint(1, 90), luck.choice(NAMES), luck.random())
        for _ in range(5)
    ]
    assert knowable(trace(messages), past, predict_at) == found
    assert knowable(trace(messages), luck.sample([*past, *future], len(past) + 5), predict_at) == found


@given(MESSAGES, EVENTS)
def test_what_is_said_after_the_answer_is_not_knowable_at_the_answer(
    messages: list[Message], events: list[Event]
) -> None:
    said = trace([Message("user", "q", NOON), Message("assistant", "a", NOON), *messages])
    first = Trace("t", NOON, messages=said.messages[: 1 + [m.role for m in said.messages].index("assistant")])
    expected = knowable(first, events, "answer")
    assert knowable(said, events, "answer") == expected
    assert all((message.timestamp or NOON) <= (expected.at or NOON) for message in expected.trace.messages)


def test_signals_know_since_when() -> None:
    events = [
        Event("t", NOON + timedelta(minutes=5), "accepted"),
        Event("t", NOON + timedelta(minutes=7), "reverted"),
    ]
    history = signal_history(trace([Message("user", "q", NOON), Message("assistant", "a", NOON)]), events)
    assert history["accepted"] == (Known(events[0].timestamp, 1.0),)
    assert history["kept"] == (Known(events[1].timestamp, 0.0),)


def test_without_times_events_are_no_features() -> None:
    untimed = Trace("t", input="q", output="a")
    found = knowable(untimed, [Event("t", NOON, "copied")])
    assert found.at is None
    assert "copied" not in found.features
    assert signal_history(untimed, [])["messages"] == (Known(None, 2.0),)


@pytest.mark.parametrize(
    ("predict_at", "input_", "output", "messages"),
    [("end", "q", "b", 4), ("answer", "q", None, 2), ("question", "q", None, 1)],
)
def test_input_and_output_are_kept_only_where_they_were_said_by_then(
    predict_at: str, input_: str, output: str | None, messages: int
) -> None:
    said = (Message("user", "q"), Message("assistant", "a"), Message("user", "no"), Message("assistant", "b"))
    found = knowable(Trace("t", NOON, "q", "b", said), (), predict_at).trace
    assert (found.input, found.output, len(found.messages)) == (input_, output, messages)


def test_a_question_is_predicted_without_its_answer() -> None:
    assert knowable(Trace("t", NOON, "q", "a"), (), "question").trace.output is None
    assert knowable(Trace("t", NOON, "q", "a"), (), "answer").trace.output == "a"


@given(
    st.lists(st.tuples(MOMENTS, st.integers(0, 9)), min_size=1, max_size=8, unique_by=lambda pair: pair[0]),
    MOMENTS,
)
def test_the_join_is_duckdbs_asof_join(values: list[tuple[datetime, int]], moment: datetime) -> None:
    steps = tuple(Known(at, float(value)) for at, value in sorted(values))
    with duckdb.connect() as database:
        database.execute("CREATE TABLE facts (name VARCHAR, moment TIMESTAMPTZ, value DOUBLE)")
        database.executemany(
            "INSERT INTO facts VALUES ('s', ?, ?)", [(step.since, step.value) for step in steps]
        )
        joined = database.execute(
            "SELECT value FROM (SELECT 's' AS name, ?::TIMESTAMPTZ AS moment) asked ASOF JOIN facts USING (name, moment)",
            [moment],
        ).fetchall()
    assert as_known({"s": steps}, moment) == ({"s": joined[0][0]} if joined else {})
