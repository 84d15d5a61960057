"""Journals of several processes side by side in one folder, one process a journal."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Self

_LOCK = "lock"
_NAME = "journal"


@dataclass(frozen=True, slots=True)
class Slot:
    """A journal's folder, which this process alone may use until it is released, and the journal's name."""

    folder: Path
    journal: uuid.UUID
    lock: int

    @classmethod
    def take(cls, folder: Path) -> Self | None:
        """The slot, or None while another process has it."""
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return cls(folder, _name_of(folder), lock)

    def release(self) -> None:
        """Nothing; other processes may take the slot."""
        os.close(self.lock)


def take_all_free(folder: Path) -> Iterator[Slot]:
    """Every slot that no process has, the first of them made if need be."""
    taken = [slot for path in folders_of(folder) if (slot := Slot.take(path))]
    yield from taken or [_new(folder)]


def folders_of(folder: Path) -> list[Path]:
    """The folders of all slots, those of other processes too."""
    return [path for path in sorted(folder.glob("[0-9]*")) if path.is_dir()]


def _new(folder: Path) -> Slot:
    return next(slot for number in count(1) if (slot := Slot.take(folder / f"{number:03d}")))


def _name_of(folder: Path) -> uuid.UUID:
    path = folder / _NAME
    if not path.exists():
        temporary = folder / f"{_NAME}.new"
        temporary.write_text(str(uuid.uuid4()))
        temporary.replace(path)
    return uuid.UUID(path.read_text().strip())
