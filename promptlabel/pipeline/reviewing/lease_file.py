"""Who has which trace, in a file beside the store: a page that is started again after a kill knows it still.

Lines are appended without waiting for the disk. What a process has written outlives it; after a power cut the last
leases may be forgotten, and at worst a trace is decided by one person more than was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from promptlabel.review.queue import Holder

NAME: Final = "leases.jsonl"


class Lease(NamedTuple):
    """One trace of a task, kept for whoever has it."""

    task: str
    trace_id: str
    holder: Holder
    until: datetime


class LeaseFile:
    """The leases of all tasks, the last line about a trace and a reviewer the one that counts."""

    def __init__(self, path: Path, now: datetime) -> None:
        self.found = _live(path, now)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(map(_line, self.found)))
        self._path = path

    def write(self, leases: Sequence[Lease]) -> None:
        """Nothing; the leases outlive this process."""
        if leases:
            with self._path.open("ab", buffering=0) as file:
                file.write(b"".join(map(_line, leases)))


def _line(lease: Lease) -> bytes:
    holder = lease.holder
    return orjson.dumps([lease.task, lease.trace_id, holder.reviewer, holder.tab, lease.until]) + b"\n"


def _live(path: Path, now: datetime) -> list[Lease]:
    last = {(one.task, one.trace_id, one.holder.reviewer): one for one in _read(path)}
    return [lease for lease in last.values() if lease.until > now]


def _read(path: Path) -> Iterator[Lease]:
    """The leases in the file; a line that a kill cut off is none."""
    if not path.is_file():
        return
    for line in path.read_bytes().splitlines():
        try:
            task, trace_id, reviewer, tab, until = orjson.loads(line)
        except ValueError:
            continue
        yield Lease(task, trace_id, Holder(reviewer, tab), datetime.fromisoformat(until))
