"""A damaged store opened all the same: the least is set aside that lets it open, and nothing is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from promptlabel.errors import StoreDamagedError
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.store.journal import erase, read
from promptlabel.store.verifying import Verification

Remedy = Callable[[Path, Path], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Salvage:
    """A store opened and repaired: what was set aside for it, in words, and what was wrong then."""

    store: DuckDBStore
    set_aside: tuple[str, ...]
    found: Verification


def salvage(path: Path, journal: Path) -> Salvage:
    """The repaired store, open, with the least set aside that lets it open.

    Raises:
        StoreError: if it cannot be opened for another reason than damage.
    """
    done: list[str] = []
    remedies = iter((_erase_damaged_lines, _set_log_aside, _set_file_aside))
    while True:
        try:
            store, found = _repaired(path, journal)
            return Salvage(store, tuple(done), found)
        except StoreDamagedError:
            remedy = next(remedies, None)
            if remedy is None:
                raise
            done.extend(remedy(path, journal))


def _repaired(path: Path, journal: Path) -> tuple[DuckDBStore, Verification]:
    store = DuckDBStore(path, journal)
    try:
        return store, store.repair()
    except BaseException:
        store.close()
        raise


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
