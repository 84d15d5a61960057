"""Tells when the files of a folder have been saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

_PAUSE: Final = 0.25

State: TypeAlias = Mapping[str, tuple[int, int]]
"""By path: when it was last changed, and its size."""


def saves(folders: Callable[[], list[Path]], sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Nothing each time that a file in one of the folders has changed, come or gone; endless."""
    before = _state(folders())
    while True:
        sleep(_PAUSE)
        now = _state(folders())
        if now != before:
            before = now
            yield


def _state(folders: list[Path]) -> State:
    found: dict[str, tuple[int, int]] = {}
    for path in (path for folder in folders for path in folder.glob("*")):
        try:
            status = path.stat()
        except OSError:
            continue  # gone between the listing and the look
        found[str(path)] = status.st_mtime_ns, status.st_size
    return found
