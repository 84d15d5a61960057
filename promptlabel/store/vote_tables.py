"""Writing and reading of rules, votes and attempts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from promptlabel.records import Answer, RegisteredRule, Vote
from promptlabel.store.connection import Connection, Row, append, count, stream
from promptlabel.store.contract import DeadLetter, Spent
from promptlabel.store.ledger import Commit, sum_of
from promptlabel.store.rows import answer_from, from_json, rule_row, vote_from
from promptlabel.store.sql import query
from promptlabel.store.trace_tables import stage

_STATUS: Final = 5
_FAILED: Final = ("malformed", "error")


def insert_votes(commit: Commit, rows: Sequence[Row]) -> None:
    """Nothing; new votes are in, and usable ones stand where failed ones stood."""
    stage(commit.connection, "arriving_votes", _one_a_key(rows))
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


def read_rules(connection: Connection, task: str) -> Sequence[RegisteredRule]:
    """The rules registered for the task, in their order."""
    return [RegisteredRule(*row) for row in stream(connection, query("rules"), {"task": task})]


def read_votes(
    connection: Connection, task: str, rule: str | None, trace_ids: Sequence[str] | None
) -> Iterator[tuple[RegisteredRule, Vote]]:
    """Current votes by rule and store order."""
    if trace_ids is None:
        rows = stream(connection, query("current_votes"), {"task": task, "rule": rule})
    else:
        parameters = {"task": task, "rule": rule, "ids": list(trace_ids)}
        rows = stream(connection, query("current_votes_of_ids"), parameters)
    for name, kind, model, *row in rows:
        vote = vote_from(tuple(row))
        yield RegisteredRule(task, name, kind, model, vote.rule_hash, vote.model_hash), vote


def read_answers(connection: Connection, requests: Sequence[str]) -> Mapping[str, Answer]:
    """Usable answers by request digest."""
    rows = stream(connection, query("answers"), {"requests": list(requests)})
    return {request.hex: answer_from(_fields(raw)) for request, raw in rows}


def read_counts(connection: Connection, task: str) -> Mapping[tuple[str, str], Mapping[str, int]]:
    """(rule, model) -> status -> number of current votes; a rule without votes has an empty mapping."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for rule, model, status, votes in stream(connection, query("count_votes"), {"task": task}):
        statuses = counts.setdefault((rule, model), {})
        if status is not None:
            statuses[status] = votes
    return counts


def read_dead_letters(connection: Connection, task: str) -> Sequence[DeadLetter]:
    """Current votes that are malformed or failed."""
    return [
        DeadLetter(
            trace_id, task, rule, model, status, cause, answer_from(_fields(raw)).text if raw else None
        )
        for trace_id, task, rule, model, status, cause, raw in stream(
            connection, query("dead_letters"), {"task": task}
        )
    ]


def read_dead_keys(connection: Connection, task: str) -> Sequence[str]:
    """Keys of current votes that are malformed or failed."""
    return [key.hex for (key,) in stream(connection, query("dead_keys"), {"task": task})]


def read_cost(connection: Connection, task: str) -> Mapping[tuple[str, str], Spent]:
    """(rule, model) -> what its attempts cost."""
    rows = stream(connection, query("cost"), {"task": task})
    return {(rule, model): Spent(usd, calls) for rule, model, usd, calls in rows}


def _one_a_key(rows: Sequence[Row]) -> list[Row]:
    kept: dict[str, Row] = {}
    for row in rows:
        first = kept.setdefault(row[0], row)
        if first[_STATUS] in _FAILED and row[_STATUS] not in _FAILED:
            kept[row[0]] = row
    return list(kept.values())


def _fields(raw: str) -> Mapping[str, object]:
    fields = from_json(raw)
    assert isinstance(fields, Mapping)  # noqa: S101 - the column holds objects only
    return fields
