"""What every home of the store forgets, refuses from then on, and still knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from forgettable import about
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_homes import Open
from store_samples import (
    LABELS,
    RULE,
    START,
    TASK,
    a_code_vote,
    a_review,
    a_rule,
    a_trace,
    a_vote,
    an_attempt,
)

from promptlabel.records import Event, Gold, Pick
from promptlabel.store.contract import Added, PosteriorTable, Store, Whom
from promptlabel.store.forgettings import Forgetting, Kind, mark_of

OF_ONE_TRACE = {
    "traces": 1, "events": 1, "signals": 1, "votes": 2, "gold": 1, "reviews": 1, "posteriors": 1, "picks": 1,
}  # fmt: skip
SALT = "00112233445566778899aabbccddeeff"
FORGOTTEN, KEPT = "trace-00001", "trace-00002"
KINDS: tuple[Kind, ...] = ("trace", "user", "session")


def forgetting_of(*names: str, kind: Kind = "trace", minute: int = 0, remembered: bool = False) -> Forgetting:
    at = START + timedelta(days=1, minutes=minute)
    return Forgetting.of([(kind, name) for name in names], at, SALT, remembered=remembered)


def fill(store: Store, numbers: Sequence[int] = (1, 2)) -> None:
    """A row of each of the traces in every relation."""
    ids = [f"trace-{number:05d}" for number in numbers]
    store.add_traces(
        a_trace(number, user_id=f"user-{number}", session_id=f"s-{number}") for number in numbers
    )
    store.add_events(Event(name, START, "thumb", 1) for name in ids)
    store.add_signals((name, {"events.count": 1.0}) for name in ids)
    store.add_gold(Gold(name, TASK, "good", "ada", START) for name in ids)
    store.register_rules(TASK, [RULE, a_rule("code")])
    for number in numbers:
        store.add_votes([a_vote(number)], [an_attempt(a_vote(number))])
        store.add_votes([a_code_vote(number, rule=a_rule("code"))])
        store.add_review(a_review(number))
    probs = np.full((len(ids), 2), 0.5)
    store.save_posteriors(PosteriorTable(TASK, LABELS, tuple(ids), probs, START, "majority", {"seen": ids}))
    store.save_queue(TASK, [Pick(name, TASK, "audit", 1.0, 0.5, "because", {}) for name in ids])
    store.save_state("trained:quality", {"out.jsonl": {"at": "now", "traces": list(ids)}})
    store.save_state("audit draw:quality", {"drawn": [[name, 0.5, 0.1] for name in ids], "known": list(ids)})


def everything_of(store: Store, number: int) -> dict[str, object]:
    """All that is to be read of a trace."""
    name = f"trace-{number:05d}"
    fitted = store.posteriors(TASK)
    return about(store, name) | {
        "posteriors": [one for one in (fitted.trace_ids if fitted else ()) if one == name],
        "answers": list(store.answers([a_vote(number).request or ""])),
        "states": name in f"{store.state('trained:quality')} {store.state('audit draw:quality')}",
        "report": name in str(fitted.report) if fitted else False,
    }


def test_the_marks_of_the_store_are_those_of_python(store: Store) -> None:
    names = ["trace-1", "\u2400x\0y", "", "ü" * 300, "a\x1fb"]
    for kind in KINDS:
        store.forget(forgetting_of(*names[:3], kind=kind))
        assert store.forgotten(kind, names) == set(names[:3]), kind
    assert mark_of(SALT, "trace", "x") != mark_of(SALT, "user", "x")


def test_nothing_is_left_of_a_forgotten_trace_and_all_of_others(store: Store, reopen: Open) -> None:
    fill(store)
    before, spent, cost = everything_of(store, 2), store.spent(), store.cost(TASK)
    gone = store.forget(forgetting_of(FORGOTTEN))
    assert {**gone} == OF_ONE_TRACE
    for open_again in (lambda: store, reopen):
        again = open_again()
        assert not any(everything_of(again, 1).values())
        assert everything_of(again, 2) == before
        assert (again.spent(), again.cost(TASK)) == (spent, cost)


def test_the_same_forgetting_again_does_nothing(store: Store) -> None:
    fill(store)
    forgetting = forgetting_of(FORGOTTEN)
    assert store.forget(forgetting)
    assert not store.forget(forgetting)
    assert [(one.key, one.marks, one.erased) for one in store.forgettings()] == [(forgetting.key, 1, False)]
    assert store.forgetting(forgetting.key) == forgetting


def test_a_forgotten_trace_is_refused_and_counted_whatever_comes(store: Store) -> None:
    fill(store)
    store.forget(forgetting_of(FORGOTTEN))
    assert store.add_traces(
        [a_trace(1, input="something else"), a_trace(2, user_id="user-2", session_id="s-2")]
    ) == Added(0, 1, 1)
    assert store.add_events([Event(FORGOTTEN, START, "edit", "text")]) == Added(0, 0, 1)
    assert store.add_gold([Gold(FORGOTTEN, TASK, "bad", "bea", START)]) == Added(0, 0, 1)
    store.add_signals([(FORGOTTEN, {"x": 1.0})])
    store.add_votes([a_vote(1), a_vote(3)], [an_attempt(a_vote(1))])
    assert store.add_review(a_review(1, event="later")) is False
    store.save_queue(TASK, [Pick(FORGOTTEN, TASK, "audit", 1.0, 0.5, "because", {})])
    table = PosteriorTable(TASK, LABELS, (FORGOTTEN, KEPT), np.full((2, 2), 0.5), START, "majority", {})
    store.save_posteriors(table)
    assert not any(everything_of(store, 1).values())
    fitted = store.posteriors(TASK)
    assert fitted
    assert fitted.trace_ids == (KEPT,)
    assert store.spent().usd == pytest.approx(0.75)


@pytest.mark.parametrize("kind", ["user", "session"])
def test_who_is_forgotten_comes_in_by_no_other_trace(store: Store, kind: Kind) -> None:
    fill(store)
    name = "user-1" if kind == "user" else "s-1"
    assert store.forget(forgetting_of(name, kind=kind))["traces"] == 1
    assert not any(everything_of(store, 1).values())
    late = a_trace(7, **{f"{kind}_id": name})
    assert store.add_traces([late, a_trace(8)]) == Added(1, 0, 1)
    assert store.add_events([Event(late.trace_id, START, "edit", "text")]) == Added(0, 0, 1)


def test_what_is_remembered_may_come_again_and_be_forgotten_again(store: Store) -> None:
    fill(store)
    store.forget(forgetting_of(FORGOTTEN))
    store.forget(forgetting_of(FORGOTTEN, minute=1, remembered=True))
    assert store.add_traces([a_trace(1)]) == Added(1, 0)
    assert not list(store.votes(TASK, trace_ids=[FORGOTTEN]))
    store.forget(forgetting_of(FORGOTTEN, minute=2))
    assert not list(store.traces([FORGOTTEN]))


def test_of_two_the_later_counts_in_whatever_order_they_are_told(store: Store) -> None:
    store.forget(forgetting_of(FORGOTTEN, minute=5, remembered=True))
    store.forget(forgetting_of(FORGOTTEN, minute=4))
    assert store.add_traces([a_trace(1)]) == Added(1, 0)


def test_traces_are_found_by_id_person_session_and_age(store: Store) -> None:
    fill(store, range(1, 6))
    found = store.matching(
        Whom(["trace-00002", "unknown"], ["user-1"], ["s-4"], START + timedelta(minutes=1))
    )
    assert found == ["trace-00001", "trace-00002", "trace-00004"]
    assert store.matching(Whom(before=START + timedelta(minutes=3))) == ["trace-00001", "trace-00002"]
    assert store.matching(Whom()) == []
    assert store.footprint(["trace-00001"]) == OF_ONE_TRACE


def test_after_erasing_neither_store_nor_journal_need_it_again(store: Store, reopen: Open) -> None:
    fill(store)
    before = everything_of(store, 2)
    store.forget(forgetting_of(FORGOTTEN))
    store.erase()
    again = reopen()
    assert all(one.erased for one in again.forgettings())
    assert everything_of(again, 2) == before
    assert again.add_review(a_review(9))
    assert [one.event_id for one in again.reviews(TASK)] == ["event-2", "event-9"]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gone=st.sets(st.integers(0, 7)), late=st.sets(st.integers(0, 9)))
def test_what_is_left_is_what_a_store_has_that_never_knew(
    tmp_path_factory: pytest.TempPathFactory, gone: set[int], late: set[int]
) -> None:
    from promptlabel.store.duckdb_store import DuckDBStore

    def home(name: str) -> DuckDBStore:
        folder: Path = tmp_path_factory.mktemp(name)
        return DuckDBStore(folder / "store.duckdb", folder / "journal")

    names = [f"trace-{number:05d}" for number in sorted(gone)]
    with home("forgets") as forgets, home("never-knew") as never_knew:
        fill(forgets, range(8))
        forgets.forget(forgetting_of(*names))
        fill(never_knew, sorted(set(range(8)) - gone))
        forgets.add_votes([a_vote(number, rule=a_rule("late")) for number in sorted(late)])
        never_knew.add_votes([a_vote(number, rule=a_rule("late")) for number in sorted(late - gone)])
        for number in range(10):
            ours, theirs = everything_of(forgets, number), everything_of(never_knew, number)
            assert ours == theirs
        assert forgets.verify().sound
