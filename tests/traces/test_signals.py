"""Signals of conversations and of events, against what can be counted by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.records import Event, Message, Trace
from promptlabel.traces.signals import compute_signals

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def talk(*said: tuple[str, str, float]) -> Trace:
    return Trace("t", NOON, messages=tuple(Message(role, content, at(when)) for role, content, when in said))


def event(name: str, seconds: float = 0, value: object = None) -> Event:
    return Event("t", at(seconds), name, value)  # type: ignore[arg-type]


def of_events(*events: Event) -> dict[str, float]:
    return compute_signals(Trace("t", NOON), events)


class TestConversation:
    TALK = talk(("a", "hi there", 0), ("a", "you?", 10), ("b", "hahaha yes", 40), ("a", "ok lol?", 100))

    def test_every_signal_of_a_small_talk(self) -> None:
        assert compute_signals(self.TALK, ()) == {
            "messages": 4, "turns": 3, "senders": 2, "one_sided": 0, "characters": 29, "balance": 10 / 19,
            "opener_spoke_last": 1, "words_per_message": 7 / 4, "questions": 2, "laughter": 2,
            "duration_seconds": 100, "longest_silence": 60, "reply_seconds_median": 45, "reply_seconds_max": 60,
            "follow_up_similarity": 0, "rephrased_turns": 0, "returned_after_hours": 0,
        }  # fmt: skip

    def test_one_sided(self) -> None:
        signals = compute_signals(talk(("a", "hello?", 0), ("a", "anyone", 60)), ())
        assert (signals["one_sided"], signals["balance"], signals["turns"]) == (1, 0, 1)
        assert "reply_seconds_median" not in signals

    def test_input_and_output_are_a_conversation_of_two(self) -> None:
        signals = compute_signals(Trace("t", input="why?", output="so"), ())
        assert (signals["messages"], signals["senders"], signals["questions"]) == (2, 2, 1)
        assert "duration_seconds" not in signals

    def test_without_all_timestamps_no_durations(self) -> None:
        trace = Trace("t", messages=(Message("a", "x", NOON), Message("b", "y")))
        assert "duration_seconds" not in compute_signals(trace, ())

    def test_empty_messages_are_messages(self) -> None:
        assert compute_signals(talk(("a", "", 0), ("b", "", 1)), ())["balance"] == 0

    @pytest.mark.parametrize("text", ["haha", "HAHAHA", "ahahah", "hehe", "lol", "loool", "lmao", "ok 😂"])
    def test_laughter(self, text: str) -> None:
        assert compute_signals(Trace("t", input=text), ())["laughter"] == 1

    @pytest.mark.parametrize("text", ["ha", "he", "aha", "lollipop", "Chaha", "the hehefer"])
    def test_no_laughter(self, text: str) -> None:
        assert compute_signals(Trace("t", input=text), ())["laughter"] == 0

    @given(
        st.lists(
            st.tuples(st.sampled_from("ab"), st.text(max_size=9), st.integers(0, 99)), min_size=1, max_size=9
        )
    )
    def test_bounds(self, said: list[tuple[str, str, float]]) -> None:
        signals = compute_signals(talk(*said), ())
        assert 1 <= signals["senders"] <= signals["turns"] <= signals["messages"] == len(said)
        assert 0 <= signals["balance"] <= 1
        assert signals["one_sided"] == (signals["senders"] == 1)
        assert signals["questions"] <= signals["messages"]


class TestEvents:
    def test_an_event_that_happened_is_one_and_one_that_did_not_is_unknown(self) -> None:
        trace = Trace("t", NOON, signals=of_events(event("copied")))
        assert trace.signal("copied") == 1.0
        assert trace.signal("shared") is None

    def test_the_last_number_counts_and_all_are_summed(self) -> None:
        signals = of_events(event("dwell", 30, 4.5), event("dwell", 10, 2))
        assert signals == {"dwell": 4.5, "dwell_count": 2, "dwell_total": 6.5, "dwell_after_seconds": 10}

    @pytest.mark.parametrize(
        ("value", "expected"), [(True, 1), (False, 0), (0, 0), (0.35, 0.35), (None, 1), ([1], 1)]
    )
    def test_values(self, value: object, expected: float) -> None:
        assert of_events(event("edited", 0, value))["edited"] == expected

    def test_short_texts_name_signals_and_long_ones_do_not(self) -> None:
        signals = of_events(event("rated", 0, "down"), event("rated", 1, "not what I wanted"))
        assert {name for name in signals if name.startswith("rated")} == {
            "rated", "rated_count", "rated_after_seconds", "rated_down",
        }  # fmt: skip

    def test_time_runs_from_the_end_of_the_conversation(self) -> None:
        trace = talk(("a", "x", 0), ("b", "y", 60))
        assert compute_signals(trace, [event("copied", 90)])["copied_after_seconds"] == 30

    def test_the_window_is_inclusive(self) -> None:
        found = compute_signals(
            Trace("t", NOON), [event("in", 60), event("out", 61)], window=timedelta(minutes=1)
        )
        assert "in" in found
        assert "out" not in found

    def test_an_event_can_not_pose_as_a_signal_of_the_conversation(self) -> None:
        assert compute_signals(Trace("t", NOON, "x"), [event("messages", 0, 99)])["messages"] == 1

    @pytest.mark.parametrize(
        ("events", "share", "kept"),
        [
            ([event("accepted")], 1.0, 1.0),
            ([event("rejected")], 0.0, None),
            ([event("accepted"), event("rejected", 5), event("accepted", 9)], 2 / 3, 1.0),
            ([event("accepted"), event("reverted", 600)], 1.0, 0.0),
            ([event("accepted"), event("reverted", 601)], 1.0, 1.0),
            ([event("reverted"), event("accepted", 1)], 1.0, 1.0),
            ([event("copied")], None, None),
        ],
    )
    def test_acceptance(self, events: list[Event], share: float | None, kept: float | None) -> None:
        signals = of_events(*events)
        assert signals.get("accepted_share") == share
        assert signals.get("kept") == kept

    @given(
        st.permutations(
            [event("accepted"), event("reverted", 30), event("rated", 5, 2), event("rated", 9, 4)]
        )
    )
    def test_the_order_of_events_does_not_matter(self, events: list[Event]) -> None:
        assert of_events(*events)["kept"] == 0
        assert of_events(*events)["rated"] == 4

    @given(st.lists(st.integers(0, 200), max_size=6), st.lists(st.integers(101, 300), max_size=6))
    def test_what_happens_after_the_window_changes_nothing(self, early: list[int], late: list[int]) -> None:
        window = timedelta(seconds=100)
        past = [event("dwell", second, second) for second in early]
        future = [event("dwell", second, 1) for second in late]
        trace = Trace("t", NOON)
        assert compute_signals(trace, past + future, window=window) == compute_signals(
            trace, past, window=window
        )
