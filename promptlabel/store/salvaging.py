"""A damaged store opened all the same: the least is set aside that lets it open, and nothing is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from promptlabel.errors import StoreDamagedError
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.store.journal import erase, read

Remedy = Callable[[Path, Path], Iterator[str]]


def salvage(path: Path, journal: Path) -> tuple[DuckDBStore, list[str]]:
    """The repaired store, open, and what was done to it, in words.

    Raises:
        StoreError: if it cannot be opened for another reason than damage.
    """
    done: list[str] = []
    remedies = iter((_erase_damaged_lines, _set_log_aside, _set_file_aside))
    while True:
        try:
            return _repaired(path, journal), done
        except StoreDamagedError:
            remedy = next(remedies, None)
            if remedy is None:
                raise
            done.extend(remedy(path, journal))


def _repaired(path: Path, journal: Path) -> DuckDBStore:
    store = DuckDBStore(path, journal)
    try:
        store.repair()
    except BaseException:
        store.close()
        raise
    return store


def _erase_damaged_lines(path: Path, journal: Path) -> Iterator[str]:  # noqa: ARG001 - one shape for all remedies
    for line in list(read(journal)):
        if line.entry is None:
            erase(line)
            yield f"{line.file}:{line.number}: the damaged line is now in damaged.txt"


def _set_log_aside(path: Path, journal: Path) -> Iterator[str]:  # noqa: ARG001 - one shape for all remedies
    return _set_aside(path.with_name(f"{path.name}.wal"))


def _set_file_aside(path: Path, journal: Path) -> Iterator[str]:
    yield from _set_log_aside(path, journal)
    yield from _set_aside(path)


def _set_aside(path: Path) -> Iterator[str]:
    if path.exists():
        taken = len(list(path.parent.glob(f"{path.name}.damaged-*")))
        aside = path.with_name(f"{path.name}.damaged-{taken + 1}")
        path.rename(aside)
        yield f"{path.name} is now {aside.name}; its votes come from the journal"
