"""One run of a project at a time: a lock that ends with the process that holds it, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Final

from promptlabel.errors import AlreadyRunningError
from promptlabel.settings import Project

_FILE: Final = "run.lock"


@contextmanager
def one_at_a_time(project: Project) -> Iterator[None]:
    """A context in which no other process is in it for the same project.

    Raises:
        AlreadyRunningError: while another one is.
    """
    path = project.state / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        if not _locked(file):
            file.seek(0)
            raise AlreadyRunningError(file.read().strip())
        file.truncate(0)
        file.write(f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n")
        file.flush()
        yield


def _locked(file: IO[str]) -> bool:
    """Whether the file is this process's now; the system takes the lock back when the process ends."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
