"""The store of a project, opened."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from promptlabel.errors import Fault, InputError, MissingExtraError, StoreHeldError
from promptlabel.settings import CONFIGURATION_FILE, Project
from promptlabel.store.agreeing import agree
from promptlabel.store.contract import Store

SHARED = ("postgresql", "postgres")
"""Schemes of addresses of shared stores."""


def open_store(project: Project, *, lean: bool = False) -> Store:
    """The project's store, made on first use; what the journal has and the store lacks is put back.

    It has forgotten whatever the project's folder says, be it a backup from before.

    Where a process that lends it has it open, as `review` does, the store is used through that process. A lean one
    can be `squeezed`, for long runs that want a few rows at a time.

    Raises:
        InputError: if the configured store is of a kind that this version does not have, or refuses who asks.
        StoreHeldError: while another process has it open that does not lend it.
        StoreDamagedError: if it does not hold what was written to it.
        StoreError: if it cannot be reached, read or written, or was written by a newer version.
    """
    store = _home_or_borrowed(project, lean=lean)
    try:
        agree(store, project)
    except BaseException:
        store.close()
        raise
    return store


def _home_or_borrowed(project: Project, *, lean: bool) -> Store:
    try:
        return open_home(project.settings.store, project, lean=lean)
    except StoreHeldError as held:
        try:
            return _borrowed(project)
        except OSError:
            raise held from None


def _borrowed(project: Project) -> Store:
    from promptlabel.store.borrowed import BorrowedStore

    return cast("Store", BorrowedStore(project.state))


def open_home(store: str, project: Project, *, lean: bool = False) -> Store:
    """The store at a path or address, as `open_store`, with the journals of the project.

    Raises:
        InputError: as `open_store`.
        StoreError: as `open_store`.
    """
    kind = kind_of(store)
    if kind is None:
        from promptlabel.store.duckdb_store import DuckDBStore

        return DuckDBStore(project.root / store, project.state / "journal", lean=lean)
    try:
        from promptlabel.store.postgres.postgres_store import PostgresStore
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise MissingExtraError(
            f"{CONFIGURATION_FILE}: store: psycopg, which reaches PostgreSQL,",
            "pip install 'promptlabel[postgres]'",
        ) from error
    return PostgresStore(store, project.state / "journals")


def kind_of(store: str) -> str | None:
    """The scheme of a shared store's address, None for the path of an embedded one.

    Raises:
        InputError: for a scheme that this version does not know.
    """
    kind, is_address, _ = store.partition("://")
    if not is_address:
        return None
    if kind not in SHARED:
        message = (
            f"there are no {kind} stores; give postgresql://USER@HOST/DATABASE or the path of a DuckDB file"
        )
        raise InputError(Fault(message, file=CONFIGURATION_FILE, key="store"))
    return kind


def store_files(project: Project) -> tuple[Path, Path] | None:
    """The embedded store's file and its journal's folder, None where the store is shared.

    Raises:
        InputError: if the configured store is of a kind that this version does not have.
    """
    if kind_of(project.settings.store) is not None:
        return None
    return project.store_path, project.state / "journal"
