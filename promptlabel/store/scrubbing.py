"""What a journal says of forgotten traces, overwritten in place: every other line stays where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from promptlabel.store.journal import DAMAGED, Entry, Line, in_place_of, overwrite, read
from promptlabel.store.rows import chunks

Forgotten = Callable[[list[str]], frozenset[str]]
"""Those of the trace ids that are forgotten."""

_LINES_AT_ONCE: Final = 5000


@dataclass(slots=True)
class _Gone:
    """What lines that go are about: trace ids, keys of votes, digests of requests."""

    traces: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    requests: set[str] = field(default_factory=set)


def scrub(folder: Path, forgotten: Forgotten) -> int:
    """The number of lines that named a forgotten trace and do so no more; what was paid for them is still said.

    Lines that were set aside because they are damaged go too: nobody can tell whom they are about.
    """
    gone = _gone(folder, forgotten)
    if not gone.traces:
        return 0
    (folder / DAMAGED).unlink(missing_ok=True)
    changed = 0
    for file, lines in groupby(_changed(folder, gone), lambda found: found[0].file):
        news = {line.start.offset: in_place_of(line, entry) for line, entry in lines}
        overwrite(file, news)
        changed += len(news)
    return changed


def _gone(folder: Path, forgotten: Forgotten) -> _Gone:
    gone = _Gone()
    for lines in chunks(read(folder), _LINES_AT_ONCE):
        said = [(line.entry, found) for line in lines if line.entry and (found := _trace_of(line.entry))]
        names = forgotten(list({name for _, name in said}))
        gone.traces |= names
        for entry, name in said:
            if name in names and "vote" in entry:
                gone.keys.add(entry["vote"]["key"])
                gone.requests.update(filter(None, [entry["vote"]["request"]]))
    return gone


def _trace_of(entry: Entry) -> str | None:
    about: Mapping[str, Any] = entry.get("vote") or entry.get("review") or {}
    name = about.get("trace_id")
    return str(name) if name is not None else None


def _changed(folder: Path, gone: _Gone) -> Iterator[tuple[Line, Entry | None]]:
    for line in read(folder):
        if line.entry is not None:
            entry = _kept(line.entry, gone)
            if entry != line.entry:
                yield line, entry


def _kept(entry: Entry, gone: _Gone) -> Entry | None:
    """What stays of the entry, None where that is nothing."""
    match entry["kind"]:
        case "vote" if entry["vote"]["trace_id"] in gone.traces:
            attempts = _nameless(entry["attempts"], gone.requests)
            return {"kind": "attempts", "attempts": attempts} if attempts else None
        case "vote" | "attempts":
            return {**entry, "attempts": _nameless(entry["attempts"], gone.requests)}
        case "review":
            return None if entry["review"]["trace_id"] in gone.traces else entry
        case "replace":
            return None if entry["vote"]["key"] in gone.keys else entry
        case "drop":
            return {**entry, "keys": [key for key in entry["keys"] if key not in gone.keys]}
    return entry


def _nameless(attempts: Iterable[Mapping[str, Any]], requests: set[str]) -> list[Mapping[str, Any]]:
    """The attempts, without the digest of a request that was about a forgotten trace."""
    return [
        {**attempt, "request": None} if attempt["request"] in requests else attempt for attempt in attempts
    ]
