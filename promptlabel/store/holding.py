"""What only one process on this machine may do at a time, by a lock that ends with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promptlabel.errors import StoreError


@contextmanager
def held(folder: Path, name: str) -> Iterator[None]:
    """A context in which no other process is in one of that name and folder.

    Raises:
        StoreError: while another process is in it, whose number is named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name.replace(' ', '-')}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            other = lock.read().strip() or "another one"
            raise StoreError(
                f"process {other} is {name}: wait for it to end, or stop it, and run this again"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
