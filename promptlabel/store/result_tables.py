"""Writing and reading of what follows from votes: fits, posteriors, the queue, small named values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from promptlabel.records import JsonValue, Pick
from promptlabel.store.connection import Connection, Row, append, only
from promptlabel.store.contract import PosteriorTable
from promptlabel.store.ledger import Commit
from promptlabel.store.rows import from_json, from_utc, pick_row, to_json, to_utc
from promptlabel.store.sql import query
from promptlabel.store.trace_tables import stage

_ROWS_A_CHUNK: Final = 50_000


def save_fit(commit: Commit, table: PosteriorTable) -> None:
    """Nothing; the task's last fit is this one."""
    commit.connection.execute(query("delete_posteriors"), [table.task])
    for first in range(0, len(table.trace_ids), _ROWS_A_CHUNK):
        append(commit.connection, "posteriors", _posterior_rows(table, first, first + _ROWS_A_CHUNK))
    report = to_json(dict(table.report))
    fit = [table.task, list(table.labels), to_utc(table.fitted_at), table.chosen, report]
    commit.connection.execute(query("insert_fit"), fit)


def _posterior_rows(table: PosteriorTable, first: int, last: int) -> list[Row]:
    rows = zip(table.trace_ids[first:last], table.probs[first:last].tolist(), strict=True)
    return [(table.task, position, trace_id, probs) for position, (trace_id, probs) in enumerate(rows, first)]


def read_fit(connection: Connection, task: str) -> PosteriorTable | None:
    """The task's last fit, or None."""
    import numpy as np

    with connection.cursor() as cursor:
        cursor.begin()
        fit = only(cursor, query("fit"), [task])
        if fit is None:
            return None
        ids = cursor.execute(query("posterior_ids"), [task]).fetchnumpy()["trace_id"]
        probs = cursor.execute(query("posterior_probs"), [task]).fetchnumpy()["prob"]
    labels, fitted_at, chosen, report = fit
    fields = from_json(report)
    return PosteriorTable(
        task,
        tuple(labels),
        tuple(ids.tolist()),
        np.asarray(probs).reshape(len(ids), len(labels)),
        from_utc(fitted_at),
        chosen,
        fields if isinstance(fields, dict) else {},
    )


def save_picks(commit: Commit, task: str, picks: Sequence[Pick]) -> None:
    """Nothing; undecided picks are replaced by these, decided ones stay."""
    stage(commit.connection, "arriving_picks", [pick_row(*item) for item in enumerate(picks)])
    commit.connection.execute(query("delete_undecided_picks"), [task])
    commit.connection.execute(query("insert_picks"), {"task": task})


def save_value(commit: Commit, name: str, value: JsonValue) -> None:
    """Nothing; the named value is kept."""
    commit.connection.execute(query("save_state"), [name, to_json(value)])
