"""Every home of the store, as the contract suites open it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from postgres_server import Server

from promptlabel.store.borrowed import BorrowedStore
from promptlabel.store.contract import Store
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.store.sharing import StoreServer

Open = Callable[[], Store]


class Lent(BorrowedStore):
    """The embedded store through a socket, as another process would use it; its owner goes with it."""

    def __init__(self, folder: Path) -> None:
        self._owner = DuckDBStore(folder / "store.duckdb", folder / "journal")
        self._server = StoreServer(self._owner, folder)
        super().__init__(folder)

    def close(self) -> None:
        super().close()
        self._server.close()
        self._owner.close()


def in_duckdb(folder: Path, request: pytest.FixtureRequest) -> Open:
    return lambda: DuckDBStore(folder / "store.duckdb", folder / "journal")


def in_postgres(folder: Path, request: pytest.FixtureRequest) -> Open:
    server: Server = request.getfixturevalue("postgres")
    from promptlabel.store.postgres.postgres_store import PostgresStore

    address = server.new_schema()
    return lambda: PostgresStore(address, folder / "journals")


def lent(folder: Path, request: pytest.FixtureRequest) -> Open:
    return lambda: cast("Store", Lent(folder))


HOMES: dict[str, Callable[[Path, pytest.FixtureRequest], Open]] = {
    "duckdb": in_duckdb,
    "lent": lent,
    "postgres": in_postgres,
}
