"""SQL conditions over trace fields, checked against a list of what is offered, run in a database that holds nothing else.

The database is in memory, reaches no file and no network, cannot be reconfigured, and sees one batch of traces at a
time. Conditions are single expressions of operators and listed functions, whose results grow no faster than their
inputs, so that they end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from promptlabel.records import Trace

if TYPE_CHECKING:
    import duckdb

COLUMNS: Final[Mapping[str, str]] = {
    "trace_id": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "input": "VARCHAR",
    "output": "VARCHAR",
    "first": "VARCHAR",
    "second": "VARCHAR",
    "transcript": "VARCHAR",
    "text": "VARCHAR",
    "messages": "STRUCT(role VARCHAR, content VARCHAR)[]",
    "category": "VARCHAR",
    "session_id": "VARCHAR",
    "user_id": "VARCHAR",
    "metadata": "MAP(VARCHAR, VARCHAR)",
}
FUNCTIONS: Final = frozenset(
    [
        "abs",
        "array_extract",
        "array_length",
        "ceil",
        "coalesce",
        "contains",
        "date_diff",
        "date_part",
        "date_trunc",
        "datediff",
        "datepart",
        "datetrunc",
        "day",
        "dayname",
        "dayofweek",
        "ends_with",
        "epoch",
        "floor",
        "greatest",
        "hour",
        "ifnull",
        "instr",
        "least",
        "left",
        "len",
        "length",
        "list_contains",
        "list_extract",
        "list_has",
        "list_value",
        "lower",
        "ltrim",
        "map_contains",
        "map_extract",
        "minute",
        "month",
        "nullif",
        "position",
        "prefix",
        "regexp_extract",
        "regexp_full_match",
        "regexp_matches",
        "right",
        "round",
        "row",
        "rtrim",
        "starts_with",
        "string_split",
        "strip",
        "strlen",
        "strpos",
        "struct_extract",
        "substr",
        "substring",
        "suffix",
        "trim",
        "upper",
        "week",
        "weekday",
        "year",
    ]
)
MAX_CONDITION: Final = 10_000

_CLASSES: Final = frozenset(
    [
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "OPERATOR",
        "TYPE",
    ]
)
_CONFIGURATION: Final = {
    "enable_external_access": "false",
    "lock_configuration": "true",
    "memory_limit": "1GB",
    "threads": "1",
}
_LIKE: Final = frozenset(("~~", "!~~", "~~*", "!~~*", "~~~"))
_OPERATOR: Final = re.compile(r"[^\w\s]+")
_GROWING: Final = frozenset(("^", "**", "!"))


def condition_faults(condition: str) -> list[str]:
    """What is wrong with a condition: what is not offered, and what DuckDB cannot make sense of."""
    if not condition.strip():
        return ["is empty"]
    if len(condition) > MAX_CONDITION:
        return [f"longer than {MAX_CONDITION:,} characters"]
    engine = _engine()
    try:
        tree = engine.syntax(condition)
    except ValueError as error:
        return [str(error)]
    faults = sorted(set(_not_offered(tree)))
    return faults or engine.binding_faults(condition)


def holds(conditions: Sequence[str], traces: Sequence[Trace], texts: Sequence[str]) -> list[list[bool]]:
    """For each trace, whether each condition is true of it; `texts` are what `text` stands for.

    Raises:
        ValueError: a condition cannot be evaluated.
    """
    return _engine().evaluate(
        conditions, [_row(trace, text) for trace, text in zip(traces, texts, strict=True)]
    )


def matching(patterns: Sequence[str], texts: Sequence[str]) -> list[list[bool]]:
    """For each text, whether each regular expression (RE2, which takes linear time) is found in it.

    Raises:
        ValueError: a pattern is not a regular expression of RE2.
    """
    return _engine().match(patterns, texts)


def pattern_fault(pattern: str) -> str | None:
    """Why a pattern is no regular expression of RE2, None where it is one."""
    try:
        matching([pattern], [""])
    except ValueError as error:
        return str(error)
    return None


class _Engine:
    """One locked-down database; used by one thread at a time."""

    def __init__(self) -> None:
        import duckdb

        self._duckdb = duckdb
        self._lock = Lock()
        self._connection: duckdb.DuckDBPyConnection = duckdb.connect(":memory:", config=_CONFIGURATION)
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        self._connection.execute(f"CREATE TABLE traces (row INTEGER, {columns})")
        self._connection.execute("CREATE TABLE texts (row INTEGER, text VARCHAR)")

    def syntax(self, condition: str) -> Any:
        """The syntax tree of a condition.

        Raises:
            ValueError: it is not one expression.
        """
        with self._lock:
            found = self._connection.execute(
                "SELECT json_serialize_sql($sql)", {"sql": f"SELECT ({condition}\n)"}
            ).fetchall()
        tree = json.loads(found[0][0])
        if tree["error"]:
            raise ValueError(_plain(tree["error_message"]))
        statements = tree["statements"]
        node = statements[0]["node"]
        if len(statements) != 1 or node["type"] != "SELECT_NODE" or not _is_bare(node):
            raise ValueError("is not one expression")
        return node["select_list"][0]

    def binding_faults(self, condition: str) -> list[str]:
        """What DuckDB says of the condition's names and types, found on no traces at all."""
        with self._lock:
            try:
                sql = f"DESCRIBE SELECT ({condition}\n) FROM traces"  # noqa: S608  (one expression)
                described = self._connection.execute(sql).fetchall()
            except self._duckdb.Error as error:
                return [_plain(str(error))]
        kind = described[0][1]
        return [] if kind == "BOOLEAN" else [f"is {kind}, not true or false: compare it with something"]

    def evaluate(self, conditions: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[list[bool]]:
        chosen = ", ".join(f"(({condition}\n) IS TRUE)" for condition in conditions)
        return self._over("traces", rows, f"SELECT {chosen} FROM traces ORDER BY row", {})  # noqa: S608  (checked)

    def match(self, patterns: Sequence[str], texts: Sequence[str]) -> list[list[bool]]:
        chosen = ", ".join(f"regexp_matches(text, $p{place})" for place in range(len(patterns)))
        given = {f"p{place}": pattern for place, pattern in enumerate(patterns)}
        sql = f"SELECT {chosen} FROM texts ORDER BY row"  # noqa: S608  (patterns are parameters)
        return self._over("texts", [(text,) for text in texts], sql, given)

    def _over(
        self, table: str, rows: Sequence[tuple[Any, ...]], sql: str, parameters: Mapping[str, str]
    ) -> list[list[bool]]:
        with self._lock:
            try:
                self._fill(table, rows)
                return [list(row) for row in self._connection.execute(sql, dict(parameters)).fetchall()]
            except self._duckdb.Error as error:
                raise ValueError(_plain(str(error))) from error
            finally:
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608  (one of two names)

    def _fill(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            appender = self._connection.appender(table)
            appender.append_rows([(place, *row) for place, row in enumerate(rows)])
            appender.flush()


@lru_cache(maxsize=1)
def _engine() -> _Engine:
    return _Engine()


def _is_bare(node: Mapping[str, Any]) -> bool:
    """Whether a SELECT has nothing but one expression."""
    extras = ("where_clause", "having", "qualify", "group_expressions", "modifiers", "sample")
    nothing = node["from_table"]["type"] == "EMPTY" and not any(node.get(key) for key in extras)
    return nothing and len(node["select_list"]) == 1 and not node["cte_map"]["map"]


def _not_offered(tree: Any) -> Iterator[str]:
    """Complaints about each part of an expression that is not on the lists."""
    for node in _expressions(tree):
        kind, name = node["class"], str(node.get("function_name", ""))
        if kind not in _CLASSES:
            yield f"{kind.lower().replace('_', ' ')} is not offered in conditions"
        elif kind == "FUNCTION":
            yield from _function_faults(node, name)


def _function_faults(node: Mapping[str, Any], name: str) -> Iterator[str]:
    if _OPERATOR.fullmatch(name):
        if name in _GROWING:
            yield f"'{name}' is not offered in conditions"
        if name in _LIKE and _slow_like(node["arguments"]):
            yield "LIKE takes a text with % or with _, not both: use regexp_matches"
    elif name not in FUNCTIONS:
        close = get_close_matches(name, FUNCTIONS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else "docs/reference.md lists them"
        yield f"no function is named '{name}' here ({hint})"


def _slow_like(arguments: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a LIKE could try very many ways to match: its pattern is computed, or mixes both wildcards."""
    pattern = arguments[-1]["expression"]
    if pattern["class"] != "CONSTANT":
        return True
    text = str(pattern["literal"].get("text", ""))
    return "_" in text and "%" in text


def _expressions(tree: Any) -> Iterator[Mapping[str, Any]]:
    pending = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if "class" in part and "type" in part:
                yield part
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)


def _plain(message: str) -> str:
    """The first lines of an error of DuckDB, without its kind and without the picture of the statement."""
    lines: Iterable[str] = message.partition("\n\nLINE ")[0].splitlines()
    text = " ".join(line.strip() for line in lines if line.strip())
    return re.sub(r"^[A-Za-z ]+ Error: ", "", text)


def _row(trace: Trace, text: str) -> tuple[Any, ...]:
    moment = None if trace.timestamp is None else trace.timestamp.replace(tzinfo=None)
    return (
        trace.trace_id,
        moment,
        trace.input,
        trace.output,
        next(iter(trace.outputs), None),
        next(iter(trace.outputs[1:]), None),
        trace.transcript,
        text,
        [{"role": turn.role, "content": turn.content} for turn in trace.messages],
        trace.category,
        trace.session_id,
        trace.user_id,
        {str(key): _metadata(value) for key, value in trace.metadata.items()},
    )


def _metadata(value: object) -> str | None:
    """Text as it is, everything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
