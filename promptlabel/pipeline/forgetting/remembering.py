"""`ingest --remember`: what was forgotten may come in again, because somebody says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from promptlabel.pipeline.forgetting.forget import next_forgetting
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Trace
from promptlabel.store.agreeing import agree
from promptlabel.store.contract import Store
from promptlabel.store.forgettings import FOLDER, Kind, write_forgetting
from promptlabel.traces.field_map import read_field_map
from promptlabel.traces.plain import Record
from promptlabel.traces.reading import read_files

_AT_ONCE: Final = 5000
_KINDS: Final[tuple[Kind, ...]] = ("trace", "user", "session")


def remember_those_in(
    workspace: Workspace, paths: Sequence[Path], mapping: Path | None = None, now: datetime | None = None
) -> int:
    """The number of traces, persons and sessions in the files that were forgotten and are refused no more.

    Raises:
        InputError: with every fault of the files.
    """
    records = read_files(paths, None if mapping is None else read_field_map(mapping))
    names = list(dict.fromkeys(_forgotten(workspace.store, records)))
    if names:
        forgetting = next_forgetting(workspace.store, names, now or datetime.now(UTC), remembered=True)
        write_forgetting(workspace.project.root / FOLDER, forgetting)
        agree(workspace.store, workspace.project)
    return len(names)


def _forgotten(store: Store, records: Iterator[Record]) -> Iterator[tuple[Kind, str]]:
    while some := list(islice(records, _AT_ONCE)):
        for kind in _KINDS:
            names = {name for record in some if (name := _name_of(record, kind)) is not None}
            yield from ((kind, name) for name in sorted(store.forgotten(kind, sorted(names))))


def _name_of(record: Record, kind: Kind) -> str | None:
    if kind == "trace":
        return record.trace_id
    if not isinstance(record, Trace):
        return None
    return record.user_id if kind == "user" else record.session_id
