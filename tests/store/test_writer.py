from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from store_samples import RULE, START, TASK, a_review, a_trace, a_vote, an_attempt

from promptlabel.errors import StoreError
from promptlabel.records import Trace
from promptlabel.store import writer as writer_module
from promptlabel.store.connection import Row
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.store.journal import Journal, read
from promptlabel.store.ledger import Commit, Ledger
from promptlabel.store.migrations import migrate
from promptlabel.store.writer import DuckDBWriter, Work, Writer


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    migrate(connection)
    connection.execute("CREATE TABLE notes (text VARCHAR PRIMARY KEY, batch INTEGER)")
    return connection


@pytest.fixture
def writer(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> Writer:
    return DuckDBWriter(connection.cursor(), Journal(tmp_path, Ledger().position), Ledger())


def note(text: str, **fields: object) -> Work:
    def step(commit: Commit) -> int:
        commit.connection.execute("INSERT INTO notes VALUES ($1, $2)", [text, commit.batch])
        return commit.batch

    return Work(step=step, **fields)  # type: ignore[arg-type]


class Gate:
    """Holds the writer inside a step until it is opened, so that work queues up behind."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def step(self, commit: Commit) -> None:
        self.entered.set()
        self.open.wait(10)


def outcome(writer: Writer, work: Work) -> object:
    """What the work returned or raised."""
    try:
        return writer.do(work)
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return error


def in_thread(writer: Writer, work: Work, results: list[object]) -> threading.Thread:
    thread = threading.Thread(target=lambda: results.append(outcome(writer, work)))
    thread.start()
    return thread


def behind_a_gate(writer: Writer, works: Sequence[Work]) -> list[object]:
    """The results, in order of completion, of works that all waited before the first was begun."""
    gate, results = Gate(), []
    threads = [in_thread(writer, Work(step=gate.step), [])]
    gate.entered.wait(10)
    for work in works:
        threads.append(in_thread(writer, work, results))
        time.sleep(0.02)
    gate.open.set()
    for thread in threads:
        thread.join(10)
    return results


def notes(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY rowid").fetchall()]


def test_returns_what_the_step_returned_once_it_is_committed(
    writer: Writer, connection: duckdb.DuckDBPyConnection
) -> None:
    assert writer.do(note("a")) == 1
    assert writer.do(note("b")) == 2
    assert notes(connection) == ["a", "b"]
    writer.close()


def test_commits_what_waits_as_one_group(writer: Writer, connection: duckdb.DuckDBPyConnection) -> None:
    batches = behind_a_gate(writer, [note(f"n{number}") for number in range(6)])
    assert batches == [2] * 6
    writer.close()


def test_inserts_the_rows_of_a_group_in_one_call(
    writer: Writer, connection: duckdb.DuckDBPyConnection
) -> None:
    calls: list[int] = []

    def insert(commit: Commit, rows: Sequence[Row]) -> None:
        calls.append(len(rows))

    behind_a_gate(writer, [Work(rows={insert: [(number,), (number,)]}) for number in range(4)])
    assert calls == [8]
    writer.close()


def test_takes_urgent_work_first(writer: Writer, connection: duckdb.DuckDBPyConnection) -> None:
    behind_a_gate(writer, [note("slow 1"), note("slow 2"), note("decision", urgent=True)])
    assert notes(connection) == ["decision", "slow 1", "slow 2"]
    writer.close()


def test_one_works_fault_is_its_callers_alone(writer: Writer, connection: duckdb.DuckDBPyConnection) -> None:
    writer.do(note("taken"))
    results = behind_a_gate(writer, [note("a"), note("taken"), note("b")])
    assert sorted(type(result).__name__ for result in results) == ["StoreError", "int", "int"]
    assert notes(connection) == ["taken", "a", "b"]
    assert writer.do(note("still alive")) is not None
    writer.close()


def test_journals_lines_once_even_where_a_group_is_tried_again(writer: Writer, tmp_path: Path) -> None:
    writer.do(note("taken"))
    lines = [b'{"a":1}\n', b'{"b":1}\n', b'{"c":1}\n']
    behind_a_gate(
        writer, [note(text, lines=[line]) for text, line in zip(("x", "taken", "y"), lines, strict=True)]
    )
    writer.close()
    written = b"".join(line.content for line in read(tmp_path))
    assert all(written.count(line) == 1 for line in lines)


def dies(writer: Writer, deadly: Work) -> list[object]:
    """What callers meet who waited with the deadly work, and one who came later."""
    started = time.monotonic()
    results = behind_a_gate(writer, [deadly, note("same group", lines=[b"{}\n"])])
    results.append(outcome(writer, note("later")))
    writer.close()
    assert time.monotonic() - started < 5
    return results


@pytest.mark.parametrize("cause", [duckdb.FatalException("FATAL: invalidated"), SystemExit("FATAL: stopped")])
def test_a_dead_writer_fails_every_caller_at_once_with_the_cause(
    writer: Writer, cause: BaseException
) -> None:
    def die(commit: Commit) -> None:
        raise cause

    results = dies(writer, Work(step=die))
    assert all(isinstance(result, StoreError) and "FATAL" in str(result) for result in results)
    assert len(results) == 3


def test_a_journal_that_cannot_be_written_ends_the_writer(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Journal, lines: Sequence[bytes]) -> None:
        if b"{}\n" in lines:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "append", full)
    results = dies(writer, note("with it"))
    assert all(isinstance(result, StoreError) and "disk is full" in str(result) for result in results)
    assert len(results) == 3


class TestStoreWithADeadWriter:
    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DuckDBStore:
        store = DuckDBStore(tmp_path / "s.duckdb", tmp_path / "journal")
        store.add_traces([a_trace(1)])
        store.register_rules(TASK, [RULE])

        def full(commit: Commit, rows: Sequence[Row]) -> None:
            raise duckdb.FatalException("FATAL Error: Failed to create checkpoint: No space left on device")

        monkeypatch.setattr(DuckDBStore, "_tables", replace(DuckDBStore._tables, insert_votes=full))
        return store

    def test_says_why_in_every_call_and_loses_nothing_paid(
        self, store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.add_votes([a_vote(1)])
        with pytest.raises(StoreError, match=r"disk is full.*free some space"):
            store.spent()
        for call in (
            lambda: store.add_votes([a_vote(2)]),
            lambda: store.add_review(a_review(1)),
            lambda: store.add_traces([Trace("t", START, "i")]),
            lambda: list(store.traces()),
            lambda: store.vote_table(TASK, ("good",)),
            store.spent,
        ):
            with pytest.raises(StoreError, match="disk is full"):
                call()
        store.close()
        monkeypatch.undo()
        with DuckDBStore(tmp_path / "s.duckdb", tmp_path / "journal") as again:
            assert again.recovered == 1
            assert [vote for _, vote in again.votes(TASK)] == [a_vote(1)]


class TestVotesInLine:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[DuckDBStore]:
        with DuckDBStore(tmp_path / "s.duckdb", tmp_path / "journal") as store:
            store.register_rules(TASK, [RULE])
            store._writer._linger = 60.0
            yield store

    def journaled(self, folder: Path) -> list[str]:
        entries = [line.entry for line in read(folder / "journal") if line.entry]
        return [entry["vote"]["key"] for entry in entries if entry["kind"] == "vote"]

    def stored(self, store: DuckDBStore) -> int:
        return store._connection.cursor().execute("SELECT count(*) FROM cast_votes").fetchall()[0][0]

    def copied(self, tmp_path: Path) -> DuckDBStore:
        """The store as it would be found after a kill now."""
        shutil.copytree(tmp_path, tmp_path / "after the kill", ignore=shutil.ignore_patterns("after*"))
        return DuckDBStore(tmp_path / "after the kill/s.duckdb", tmp_path / "after the kill/journal")

    def test_are_in_the_journal_at_once_and_in_the_store_when_somebody_reads(
        self, store: DuckDBStore, tmp_path: Path
    ) -> None:
        store.add_votes([a_vote(1)], [an_attempt(a_vote(1))])
        assert self.journaled(tmp_path) == [a_vote(1).key]
        assert self.stored(store) == 0
        assert store.spent().calls == 1
        assert self.stored(store) == 1

    def test_are_committed_when_there_are_enough_of_them(
        self, store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer_module, "ROWS_A_COMMIT", 6)
        for number in range(3):
            store.add_votes([a_vote(number)], [an_attempt(a_vote(number))])
        deadline = time.monotonic() + 10
        while self.stored(store) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.stored(store) == 3

    def test_hold_up_whoever_adds_more_than_can_be_written(
        self, store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer_module, "MOST_ROWS_WAITING", 4)
        monkeypatch.setattr(writer_module, "ROWS_A_COMMIT", 4)
        gate = Gate()
        held = in_thread(store._writer, Work(step=gate.step), [])
        gate.entered.wait(10)
        adding = threading.Thread(target=lambda: [store.add_votes([a_vote(number)]) for number in range(9)])
        adding.start()
        adding.join(0.2)
        assert adding.is_alive()
        assert store._writer._rows_waiting == 5
        gate.open.set()
        adding.join(10)
        held.join(10)
        assert not adding.is_alive()

    def test_are_replayed_after_a_kill_though_a_decision_was_committed_before_them(
        self, store: DuckDBStore, tmp_path: Path
    ) -> None:
        store.add_votes([a_vote(1)], [an_attempt(a_vote(1))])
        assert store.add_review(a_review(1))
        store.add_votes([a_vote(2)], [an_attempt(a_vote(2))])
        assert self.stored(store) == 0
        with self.copied(tmp_path) as again:
            assert {vote.key for _, vote in again.votes(TASK)} == {a_vote(1).key, a_vote(2).key}
            assert again.spent().calls == 2
            assert [event.event_id for event in again.reviews(TASK)] == [a_review(1).event_id]
            assert again.verify().sound

    def test_are_not_replayed_once_committed(self, store: DuckDBStore, tmp_path: Path) -> None:
        store.add_votes([a_vote(1)], [an_attempt(a_vote(1))])
        store.settle()
        store.add_review(a_review(1))
        with self.copied(tmp_path) as again:
            assert again.recovered == 0
            assert again.spent().calls == 1
