"""The store of a project, opened."""

from __future__ import annotations

from pathlib import Path

from promptlabel.errors import Fault, InputError
from promptlabel.settings import CONFIGURATION_FILE, Project
from promptlabel.store.contract import Store


def open_store(project: Project, *, lean: bool = False) -> Store:
    """The project's store, made on first use; what the journal has and the store lacks is put back.

    A lean one can be `squeezed`, for long runs that want a few rows at a time.

    Raises:
        InputError: if the configured store is of a kind that this version does not have.
        StoreHeldError: while another process has it open.
        StoreDamagedError: if it does not hold what was written to it.
        StoreError: if it cannot be read or written, or was written by a newer version.
    """
    from promptlabel.store.duckdb_store import DuckDBStore

    return DuckDBStore(*store_files(project), lean=lean)


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
