"""Files that come into a folder, each taken once nobody writes to it any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from promptlabel.errors import PromptlabelError, StoreHeldError

State: TypeAlias = tuple[int, int]
"""When a file was last changed, and its size."""

PAUSE: Final = 1.0
QUIET: Final = 2.0
"""Seconds that a file must have kept its size and time before it is taken."""

QUIET_MID_LINE: Final = 30.0
"""The same for a file of lines whose last one has no end yet."""

ENDINGS: Final = (".jsonl", ".json", ".ndjson", ".csv", ".parquet", ".gz")
_OF_LINES: Final = (".jsonl", ".ndjson", ".csv")


class Arrivals:
    """The files of a folder and of those in it; a file that changes after it was taken has arrived again.

    Hidden files, and those of other endings, are left alone: writers that rename when they are done use such names.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._seen: dict[Path, tuple[State, float]] = {}
        self._taken: dict[Path, State] = {}

    def ready(self) -> list[Path]:
        """The files that have arrived and are quiet, in the order of their names; they wait until `took`."""
        now, states = self._clock(), dict(_states(self._folder))
        self._seen = {
            path: (state, self._since(path, state, now)) for path, state in states.items() if state[1]
        }
        return [
            path
            for path, (state, since) in sorted(self._seen.items())
            if self._taken.get(path) != state and now - since >= _quiet(path)
        ]

    def took(self, path: Path) -> None:
        """Nothing; the file as it was last seen has been dealt with."""
        self._taken[path] = self._seen[path][0]

    def _since(self, path: Path, state: State, now: float) -> float:
        before = self._seen.get(path)
        return before[1] if before and before[0] == state else now


def watch(
    folder: Path,
    take: Callable[[Path], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[Path, PromptlabelError | None]]:
    """Each file that was taken, with what was wrong with it; endless. While the store is held files wait."""
    arrivals = Arrivals(folder, clock)
    while True:
        for path in arrivals.ready():
            try:
                take(path)
            except StoreHeldError:
                break
            except PromptlabelError as error:
                arrivals.took(path)
                yield path, error
            else:
                arrivals.took(path)
                yield path, None
        sleep(PAUSE)


def _states(folder: Path) -> Iterator[tuple[Path, State]]:
    for path in folder.rglob("*"):
        if path.suffix.lower() not in ENDINGS or any(
            part.startswith(".") for part in path.relative_to(folder).parts
        ):
            continue
        try:
            status = path.stat()
        except OSError:
            continue  # gone between the listing and the look
        if path.is_file():
            yield path, (status.st_mtime_ns, status.st_size)


def _quiet(path: Path) -> float:
    return QUIET if path.suffix.lower() not in _OF_LINES or _ends_a_line(path) else QUIET_MID_LINE


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
