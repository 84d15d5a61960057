"""Writing and reading of rules, votes and attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from promptlabel.records import Answer, RegisteredRule
from promptlabel.store.connection import Connection, Row, append, count, stream
from promptlabel.store.forgetting_tables import Embedded, refuse
from promptlabel.store.ledger import Commit, sum_of
from promptlabel.store.rows import answer_from, fields_from, rule_row
from promptlabel.store.sql import query
from promptlabel.store.staging import stage

_STATUS: Final = 5
_FAILED: Final = ("malformed", "error")


def insert_votes(commit: Commit, rows: Sequence[Row]) -> None:
    """Nothing; new votes are in, and usable ones stand where failed ones stood."""
    stage(commit.connection, "arriving_votes", one_a_key(rows))
    refuse(Embedded(commit.connection), "arriving_votes")
    commit.connection.execute(query("stage_present_votes"))
    if count(commit.connection, query("count_present_failed")):
        commit.connection.execute(query("mend_votes"))
    commit.connection.execute(query("insert_votes"), [commit.batch])
    commit.count_added("votes")


def insert_attempts(commit: Commit, rows: Sequence[Row]) -> None:
    """Nothing; the attempts are in."""
    append(commit.connection, "attempts", [(*row, commit.batch) for row in rows])
    commit.count_added("attempts")


def replace_votes(commit: Commit, rows: Sequence[Row]) -> None:
    """Nothing; status, label, confidence and distribution of these keys are those of the rows."""
    stage(commit.connection, "replacing_votes", {row[0]: row for row in rows}.values())
    commit.connection.execute(query("replace_votes"))


def drop_failed(commit: Commit, keys: Sequence[str]) -> int:
    """The number of votes with these keys that were malformed or failed and are gone."""
    stage(commit.connection, "dropping_votes", [(key,) for key in keys])
    dropped = sum_of(commit.connection, "sum_dropping_votes")
    commit.connection.execute(query("drop_votes"))
    commit.count_dropped("votes", dropped)
    return dropped.rows


def register(commit: Commit, task: str, rules: Sequence[RegisteredRule]) -> None:
    """Nothing; the task's rules are these."""
    commit.connection.execute(query("delete_rules"), [task])
    append(commit.connection, "rules", [rule_row(position, rule) for position, rule in enumerate(rules)])


def read_answers(connection: Connection, requests: Sequence[str]) -> Mapping[str, Answer]:
    """Usable answers by request digest."""
    rows = stream(connection, query("answers"), {"requests": list(requests)})
    return {request.hex: answer_from(fields_from(raw)) for request, raw in rows}


def one_a_key(rows: Sequence[Row]) -> list[Row]:
    """The row that stands of each key: the first, or the first usable one after failed ones."""
    kept: dict[str, Row] = {}
    for row in rows:
        first = kept.setdefault(row[0], row)
        if first[_STATUS] in _FAILED and row[_STATUS] not in _FAILED:
            kept[row[0]] = row
    return list(kept.values())
