"""The current votes of a task as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from promptlabel.records import ABSTAIN, RegisteredRule
from promptlabel.store.connection import Connection
from promptlabel.store.contract import LabelVotes, VoteTable
from promptlabel.store.sql import query

Columns = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]
Votes = npt.NDArray[np.int8]


def read_vote_table(connection: Connection, task: str, labels: Sequence[str]) -> VoteTable:
    """The task's current votes as they were at one moment."""
    with connection.cursor() as cursor:
        cursor.begin()
        rules = [RegisteredRule(*row) for row in cursor.execute(query("rules"), {"task": task}).fetchall()]
        ids = cursor.execute(query("trace_ids")).fetchnumpy()["trace_id"]
        cells = cursor.execute(query("vote_cells"), {"task": task, "labels": list(labels)}).fetchnumpy()
        distributions = cursor.execute(query("vote_distributions"), {"task": task}).fetchnumpy()
        cursor.rollback()
    return vote_table_of(VoteCells(task, labels, rules, ids.tolist(), cells, distributions))


@dataclass(frozen=True, slots=True)
class VoteCells:
    """The current votes of a task as a home reads them.

    Attributes:
        cells: columns ``row``, ``col``, ``sample`` and ``code``, the index of the label, -1 for an unknown one.
        distributions: columns ``row``, ``col`` and ``distribution``, a JSON object.
    """

    task: str
    labels: Sequence[str]
    rules: Sequence[RegisteredRule]
    trace_ids: Sequence[str]
    cells: Columns
    distributions: Columns


def vote_table_of(read: VoteCells) -> VoteTable:
    """The votes as arrays, samples of one rule merged.

    A rule asked several times votes for the label its samples favour and abstains on a tie; its soft votes
    are the mean of its samples.
    """
    n, cells = len(read.trace_ids), read.cells
    votes = np.full((n, len(read.rules)), ABSTAIN, dtype=np.int8)
    votes[cells["row"], cells["col"]] = cells["code"]
    soft = _soft(read.distributions, read.labels, n)
    for column in np.unique(cells["col"][cells["sample"] > 0]).tolist():
        soft.setdefault(column, _shares(_of(cells, column), n, len(read.labels)))
        votes[:, column] = _favoured(soft[column])
    return VoteTable(read.task, tuple(read.labels), tuple(read.rules), tuple(read.trace_ids), votes, soft)


def read_label_votes(connection: Connection, task: str, labels: Sequence[str]) -> LabelVotes:
    """The task's current votes on each label as they were at one moment."""
    with connection.cursor() as cursor:
        cursor.begin()
        rules = [RegisteredRule(*row) for row in cursor.execute(query("rules"), {"task": task}).fetchall()]
        ids = cursor.execute(query("trace_ids")).fetchnumpy()["trace_id"]
        distributions = cursor.execute(query("vote_distributions"), {"task": task}).fetchnumpy()
        cursor.rollback()
    return label_votes_of(VoteCells(task, labels, rules, ids.tolist(), {}, distributions))


def label_votes_of(read: VoteCells) -> LabelVotes:
    """The votes on each label as an array, samples of one rule averaged."""
    cells, labels = read.distributions, read.labels
    said = [
        [shares.get(label, np.nan) for label in labels] for shares in map(orjson.loads, cells["distribution"])
    ]
    values = np.array(said, dtype=np.float32).reshape(-1, len(labels))
    sums = np.zeros((len(read.trace_ids), len(read.rules), len(labels)), dtype=np.float32)
    counts = np.zeros_like(sums)
    np.add.at(sums, (cells["row"], cells["col"]), np.nan_to_num(values))
    np.add.at(counts, (cells["row"], cells["col"]), (~np.isnan(values)).astype(np.float32))
    applies = np.full_like(sums, np.nan)
    np.divide(sums, counts, out=applies, where=counts > 0)
    return LabelVotes(read.task, tuple(labels), tuple(read.rules), tuple(read.trace_ids), applies)


def _soft(distributions: Columns, labels: Sequence[str], n: int) -> dict[int, Floats]:
    columns = np.unique(distributions["col"]).tolist()
    return {column: _mean_distribution(_of(distributions, column), labels, n) for column in columns}


def _mean_distribution(cells: Columns, labels: Sequence[str], n: int) -> Floats:
    sums = np.zeros((n, len(labels)))
    parsed = map(orjson.loads, cells["distribution"])
    values = np.array([[probs.get(label, 0.0) for label in labels] for probs in parsed])
    np.add.at(sums, cells["row"], values)
    return _divided(sums, np.bincount(cells["row"], minlength=n))


def _shares(cells: Columns, n: int, n_labels: int) -> Floats:
    counts = np.zeros((n, n_labels))
    known = cells["code"] != ABSTAIN
    np.add.at(counts, (cells["row"][known], cells["code"][known]), 1.0)
    return _divided(counts, counts.sum(axis=1))


def _divided(sums: Floats, by: npt.NDArray[Any]) -> Floats:
    means = np.full_like(sums, np.nan)
    np.divide(sums, by[:, None], out=means, where=by[:, None] > 0)
    return means


def _favoured(soft: Floats) -> Votes:
    best = np.nan_to_num(soft, nan=0.0)
    top = best.max(axis=1, keepdims=True)
    decided = (top[:, 0] > 0) & (np.isclose(best, top).sum(axis=1) == 1)
    return np.where(decided, best.argmax(axis=1), ABSTAIN).astype(np.int8)


def _of(cells: Columns, column: int) -> Columns:
    chosen = cells["col"] == column
    return {name: values[chosen] for name, values in cells.items()}
