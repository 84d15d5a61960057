"""Files of any usual format as numbered rows of plain JSON data."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final, TypeAlias, cast

import orjson

from promptlabel.errors import Fault
from promptlabel.records import JsonValue

Row: TypeAlias = "tuple[int, JsonValue | Fault]"
"""The number of a row, counted from 1, and its data or what is wrong with it."""

LONGEST_CELL: Final = 64_000_000
JSON_CELLS: Final = ("messages", "metadata", "value")
"""Columns of a flat table that may hold JSON written as text."""

_PARQUET_ROWS: Final = "SELECT to_json(t)::VARCHAR FROM read_parquet($path) t"


def ending(path: Path) -> str:
    """The lower-case ending of the file, with ``.gz`` looked through."""
    named = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return named.suffix.lower()


def counts_lines(path: Path) -> bool:
    """Whether the rows of the file are numbered by line; rows of Parquet and JSON arrays are counted."""
    return ending(path) not in {".parquet", ".json"}


def rows(path: Path) -> Iterator[Row]:
    """The rows of a file, read as a stream; a row that cannot be decoded is a fault.

    JSON lines and CSV are read line by line, Parquet in batches. A ``.json`` file is read whole, unless its
    first line is an object by itself. All but Parquet may be gzipped.
    """
    read = _READERS.get(ending(path), _json_lines)
    try:
        yield from read(path)
    except (OSError, EOFError, zlib.error) as error:
        yield 0, Fault(f"cannot be read: {error}")


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _json_lines(path: Path) -> Iterator[Row]:
    with _opened(path) as stream:
        yield from _decoded_lines(stream)


def _decoded_lines(lines: Iterable[bytes]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.isspace() and text:
            yield number, _decoded(text)


def _decoded(text: bytes) -> JsonValue | Fault:
    try:
        return cast("JsonValue", orjson.loads(text))
    except orjson.JSONDecodeError as error:
        return Fault(f"not JSON: {_reason(error)}", column=error.colno)


def _reason(error: orjson.JSONDecodeError) -> str:
    if "UTF-8" in error.msg:
        return "its bytes are no UTF-8"
    return "a lone surrogate, which no text can hold" if "surrogate" in error.msg else error.msg


def _json_document(path: Path) -> Iterator[Row]:
    with _opened(path) as stream:
        first = stream.readline()
        if isinstance(_decoded(first.removeprefix(b"\xef\xbb\xbf")), Mapping):
            yield from _decoded_lines(itertools.chain([first], stream))
            return
        document = _decoded((first + stream.read()).removeprefix(b"\xef\xbb\xbf") or b"[]")
    yield from enumerate(document if isinstance(document, list) else [document], 1)


def _csv_rows(path: Path) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_CELL)
    with _opened(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        table = csv.DictReader(text, restkey="")
        try:
            for cells in table:
                yield table.line_num, _csv_row(cells)
        except (csv.Error, UnicodeDecodeError) as error:
            yield table.line_num + 1, Fault(f"not CSV in UTF-8: {error}")


def _csv_row(cells: Mapping[str, str]) -> JsonValue | Fault:
    if "" in cells:
        return Fault("more cells than the header has columns")
    return _with_json_cells({column: cell for column, cell in cells.items() if cell})


def _parquet_rows(path: Path) -> Iterator[Row]:
    import duckdb

    with duckdb.connect() as database:
        try:
            result = database.execute(_PARQUET_ROWS, {"path": str(path)})
            batches = iter(lambda: result.fetchmany(1000), [])
            for number, (text,) in enumerate(itertools.chain.from_iterable(batches), 1):
                yield number, _with_json_cells(orjson.loads(text))
        except duckdb.Error as error:
            yield 0, Fault(f"not Parquet: {error}")


def _with_json_cells(row: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for column in JSON_CELLS:
        cell = row.get(column)
        if isinstance(cell, str):
            value = _decoded(cell.encode("utf-8", "surrogatepass"))
            row[column] = cell if isinstance(value, Fault) else value
    return row


_READERS: Final[Mapping[str, Callable[[Path], Iterator[Row]]]] = {
    ".csv": _csv_rows,
    ".json": _json_document,
    ".parquet": _parquet_rows,
}
