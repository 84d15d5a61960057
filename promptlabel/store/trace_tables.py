"""Writing and reading of traces, events and signals."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from promptlabel.errors import Fault, InputError
from promptlabel.records import RegisteredRule, Trace
from promptlabel.store.connection import Connection, count, stream
from promptlabel.store.contract import Added, Part
from promptlabel.store.forgetting_tables import Embedded, refuse
from promptlabel.store.ledger import Commit
from promptlabel.store.rows import trace_from
from promptlabel.store.sql import query

_FAULTS_NAMED: Final = 50
_CONFLICT: Final = {
    "traces": "is stored, or repeats, with other content",
    "gold": "has another label by the same reviewer at the same time",
}
_TRACES_A_PAGE: Final = 1024
_PLACES_A_FETCH: Final = 10_000


def insert_traces(commit: Commit) -> Added:
    """Counts of new and present traces among `arriving_traces`.

    Raises:
        InputError: for ids that are stored, or repeat, with other content.
    """
    return _insert(commit, "traces", unique=True)


def insert_events(commit: Commit) -> Added:
    """Counts of new and present events among `arriving_events`."""
    return _insert(commit, "events")


def insert_gold(commit: Commit) -> Added:
    """Counts of new and present labels among `arriving_gold`.

    Raises:
        InputError: for labels that differ from the one of the same trace, task, reviewer and timestamp.
    """
    return _insert(commit, "gold", unique=True)


def read_pending(
    connection: Connection, rule: RegisteredRule, samples: int, limit: int | None, part: Part
) -> Iterator[tuple[Trace, int]]:
    """Traces and sample indices without a vote row of the rule; which they are is settled now, a page is read at a time."""
    found = connection.cursor().execute(
        query("pending"),
        {
            "task": rule.task,
            "rule_hash": rule.rule_hash,
            "model_hash": rule.model_hash,
            "samples": samples,
            "limit": limit,
            "first": part.bounds[0],
            "last": part.bounds[1],
        },
    )
    places, sample_of = array("Q"), array("i")
    while rows := found.fetchmany(_PLACES_A_FETCH):
        places.extend(place for place, _ in rows)
        sample_of.extend(sample for _, sample in rows)
    pages = (slice(start, start + _TRACES_A_PAGE) for start in range(0, len(places), _TRACES_A_PAGE))
    return chain.from_iterable(_page(connection, places[page], sample_of[page]) for page in pages)


def _page(connection: Connection, places: array[int], sample_of: array[int]) -> Iterator[tuple[Trace, int]]:
    bounds = {"first": places[0], "last": places[-1], "places": places.tolist()}
    traces = {
        place: trace_from(*row) for place, *row in stream(connection, query("traces_of_places"), bounds)
    }
    for place, sample in zip(places, sample_of, strict=True):
        yield traces[place], sample


def conflicts_refused(table: str, conflicts: Sequence[str]) -> None:
    """Nothing where there are none.

    Raises:
        InputError: naming the ids that are stored, or repeat, with other content.
    """
    if conflicts:
        faults = [Fault(_CONFLICT[table], key=key) for key in conflicts[:_FAULTS_NAMED]]
        more = len(conflicts) - len(faults)
        raise InputError([*faults, *([Fault(f"and {more} more ids")] if more else [])])


def _refuse_conflicts(connection: Connection, table: str) -> None:
    found = connection.execute(query(f"conflicting_{table}")).fetchall()
    conflicts_refused(table, [key for (key,) in found])


def _insert(commit: Commit, table: str, *, unique: bool = False) -> Added:
    arrived = count(commit.connection, query(f"count_arriving_{table}"))
    forgotten = refuse(Embedded(commit.connection), f"arriving_{table}")
    if unique:
        _refuse_conflicts(commit.connection, table)
    commit.connection.execute(query(f"insert_{table}"), [commit.batch])
    added = commit.count_added(table)
    return Added(added, arrived - added - forgotten, forgotten)
