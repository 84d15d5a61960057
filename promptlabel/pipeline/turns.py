"""One process at a time asks models: two would pay for the same question twice, and pass the budget together."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from promptlabel.errors import PromptlabelError
from promptlabel.settings import Project

_FILE: Final = "asking.lock"


@contextmanager
def turn_to_ask(project: Project) -> Iterator[None]:
    """A context in which no other process asks; it ends with the process, however that ends.

    Raises:
        PromptlabelError: while another process is in it, whose number is named.
    """
    project.state.mkdir(parents=True, exist_ok=True)
    with (project.state / _FILE).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            other = lock.read().strip() or "another one"
            raise PromptlabelError(
                f"process {other} is asking models: wait for it to end, or stop it, and run this again"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
