"""Columns of numbers straight from PostgreSQL's binary COPY into arrays, without a Python object a row.

Rows without nulls whose values have fixed widths have a fixed width themselves: a count of fields in 2 bytes,
then each value after its length in 4 (PostgreSQL manual, COPY, binary format).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from promptlabel.records import RegisteredRule
from promptlabel.store.contract import LabelVotes, PosteriorTable, VoteTable
from promptlabel.store.postgres.session import Connection
from promptlabel.store.postgres.sql import numbered, query
from promptlabel.store.rows import fields_from, from_utc
from promptlabel.store.vote_arrays import VoteCells, label_votes_of, vote_table_of

Columns = Mapping[str, npt.NDArray[Any]]

_HEADER_BYTES: Final = 19
_TRAILER_BYTES: Final = 2
_BLOCK_BYTES: Final = 1 << 20
_CELLS: Final = {"row": ">i4", "col": ">i4", "sample": ">i4", "code": ">i4"}


def read_vote_table(connection: Connection, task: str, labels: Sequence[str]) -> VoteTable:
    """The task's current votes as they were at one moment."""
    parameters = {"task": task, "labels": list(labels)}
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        rules = [RegisteredRule(*row) for row in _rows(connection, "rules", parameters)]
        ids = [trace_id for (trace_id,) in _rows(connection, "trace_ids", parameters)]
        cells = read_columns(connection, "vote_cells", parameters, _CELLS)
        distributions = _distributions(_rows(connection, "vote_distributions", parameters))
    return vote_table_of(VoteCells(task, labels, rules, ids, cells, distributions))


def read_label_votes(connection: Connection, task: str, labels: Sequence[str]) -> LabelVotes:
    """The task's current votes on each label as they were at one moment."""
    parameters = {"task": task}
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        rules = [RegisteredRule(*row) for row in _rows(connection, "rules", parameters)]
        ids = [trace_id for (trace_id,) in _rows(connection, "trace_ids", parameters)]
        distributions = _distributions(_rows(connection, "vote_distributions", parameters))
    return label_votes_of(VoteCells(task, labels, rules, ids, {}, distributions))


def read_fit(connection: Connection, task: str) -> PosteriorTable | None:
    """The task's last fit, or None."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        fits = connection.execute(query("fit"), numbered([task])).fetchall()
        if not fits:
            return None
        labels, fitted_at, chosen, report = fits[0]
        ids = tuple(name for (name,) in connection.execute(query("posterior_ids"), numbered([task])))
        probs = _probs(connection, task, len(labels))
    return PosteriorTable(task, tuple(labels), ids, probs, from_utc(fitted_at), chosen, fields_from(report))


def read_columns(
    connection: Connection, name: str, parameters: Mapping[str, object], types: Mapping[str, str]
) -> Columns:
    """The query's columns; `types` are those of their values on the wire, in their order."""
    row = np.dtype(
        [("fields", ">i2"), *((part, kind) for name in types for part, kind in _value(name, types[name]))]
    )
    found = [np.zeros(0, row), *_blocks(connection, name, parameters, row)]
    return {
        column: np.concatenate([block[column] for block in found]).astype(np.dtype(kind).newbyteorder("="))
        for column, kind in types.items()
    }


def _probs(connection: Connection, task: str, width: int) -> npt.NDArray[np.float64]:
    """The posteriors ``[n, K]``; each is an array on the wire: five numbers of header, then values after their lengths."""
    value = [(part, kind) for label in range(width) for part, kind in _value(str(label), ">f8")]
    row = np.dtype([("fields", ">i2"), ("length", ">i4"), ("header", ">i4", 5), *value])
    found = [np.zeros(0, row), *_blocks(connection, "posterior_probs", numbered([task]), row)]
    rows = np.concatenate(found)
    return np.stack([rows[str(label)].astype(np.float64) for label in range(width)], axis=1)


def _value(name: str, kind: str) -> list[tuple[str, str]]:
    return [(f"{name} bytes", ">i4"), (name, kind)]


def _blocks(
    connection: Connection, name: str, parameters: Mapping[str, object], row: np.dtype[Any]
) -> Iterator[npt.NDArray[Any]]:
    statement = b"COPY (%b) TO STDOUT (FORMAT binary)" % query(name)
    waiting, header = bytearray(), _HEADER_BYTES
    with connection.cursor() as cursor, cursor.copy(statement, parameters) as copied:
        for content in copied:
            waiting += content
            if len(waiting) >= _BLOCK_BYTES:
                whole = (len(waiting) - header) // row.itemsize * row.itemsize
                yield np.frombuffer(bytes(waiting[header : header + whole]), row)
                del waiting[: header + whole]
                header = 0
    yield np.frombuffer(bytes(waiting[header : len(waiting) - _TRAILER_BYTES]), row)


def _rows(connection: Connection, name: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
    return connection.execute(query(name), parameters).fetchall()


def _distributions(rows: list[tuple[Any, ...]]) -> Columns:
    return {
        "row": np.array([row for row, _, _ in rows], dtype=np.int32),
        "col": np.array([column for _, column, _ in rows], dtype=np.int32),
        "distribution": np.array([content for _, _, content in rows], dtype=object),
    }
