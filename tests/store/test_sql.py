from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest

from promptlabel.store.migrations import migrate
from promptlabel.store.signal_tables import STAGES
from promptlabel.store.sql import query

QUERIES = Path(str(files("promptlabel.store") / "queries"))
SOURCES = "\n".join(path.read_text() for path in QUERIES.parent.glob("*.py"))
NAMES = [re.sub(r"\{\w+\}", r"\\w+", text) for text in re.findall(r'"([a-z_{}]*[a-z]{3}[a-z_{}]*)"', SOURCES)]


@pytest.mark.parametrize("name", sorted(path.stem for path in QUERIES.glob("*.sql")))
def test_every_query_is_one_statement_that_is_used(name: str) -> None:
    assert len(duckdb.extract_statements(query(name))) == 1
    assert any(re.fullmatch(pattern, name) for pattern in NAMES), f"{name}.sql is not used"


def test_every_query_of_signals_is_a_stage_or_prepares_one() -> None:
    names = {path.stem for path in (QUERIES / "signals").glob("*.sql")}
    assert names == {"outdated", "due", "macros", *STAGES}
    assert all(len(duckdb.extract_statements(query(f"signals/{name}"))) == 1 for name in names - {"macros"})


def test_reading_everything_leaves_out_no_table() -> None:
    connection = duckdb.connect()
    migrate(connection)
    tables = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
    read = re.findall(r"FROM (\w+)", query("read_everything"))
    assert sorted(read) == [name for (name,) in tables]
