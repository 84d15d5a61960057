"""What lies about forgotten traces beside the store on this machine: batch files, leases, what was set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from promptlabel.pipeline.files import write_bytes
from promptlabel.pipeline.reviewing import lease_file
from promptlabel.pipeline.voting.batch_log import BatchLog
from promptlabel.pipeline.workspace import Workspace
from promptlabel.settings import Project, Settings
from promptlabel.store.agreeing import agree
from promptlabel.store.contract import Store
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.store.forgettings import Forgotten
from promptlabel.store.opening import store_files
from promptlabel.store.scrubbing import scrub

_ERASED: Final = "erased.json"
_SLOTS: Final = ".slots.jsonl"
_REQUEST, _TRACE_ID = 0, 2

Forgets = Callable[[list[str]], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was done to this machine's files.

    Attributes:
        lines: lines of journals, batch files and leases that are gone.
        removed: files that are gone, since nobody can tell whom they are about.
        waiting: batches that ask about forgotten traces and are not collected yet.
    """

    lines: int
    removed: tuple[str, ...]
    waiting: tuple[str, ...]


def clean(workspace: Workspace) -> Cleaned:
    """What was done; after it, but for the store's own files, nothing on this machine names a forgotten trace."""
    project, forgets = workspace.project, partial(workspace.store.forgotten, "trace")
    removed = tuple(_remove_set_aside(project))
    lines = sum(scrub(folder, forgets) for folder in _other_journals(project))
    lines += _clean_leases(project.state / lease_file.NAME, forgets)
    log = BatchLog.of(project)
    touched = {name: gone for name in _batches(log) if (gone := _requests_about(log, name, forgets))}
    lines += sum(_clean_batch(log, name, gone) for name, gone in touched.items() if name not in log.open)
    _clean_other_home(project)
    cleaned = Cleaned(lines, removed, tuple(name for name in touched if name in log.open))
    if not cleaned.waiting:
        _remember(project, workspace.store)
    return cleaned


def uncleaned(project: Project, store: Store) -> list[Forgotten]:
    """The forgettings after which this machine's files, or the store's, were not yet cleaned."""
    path = project.state / _ERASED
    done = set(orjson.loads(path.read_bytes())) if path.is_file() else set()
    return [one for one in store.forgettings() if not one.remembered and not (one.erased and one.key in done)]


def _remember(project: Project, store: Store) -> None:
    write_bytes(project.state / _ERASED, orjson.dumps([one.key for one in store.forgettings()]))


def _remove_set_aside(project: Project) -> Iterator[str]:
    """Files of a damaged store that `doctor --repair` set aside; the damaged lines of a journal go with its scrub."""
    for path in sorted(project.state.glob("*.damaged-*")):
        path.unlink()
        yield path.name


def _other_journals(project: Project) -> Iterator[Path]:
    """Journals of homes that the project has left; the store cleans its own."""
    own = "journal" if store_files(project) else "journals"
    yield from (path for path in project.state.glob("journal.*") if path.is_dir())
    if own == "journals":
        yield project.state / "journal"
    else:
        yield from (path for path in (project.state / "journals").glob("[0-9]*") if path.is_dir())


def _clean_other_home(project: Project) -> None:
    """The embedded store that `move` has left behind forgets as well."""
    path = project.root / Settings().store
    if store_files(project) is None and path.is_file():
        with DuckDBStore(path, project.state / "journal") as left:
            agree(left, project)
            left.erase()


def _clean_leases(path: Path, forgets: Forgets) -> int:
    return _keep_lines(path, lambda rows: forgets([row[1] for row in rows]), lambda row, gone: row[1] in gone)


def _batches(log: BatchLog) -> list[str]:
    return sorted(path.name.removesuffix(_SLOTS) for path in log.folder.glob(f"*{_SLOTS}"))


def _requests_about(log: BatchLog, name: str, forgets: Forgets) -> frozenset[str]:
    """The digests of the batch's requests that are about forgotten traces."""
    slots = list(log.slots(name))
    gone = forgets(list({slot.trace_id for slot in slots}))
    return frozenset(slot.request for slot in slots if slot.trace_id in gone)


def _clean_batch(log: BatchLog, name: str, gone: frozenset[str]) -> int:
    """The number of lines that are gone; a runner's own log, which may quote requests, goes as a whole.

    The slots, which say whom the others are about, are cleaned last.
    """
    slots = log.folder / f"{name}{_SLOTS}"
    others = sorted(path for path in log.folder.glob(f"{name}.*") if path != slots)
    for path in others:
        if path.suffix != ".jsonl":
            path.unlink()
    lines = sum(_keep_lines(path, lambda _: gone, _answers_to) for path in others)
    return lines + _keep_lines(slots, lambda _: gone, lambda row, gone: row[_REQUEST] in gone)


def _answers_to(row: Any, gone: frozenset[str]) -> bool:
    return isinstance(row, dict) and str(row.get("custom_id")).partition("-")[0] in gone


def _keep_lines(
    path: Path,
    about: Callable[[Sequence[Any]], frozenset[str]],
    goes: Callable[[Any, frozenset[str]], bool],
) -> int:
    """The number of lines of the file that went, those with them that are no JSON."""
    if not path.is_file():
        return 0
    lines = path.read_bytes().splitlines(keepends=True)
    rows = [(line, row) for line in lines if (row := _parsed(line)) is not None]
    gone = about([row for _, row in rows])
    kept = [line for line, row in rows if not goes(row, gone)]
    if len(kept) < len(lines):
        write_bytes(path, b"".join(kept))
    return len(lines) - len(kept)


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except ValueError:
        return None
