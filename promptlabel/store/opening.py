"""The store of a project, opened."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from promptlabel.errors import Fault, InputError, StoreHeldError
from promptlabel.settings import CONFIGURATION_FILE, Project
from promptlabel.store.contract import Store


def open_store(project: Project, *, lean: bool = False) -> Store:
    """The project's store, made on first use; what the journal has and the store lacks is put back.

    Where a process that lends it has it open, as `review` does, the store is used through that process. A lean one
    can be `squeezed`, for long runs that want a few rows at a time.

    Raises:
        InputError: if the configured store is of a kind that this version does not have.
        StoreHeldError: while another process has it open that does not lend it.
        StoreDamagedError: if it does not hold what was written to it.
        StoreError: if it cannot be read or written, or was written by a newer version.
    """
    from promptlabel.store.duckdb_store import DuckDBStore

    try:
        return DuckDBStore(*store_files(project), lean=lean)
    except StoreHeldError as held:
        try:
            return _borrowed(project)
        except OSError:
            raise held from None


def _borrowed(project: Project) -> Store:
    from promptlabel.store.borrowed import BorrowedStore

    return cast("Store", BorrowedStore(project.state))


def store_files(project: Project) -> tuple[Path, Path]:
    """The embedded store's file and its journal's folder.

    Raises:
        InputError: if the configured store is of a kind that this version does not have.
    """
    kind, is_address, _ = project.settings.store.partition("://")
    if is_address:
        message = f"{kind} stores are not available yet; give the path of a DuckDB file"
        raise InputError(Fault(message, file=CONFIGURATION_FILE, key="store"))
    return project.store_path, project.state / "journal"
