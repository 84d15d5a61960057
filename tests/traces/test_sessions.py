"""What came after a trace: by hand, and as of any moment."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.records import Message, Trace
from promptlabel.traces.sessions import Sessions, moment_of, person_of, session_signals
from promptlabel.traces.signals import compute_signals

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
QUESTION = "how do I export the table"


def asked(
    name: str, minutes: float, question: str = QUESTION, session: str | None = "s", user: str | None = None
) -> Trace:
    return Trace(name, NOON + timedelta(minutes=minutes), question, "so", session_id=session, user_id=user)


def test_asked_again_in_other_words_within_half_an_hour() -> None:
    found = session_signals(
        asked("a", 0), [asked("c", 90), asked("b", 20, "how do I export the table again please")]
    )
    assert found == {
        "next_seconds": 1200,
        "next_similarity": 6 / 8,
        "asked_again": 1,
        "topic_returned_hours": 1.5,
    }


@pytest.mark.parametrize(
    ("later", "again"),
    [
        ([], 0),
        ([asked("b", 31)], 0),
        ([asked("b", 30)], 1),
        ([asked("b", 5, "thanks")], 0),
        ([asked("b", 5, session="t")], 0),
    ],
)
def test_asked_again(later: list[Trace], again: float) -> None:
    assert session_signals(asked("a", 0), later)["asked_again"] == again


def test_returned_hours_later_to_the_same_topic_as_the_same_person() -> None:
    first = asked("a", 0, session="s", user="u")
    others = [
        asked("b", 60, "what is the weather", "t", "u"),
        asked("c", 180, "export it as a file", "v", "u"),
        asked("d", 120, session="w", user="x"),
    ]
    assert session_signals(first, others)["topic_returned_hours"] == 3
    assert session_signals(first, others[:1])["topic_returned_hours"] == 0


def test_a_new_topic_may_come_between_but_not_more_than_ten_traces() -> None:
    between = [asked(f"b{number}", 60 + number, "what is the weather") for number in range(10)]
    back = asked("z", 200)
    assert session_signals(asked("a", 0), [*between[:9], back])["topic_returned_hours"] == pytest.approx(
        200 / 60
    )
    assert session_signals(asked("a", 0), [*between, back])["topic_returned_hours"] == 0


def test_the_last_question_is_held_against_the_first_of_the_next() -> None:
    turns = (Message("user", "hello there you"), Message("assistant", "hi"), Message("user", QUESTION))
    first = Trace("a", NOON, messages=turns, session_id="s")
    then = Trace("b", NOON, messages=turns[::-1], session_id="s")
    assert session_signals(first, [then])["next_similarity"] == 1


def test_without_a_time_or_a_session_nothing_is_told() -> None:
    assert session_signals(Trace("a", None, QUESTION, session_id="s"), []) == {}
    assert session_signals(asked("a", 0, session=None), []) == {}
    assert session_signals(asked("a", 0, session=None, user="u"), []) == {"topic_returned_hours": 0}


LATER = st.lists(
    st.tuples(
        st.integers(0, 300),
        st.sampled_from([QUESTION, "export again", "thanks a lot friend", "export the table now"]),
    ),
    max_size=14,
)


@given(LATER, st.integers(0, 300), st.randoms(use_true_random=False))
def test_deleting_or_shuffling_the_future_changes_nothing(
    later: list[tuple[int, str]], minutes: int, luck: random.Random
) -> None:
    now = NOON + timedelta(minutes=minutes)
    traces = [asked(f"t{place:02}", *one) for place, one in enumerate(later)]
    past = [one for one in traces if one.timestamp and one.timestamp <= now]
    expected = compute_signals(asked("a", 0), (), as_of=now, later=traces)
    assert compute_signals(asked("a", 0), (), as_of=now, later=luck.sample(past, len(past))) == expected
    unlike = [asked(one.trace_id, minutes + 1) for one in traces if one not in past]
    assert compute_signals(asked("a", 0), (), as_of=now, later=[*past, *unlike]) == expected


@given(LATER)
def test_long_after_all_is_known(later: list[tuple[int, str]]) -> None:
    traces = [asked(f"t{place:02}", *one) for place, one in enumerate(later)]
    late = NOON + timedelta(days=9)
    assert compute_signals(asked("a", 0), (), as_of=late, later=traces) == compute_signals(
        asked("a", 0), (), later=traces
    )


def test_what_only_time_can_tell_is_not_told_before() -> None:
    def again(minutes: float) -> float | None:
        return session_signals(asked("a", 0), [], NOON + timedelta(minutes=minutes)).get("asked_again")

    assert [again(29.9), again(30)] == [None, 0]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 200)),
            st.sampled_from([None, "s", "t"]),
            st.sampled_from([None, "u", "s"]),
            st.sampled_from([QUESTION, "export again", "thanks a lot friend"]),
        ),
        max_size=30,
    )
)
def test_sessions_find_all_that_the_signals_look_at(
    logged: list[tuple[int | None, str | None, str | None, str]],
) -> None:
    traces = [
        Trace(
            f"t{place:02}",
            None if at is None else NOON + timedelta(minutes=10 * at),
            question,
            "so",
            session_id=session,
            user_id=user,
        )
        for place, (at, session, user, question) in enumerate(logged)
    ]
    sessions = Sessions(traces)
    for one in traces:
        after = [
            other
            for other in traces
            if one.timestamp and other.timestamp and moment_of(other) > moment_of(one)
        ]
        mates = [
            other
            for other in after
            if other.session_id == one.session_id or person_of(other) == person_of(one)
        ]
        assert session_signals(one, sessions.later(one)) == session_signals(one, mates)
