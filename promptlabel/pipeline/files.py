"""Files that are there whole or not at all: bytes, JSON Lines, JSON, YAML and Parquet."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from promptlabel.store.files import sync

Row: TypeAlias = Mapping[str, Any]
Columns: TypeAlias = Mapping[str, str]

LARGEST_ROW: Final = 1 << 28
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "'")
"""What a spreadsheet takes for the beginning of a formula, and the apostrophe that says it is none."""
_OPTIONS: Final = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to, renamed to `path` when the block ends well and removed when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        sync(temporary)
        temporary.replace(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Nothing; the file holds the content."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_jsonl(path: Path, rows: Iterable[Row]) -> int:
    """The number of rows written, one JSON object a line; rows are streamed."""
    count = 0
    with replacing(path) as temporary, temporary.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, default=_plain, option=_OPTIONS | orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def write_document(path: Path, rows: Sequence[Row]) -> int:
    """The number of rows written as one list, in YAML or JSON by the ending of the path."""
    content = orjson.dumps(rows, default=_plain, option=_OPTIONS | orjson.OPT_INDENT_2)
    if path.suffix in (".yaml", ".yml"):
        import yaml

        content = yaml.safe_dump(orjson.loads(content), sort_keys=False, allow_unicode=True).encode()
    write_bytes(path, content)
    return len(rows)


def write_csv(path: Path, rows: Sequence[Row]) -> int:
    """The number of rows written as CSV with a header; no cell can be taken for a formula by a spreadsheet."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0].keys() if rows else ())
        writer.writerows([_harmless(value) for value in row.values()] for row in rows)
    return len(rows)


def _harmless(value: object) -> object:
    """The value as a cell; a text that would be a formula, or that has such a mark already, gets an apostrophe."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value


def harmless_text(cell: str) -> str:
    """The text that `write_csv` made the cell of."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def write_parquet(
    path: Path, rows: Iterable[Row], columns: Columns, metadata: Mapping[str, str] | None = None
) -> int:
    """The number of rows written as Parquet by DuckDB; rows are streamed through a file, not held.

    Args:
        path: the file.
        rows: JSON objects; keys that a row lacks become null.
        columns: name -> DuckDB type, in order.
        metadata: key-value metadata of the file.
    """
    import duckdb

    with replacing(path) as temporary:
        lines = temporary.with_suffix(".jsonl")
        count = write_jsonl(lines, rows)
        with duckdb.connect() as database:
            database.execute(_copy(lines, temporary, columns, metadata or {}))
    return count


def struct(fields: Columns) -> str:
    """The DuckDB type of an object with these fields."""
    return f"STRUCT({', '.join(f'{_identifier(name)} {kind}' for name, kind in fields.items())})"


def _copy(lines: Path, target: Path, columns: Columns, metadata: Mapping[str, str]) -> str:
    read = (
        f"read_json({_literal(str(lines))}, format = 'newline_delimited', "
        f"maximum_object_size = {LARGEST_ROW}, columns = {_dictionary(columns)})"
    )
    extra = f", KV_METADATA {_dictionary(metadata)}" if metadata else ""
    return f"COPY (SELECT * FROM {read}) TO {_literal(str(target))} (FORMAT parquet{extra})"  # noqa: S608 - quoted


def _dictionary(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{_literal(key)}: {_literal(value)}" for key, value in values.items()) + "}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
