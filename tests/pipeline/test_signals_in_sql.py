"""Signals that the store computes in SQL, against the pure functions as their oracle."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptlabel.pipeline.ingest import update_signals
from promptlabel.records import Event, Message, Trace
from promptlabel.store import signal_tables
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.traces.reactions import ASKED_AGAIN, DECIDED, NO_USE, RATED, TAKEN_BACK
from promptlabel.traces.sessions import person_of
from promptlabel.traces.signals import compute_signals

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
EXAMPLES = itertools.count()

MOMENTS = st.one_of(st.integers(0, 45), st.integers(0, 500), st.sampled_from([60, 90, 30, 10])).map(
    lambda minutes: NOON + timedelta(minutes=minutes, microseconds=minutes % 3)
)
WORDS = st.sampled_from(
    ["how", "do", "I", "export", "exports", "HAHA", "lol?", "thanks", "ΟΔΟΣ", "οδος", "İstanbul", "istanbul", "é-haha",
     "😂", "a_b", "½", "\u2003", "\x1c", "\x85", "why", "file", "file", "can't", "naïve", "日本語", '"q"', "\\", "\n"]
)  # fmt: skip
TEXTS = st.one_of(
    st.lists(WORDS, max_size=7).map(" ".join),
    st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"], max_codepoint=0x2FF), max_size=12),
)
ROLES = st.sampled_from(["user", "user", "assistant", "assistant", "system", "a", "b"])
NAMES = sorted(
    {*ASKED_AGAIN, *DECIDED, *NO_USE, *RATED, *TAKEN_BACK, "edited", "replay", "kept", "messages", 'od"d'}
)
VALUES = st.one_of(
    st.sampled_from([None, True, False, 0, 1, 3, 0.5, 0.25, -2, 1e300, "up", " Down ", "👍", "a new prompt", [1], {"a": 2}]),
    TEXTS,
)  # fmt: skip
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "max": st.sampled_from([5, 1, None, "x", True]),
        "min": st.sampled_from([0, 1, 5, None, 2.5]),
        "prompt": st.one_of(TEXTS, st.none(), st.integers(0, 9)),
        "before": st.one_of(TEXTS, st.none()),
        "after": st.one_of(TEXTS, st.none()),
    },
)


@st.composite
def traces(draw: st.DrawFn, name: str) -> Trace:
    fields: dict[str, Any] = {
        "timestamp": draw(st.one_of(st.none(), MOMENTS, MOMENTS)),
        "session_id": draw(st.sampled_from([None, "s", "s", "t"])),
        "user_id": draw(st.sampled_from([None, None, "u", "v"])),
    }
    if draw(st.booleans()):
        said = draw(
            st.lists(st.tuples(ROLES, TEXTS, st.one_of(st.none(), MOMENTS, MOMENTS)), min_size=1, max_size=5)
        )
        is_timed = draw(st.booleans())
        messages = [Message(role, text, at or (NOON if is_timed else None)) for role, text, at in said]
        return Trace(name, messages=tuple(messages), **fields)
    one, other = draw(TEXTS), draw(st.one_of(st.none(), TEXTS))
    return (
        Trace(name, input=one, output=other, **fields)
        if draw(st.booleans())
        else Trace(name, output=one, **fields)
    )


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Trace], list[Event]]:
    names = [f"t{place}" for place in range(draw(st.integers(1, 8)))]
    events = draw(
        st.lists(
            st.builds(Event, st.sampled_from(names), MOMENTS, st.sampled_from(NAMES), VALUES, METADATA),
            max_size=30,
        )
    )
    return [draw(traces(name)) for name in names], events


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    folder = tmp_path_factory.mktemp("store")
    with DuckDBStore(folder / "s.duckdb", folder / "journal") as store:
        yield store


def expected(of: Sequence[Trace], events: Sequence[Event]) -> dict[str, Mapping[str, float]]:
    """The oracle's signals; equal events are one, as they are in the store."""
    distinct = [event for place, event in enumerate(events) if event not in events[:place]]
    return {
        trace.trace_id: compute_signals(
            trace,
            [event for event in distinct if event.trace_id == trace.trace_id],
            later=[one for one in of if _is_later(one, trace)],
        )
        for trace in of
    }


def _is_later(one: Trace, trace: Trace) -> bool:
    if one.timestamp is None or trace.timestamp is None:
        return False
    is_mine = person_of(one) == person_of(trace) or one.session_id == trace.session_id
    return is_mine and (one.timestamp, one.trace_id) > (trace.timestamp, trace.trace_id)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(logs(), st.booleans(), st.sampled_from([1, 3, signal_tables.TRACES_AT_ONCE]))
def test_the_store_computes_what_the_functions_say_however_many_at_once(
    store: DuckDBStore, log: tuple[list[Trace], list[Event]], in_two: bool, at_once: int
) -> None:
    with patch.object(signal_tables, "TRACES_AT_ONCE", at_once):
        _compare(store, log, in_two)


def _compare(store: DuckDBStore, log: tuple[list[Trace], list[Event]], in_two: bool) -> None:
    mine = _renamed(log, f"{next(EXAMPLES)}-")
    half = len(mine[0]) // 2 if in_two else len(mine[0])
    store.add_traces(mine[0][:half])
    store.add_events(mine[1])
    assert update_signals(store) == half
    store.add_traces(mine[0][half:])
    update_signals(store)
    found = {trace.trace_id: trace.signals for trace in store.traces([trace.trace_id for trace in mine[0]])}
    for name, signals in expected(*mine).items():
        assert found[name] == pytest.approx(signals, rel=1e-12), name
    assert update_signals(store) == 0


def _renamed(log: tuple[list[Trace], list[Event]], prefix: str) -> tuple[list[Trace], list[Event]]:
    """The same log under ids that no other example has."""
    of, events = log
    return (
        [
            Trace(
                prefix + one.trace_id,
                one.timestamp,
                one.input,
                one.output,
                one.messages,
                session_id=one.session_id and prefix + one.session_id,
                user_id=one.user_id and prefix + one.user_id,
            )
            for one in of
        ],
        [Event(prefix + one.trace_id, one.timestamp, one.event, one.value, one.metadata) for one in events],
    )


class WithoutSql:
    """The store as one that leaves signals to the functions."""

    def __init__(self, store: DuckDBStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if name == "update_signals":
            raise AttributeError(name)
        return getattr(self._store, name)


@pytest.mark.parametrize("home", [lambda store: store, WithoutSql], ids=["sql", "functions"])
def test_a_trace_that_is_outdated_by_its_person_still_has_its_session(
    tmp_path: Path, home: Callable[[DuckDBStore], Any]
) -> None:
    def asked(name: str, minutes: int, session: str, user: str | None) -> Trace:
        return Trace(
            name, NOON + timedelta(minutes=minutes), "how do I export", session_id=session, user_id=user
        )

    with DuckDBStore(tmp_path / "s.duckdb", tmp_path / "journal") as opened:
        store = home(opened)
        store.add_traces([asked("m1", 0, "m", "mia"), asked("m2", 9, "m", None)])
        update_signals(store)
        store.add_traces([asked("m3", 90, "n", "mia")])
        assert update_signals(store) == 2
        (found,) = store.traces(["m1"])
    assert (found.signal("next_seconds"), found.signal("topic_returned_hours")) == (540, 1.5)
