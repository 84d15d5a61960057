"""The store of a project, opened."""

from __future__ import annotations

from promptlabel.errors import Fault, InputError
from promptlabel.settings import CONFIGURATION_FILE, Project
from promptlabel.store.contract import Store


def open_store(project: Project) -> Store:
    """The project's store, made on first use; what the journal has and the store lacks is put back.

    Raises:
        InputError: if the configured store is of a kind that this version does not have.
        StoreHeldError: while another process has it open.
        StoreError: if it cannot be opened, or was written by a newer version.
    """
    address = project.settings.store
    if "://" in address:
        raise InputError(
            Fault(
                f"{address.split('://')[0]} stores are not available yet; give the path of a DuckDB file",
                file=CONFIGURATION_FILE,
                key="store",
            )
        )
    from promptlabel.store.duckdb_store import DuckDBStore

    return DuckDBStore(project.store_path, project.state / "journal")
