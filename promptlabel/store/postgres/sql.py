"""The queries as PostgreSQL takes them: its own, or those it shares with DuckDB, placeholders rewritten."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from promptlabel.store.sql import query as shared_query

_PLACEHOLDER: Final = re.compile(r"\$(\w+)")
_STAGE: Final = "CREATE OR REPLACE TEMP TABLE"


@cache
def query(name: str) -> bytes:
    """The text of the query of that name; values are always parameters, never part of it."""
    own = files("promptlabel.store.postgres").joinpath("queries", f"{name}.sql")
    text = own.read_text("utf-8") if own.is_file() else shared_query(name)
    if text.startswith(_STAGE):
        kept = text.replace(_STAGE, "CREATE TEMP TABLE IF NOT EXISTS", 1).rstrip()
        text = f"{kept} ON COMMIT DELETE ROWS"
    return _PLACEHOLDER.sub(r"%(\1)s", text.replace("%", "%%")).encode()


def numbered(values: Sequence[object]) -> Mapping[str, object]:
    """The values as parameters of a query that calls them $1, $2 and so on."""
    return {str(number): value for number, value in enumerate(values, start=1)}
