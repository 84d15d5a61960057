from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from promptlabel.errors import StoreError
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.store.migrations import MIGRATIONS, migrate


def tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {
        name for (name,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
    }


def m900_colours(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE TABLE colours (name VARCHAR)")


def m901_broken(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE TABLE never (name VARCHAR)")
    connection.execute("SELECT * FROM no_such_table")


def test_names_are_numbered_in_order_without_gaps() -> None:
    assert [int(step.__name__[1:4]) for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))
    assert all(step.__doc__ for step in MIGRATIONS)


def test_every_step_is_recorded_once_and_run_once() -> None:
    connection = duckdb.connect()
    migrate(connection)
    migrate(connection)
    recorded = connection.execute("SELECT name FROM migrations ORDER BY name").fetchall()
    assert [name for (name,) in recorded] == [step.__name__ for step in MIGRATIONS]


def test_a_later_version_runs_only_its_new_steps() -> None:
    connection = duckdb.connect()
    migrate(connection)
    connection.execute("INSERT INTO rules VALUES ('t', 0, 'r', 'prompt', 'm', 'a', 'b')")
    migrate(connection, (*MIGRATIONS, m900_colours))
    assert "colours" in tables(connection)
    assert connection.execute("SELECT count(*) FROM rules").fetchall() == [(1,)]


def test_a_failing_step_leaves_the_schema_as_it_was() -> None:
    connection = duckdb.connect()
    migrate(connection)
    before = tables(connection)
    with pytest.raises(duckdb.CatalogException):
        migrate(connection, (*MIGRATIONS, m900_colours, m901_broken))
    assert tables(connection) == before
    migrate(connection)


def test_a_store_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "s.duckdb", tmp_path / "journal"):
        pass
    with duckdb.connect(str(tmp_path / "s.duckdb")) as connection:
        migrate(connection, (*MIGRATIONS, m900_colours))
    with pytest.raises(StoreError, match=r"m900_colours.*upgrade promptlabel"):
        DuckDBStore(tmp_path / "s.duckdb", tmp_path / "journal")


def test_the_view_of_current_votes_is_for_anyone_with_sql() -> None:
    connection = duckdb.connect()
    migrate(connection)
    columns = [name for name, *_ in connection.execute("DESCRIBE votes").fetchall()]
    assert columns[:11] == [
        "trace_id", "task", "rule", "model", "label", "status", "confidence", "sample", "distribution", "cause",
        "rationale",
    ]  # fmt: skip
