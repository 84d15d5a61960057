"""The embedded store's file written anew, so that deleted rows leave no bytes in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb

from promptlabel.errors import StoreHeldError
from promptlabel.store.connection import connect, store_errors
from promptlabel.store.files import sync

_MEMORY = "2GB"


def rewrite(path: Path) -> None:
    """Nothing; the file holds the same rows and nothing else, and all that was forgotten counts as erased.

    Nobody may have it open. The new file takes the old one's place while the old one is still locked, so that no
    process can write to the one that goes.

    Raises:
        StoreHeldError: if another process has opened it meanwhile.
        StoreError: if there is no room for it twice; the old file is as it was.
    """
    connect(path).close()  # raises where it is held, and puts its log into it
    new = path.with_name(f"{path.name}.rewriting")
    for leftover in (new, new.with_name(f"{new.name}.wal")):
        leftover.unlink(missing_ok=True)
    with store_errors(), duckdb.connect(config={"memory_limit": _MEMORY}) as database:
        _attach(database, path)
        database.execute(f"ATTACH {_quoted(new)} AS fresh")
        database.execute("COPY FROM DATABASE kept TO fresh")
        database.execute("UPDATE fresh.forgettings SET erased = TRUE")
        database.execute("CHECKPOINT fresh")
        database.execute("DETACH fresh")
        _replace(new, path)
    shutil.rmtree(path.with_name(f"{path.name}.tmp"), ignore_errors=True)


def _attach(database: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        database.execute(f"ATTACH {_quoted(path)} AS kept")
    except duckdb.IOException as error:
        if "Could not set lock" in str(error):
            raise StoreHeldError(str(path), None) from error
        raise
    database.execute("CHECKPOINT kept")


def _replace(new: Path, path: Path) -> None:
    sync(new)
    new.replace(path)
    sync(path.parent)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
