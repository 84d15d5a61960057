"""Journal entries applied to the store: after a crash, and to see what the journal alone would give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from promptlabel.errors import StoreDamagedError
from promptlabel.store.connection import Connection, Row
from promptlabel.store.entries import row_of
from promptlabel.store.journal import Entry, Line
from promptlabel.store.ledger import Commit, Ledger
from promptlabel.store.people_tables import insert_review
from promptlabel.store.rows import chunks
from promptlabel.store.sql import query
from promptlabel.store.vote_tables import drop_failed, insert_attempts, insert_votes, replace_votes

LINES_A_COMMIT: Final = 5000


def catch_up(connection: Connection, ledger: Ledger, lines: Iterable[Line]) -> int:
    """The number of journal entries that the store lacked and now has; lost commits are noted as losses.

    Raises:
        StoreDamagedError: if a line that the store may lack is damaged.
    """
    stored = ledger.batch
    applied = 0
    for chunk in chunks(map(intact, lines), LINES_A_COMMIT):
        entries = [line.entry for line in chunk if line.entry and line.entry["kind"] != "commit"]
        lost = [line.entry for line in chunk if line.entry and line.entry.get("batch", 0) > stored]
        ledger.batch = max([ledger.batch, *(entry["batch"] for entry in lost)])
        if entries or lost:
            with ledger.commit(connection, chunk[-1].end) as commit:
                apply(commit, entries)
                _note_losses(commit, lost)
        applied += len(entries)
    return applied


@dataclass(frozen=True, slots=True)
class Changes:
    """How a home takes what a journal says; the first argument of each is the commit it is part of."""

    insert_votes: Callable[[Any, Sequence[Row]], object]
    insert_attempts: Callable[[Any, Sequence[Row]], object]
    insert_review: Callable[[Any, Row], object]
    replace_votes: Callable[[Any, Sequence[Row]], object]
    drop_failed: Callable[[Any, Sequence[str]], object]


EMBEDDED: Final = Changes(insert_votes, insert_attempts, insert_review, replace_votes, drop_failed)


def apply(commit: object, entries: Iterable[Entry], changes: Changes = EMBEDDED) -> None:
    """Nothing; the entries are in the store, as if they had been written one by one.

    Additions do not depend on their order among themselves; what changes or drops votes does.
    """
    for kind, group in groupby(entries, lambda entry: entry["kind"] if entry["kind"] in _IN_TURN else "add"):
        _APPLY[kind](commit, list(group), changes)


def _add(commit: object, entries: Sequence[Entry], changes: Changes) -> None:
    changes.insert_votes(commit, [row_of(entry["vote"]) for entry in entries if entry["kind"] == "vote"])
    attempts = [row_of(attempt) for entry in entries for attempt in entry.get("attempts", ())]
    changes.insert_attempts(commit, attempts)
    for entry in entries:
        if entry["kind"] == "review":
            changes.insert_review(commit, row_of(entry["review"]))


def _replace(commit: object, entries: Sequence[Entry], changes: Changes) -> None:
    changes.replace_votes(commit, [row_of(entry["vote"]) for entry in entries])


def _drop(commit: object, entries: Sequence[Entry], changes: Changes) -> None:
    changes.drop_failed(commit, [key for entry in entries for key in entry["keys"]])


_IN_TURN: Final = ("replace", "drop")
_APPLY: Final = {"add": _add, "replace": _replace, "drop": _drop}


def _note_losses(commit: Commit, lost: Sequence[Entry]) -> None:
    for entry in lost:
        if entry["anew"]:
            commit.connection.execute(query("delete_losses"))
        for relation, rows in entry["unjournaled"].items():
            commit.connection.execute(query("insert_loss"), [entry["batch"], relation, rows])


def intact(line: Line) -> Line:
    """The line.

    Raises:
        StoreDamagedError: if it is damaged.
    """
    if line.entry is None:
        raise StoreDamagedError(
            f"{line.file}:{line.number}: this journal line is damaged and the store may lack what it says;"
            " `promptlabel doctor --repair` sets it aside"
        )
    return line
