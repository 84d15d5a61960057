"""Journal entries applied to the store: after a crash, and to see what the journal alone would give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from promptlabel.errors import StoreDamagedError
from promptlabel.store.connection import Connection
from promptlabel.store.entries import row_of
from promptlabel.store.journal import Entry, Line
from promptlabel.store.ledger import Commit, Ledger
from promptlabel.store.people_tables import insert_review
from promptlabel.store.rows import chunks
from promptlabel.store.sql import query
from promptlabel.store.vote_tables import drop_failed, insert_attempts, insert_votes, replace_votes

_LINES_A_COMMIT = 5000


def catch_up(connection: Connection, ledger: Ledger, lines: Iterable[Line]) -> int:
    """The number of journal entries that the store lacked and now has; lost commits are noted as losses.

    Raises:
        StoreDamagedError: if a line that the store may lack is damaged.
    """
    stored = ledger.batch
    applied = 0
    for chunk in chunks(map(_intact, lines), _LINES_A_COMMIT):
        entries = [line.entry for line in chunk if line.entry and line.entry["kind"] != "commit"]
        lost = [line.entry for line in chunk if line.entry and line.entry.get("batch", 0) > stored]
        ledger.batch = max([ledger.batch, *(entry["batch"] for entry in lost)])
        if entries or lost:
            with ledger.commit(connection, chunk[-1].end) as commit:
                apply(commit, entries)
                _note_losses(commit, lost)
        applied += len(entries)
    return applied


def apply(commit: Commit, entries: Iterable[Entry]) -> None:
    """Nothing; the entries are in the store, as if they had been written one by one.

    Additions do not depend on their order among themselves; what changes or drops votes does.
    """
    for change, group in groupby(entries, lambda entry: _CHANGES.get(entry["kind"])):
        (change or _add)(commit, list(group))


def _add(commit: Commit, entries: Sequence[Entry]) -> None:
    insert_votes(commit, [row_of(entry["vote"]) for entry in entries if entry["kind"] == "vote"])
    attempts = [row_of(attempt) for entry in entries for attempt in entry.get("attempts", ())]
    insert_attempts(commit, attempts)
    for entry in entries:
        if entry["kind"] == "review":
            insert_review(commit, row_of(entry["review"]))


def _replace(commit: Commit, entries: Sequence[Entry]) -> None:
    replace_votes(commit, [row_of(entry["vote"]) for entry in entries])


def _drop(commit: Commit, entries: Sequence[Entry]) -> None:
    drop_failed(commit, [key for entry in entries for key in entry["keys"]])


_CHANGES: dict[str, Callable[[Commit, Sequence[Entry]], object]] = {"replace": _replace, "drop": _drop}


def _note_losses(commit: Commit, lost: Sequence[Entry]) -> None:
    for entry in lost:
        if entry["anew"]:
            commit.connection.execute(query("delete_losses"))
        for relation, rows in entry["unjournaled"].items():
            commit.connection.execute(query("insert_loss"), [entry["batch"], relation, rows])


def _intact(line: Line) -> Line:
    if line.entry is None:
        raise StoreDamagedError(
            f"{line.file}:{line.number}: this journal line is damaged and the store may lack what it says;"
            " `promptlabel doctor --repair` sets it aside"
        )
    return line
