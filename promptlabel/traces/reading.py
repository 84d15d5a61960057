"""Traces, events, gold and reviews out of files of any format, streamed; every fault is listed at once."""

from __future__ import annotations

import glob
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from promptlabel.errors import Fault, InputError, fail, raise_if_any
from promptlabel.records import Gold, JsonValue, ReviewEvent, Trace
from promptlabel.traces import chatlog, langfuse, langsmith, reviewed_elsewhere, spans
from promptlabel.traces.field_map import FieldMap, Sourced
from promptlabel.traces.fields import Fields, kind
from promptlabel.traces.files import counts_lines, rows
from promptlabel.traces.parts import JsonObject
from promptlabel.traces.plain import Record, record_of
from promptlabel.traces.repeats import Repeats

MOST_LISTED: Final = 200
_ROW_BITS: Final = 40
_KEYS_NAMED: Final = 10


class _Format(NamedTuple):
    name: str
    recognises: Callable[[JsonObject], bool]
    records: Callable[[JsonObject], list[JsonObject]]


_OF_THE_INTERFACE: Final = {"input", "output", "messages", "event", "label", "event_id"}
_FOREIGN: Final = (
    _Format("a Label Studio task", reviewed_elsewhere.is_labelstudio, reviewed_elsewhere.labelstudio_reviews),
    _Format("an Argilla record", reviewed_elsewhere.is_argilla, reviewed_elsewhere.argilla_reviews),
    _Format("an OpenTelemetry or OpenInference span", spans.recognises, spans.records),
    _Format("a LangSmith run", langsmith.recognises, langsmith.records),
    _Format("a logged chat call", chatlog.recognises, chatlog.records),
    _Format("a Langfuse trace", langfuse.recognises, langfuse.records),
)


def read_files(paths: Sequence[Path], field_map: FieldMap | None = None) -> Iterator[Record]:
    """The traces, events, gold and reviews in the files, in order; patterns such as ``logs/*.jsonl`` name several.

    Read as a stream: memory grows by some 50 bytes a record. Sound records come as they are read, faults when all is
    read, so nothing may be taken for granted before the iterator has ended. With a field map rows are read by it
    alone; without one their format is recognised.

    Raises:
        InputError: at the end, with file and line of every fault: the first 200, then the number of the others.
    """
    reading = _Reading(_matching(paths), field_map)
    yield from reading.records()
    reading.finish()


def _matching(paths: Sequence[Path]) -> list[Path]:
    found = {path: _matches(path) for path in paths}
    raise_if_any(Fault("no such file", file=str(path)) for path, matches in found.items() if not matches)
    folders = [match for matches in found.values() for match in matches if match.is_dir()]
    raise_if_any(Fault(f"is a folder; name its files: {path}/*.jsonl", file=str(path)) for path in folders)
    return list(dict.fromkeys(match for matches in found.values() for match in matches))


def _matches(path: Path) -> list[Path]:
    return [path] if path.exists() else sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207  Path.glob refuses absolute patterns


class _Reading:
    """One pass over the files: what was wrong so far, and which keys have been seen."""

    def __init__(self, files: Sequence[Path], field_map: FieldMap | None) -> None:
        self.files = files
        self.field_map = field_map
        self.faults: list[Fault] = []
        self.unlisted = 0
        self.repeats = Repeats()

    def records(self) -> Iterator[Record]:
        for index, path in enumerate(self.files):
            for number, row in rows(path):
                faults, records = _read_row(row, self.field_map)
                if faults:
                    self.note(path, number, faults)
                for record in records:
                    self.remember(record, index << _ROW_BITS | number)
                    yield record

    def remember(self, record: Record, position: int) -> None:
        identity = _identity(record)
        if identity:
            self.repeats.add(*identity, position)

    def note(self, path: Path, number: int, faults: Sequence[Fault]) -> None:
        room = MOST_LISTED - len(self.faults)
        self.faults += [_placed(fault, path, number) for fault in faults[:room]]
        self.unlisted += len(faults[room:])

    def finish(self) -> None:
        for first, later in self.repeats.conflicts():
            path, number = self.place(later)
            said = "the same key, with other content, as " + "{}:{}".format(*self.place(first))
            self.note(path, number, [Fault(said, key="trace_id")])
        more = [Fault(f"and {self.unlisted:,} more faults")] if self.unlisted else []
        unmapped = self.field_map.finish() if self.field_map else []
        raise_if_any(unmapped + self.faults + more)

    def place(self, position: int) -> tuple[Path, int]:
        return self.files[position >> _ROW_BITS], position & ((1 << _ROW_BITS) - 1)


def _placed(fault: Fault, path: Path, number: int) -> Fault:
    if counts_lines(path) and number:
        return Fault(fault.message, str(path), number, fault.column, fault.key)
    row = f"row {number}" if number else None
    return Fault(fault.message, str(path), key=" ".join(filter(None, (row, fault.key))) or None)


def _read_row(row: JsonValue | Fault, field_map: FieldMap | None) -> tuple[list[Fault], list[Record]]:
    if isinstance(row, Fault):
        return [row], []
    if not isinstance(row, dict):
        return [Fault(f"must be a JSON object, is {kind(row)}")], []
    try:
        found = field_map.objects_of(row) if field_map else [(plain, {}) for plain in _plain_objects(row)]
    except InputError as error:
        return list(error.faults), []
    return _checked(found)


def _checked(found: Sequence[Sourced]) -> tuple[list[Fault], list[Record]]:
    faults, records = [], []
    for plain, sources in found:
        fields = Fields(plain)
        record = record_of(fields)
        faults += [Fault(message, key=_named(key, sources)) for key, message in fields.wrong]
        records += [] if fields.wrong else [record]
    return faults, records


def _named(key: str, sources: Mapping[str, str]) -> str:
    return f"{key} (from {sources[key]})" if key in sources else key


def _plain_objects(row: JsonObject) -> list[JsonObject]:
    if "trace_id" in row and not _OF_THE_INTERFACE.isdisjoint(row):
        return [row]
    for name, recognises, records in _FOREIGN:
        if recognises(row):
            try:
                return records(row)
            except KeyError as error:
                fail(f"looks like {name}, but lacks {error}")
            except (TypeError, ValueError, RecursionError) as error:
                fail(f"looks like {name}, but holds {error}")
    if "trace_id" not in row and _OF_THE_INTERFACE.isdisjoint(row):
        keys = ", ".join(sorted(row)[:_KEYS_NAMED]) or "nothing"
        fail(f"is in no format that is known (it has {keys}); say with --mapping FILE where its fields are")
    return [row]


def _identity(record: Record) -> tuple[Hashable, Hashable] | None:
    if isinstance(record, Trace):
        return record.trace_id, record.content_hash
    if isinstance(record, Gold):
        return (record.trace_id, record.task, record.reviewer, record.timestamp), record.label
    if isinstance(record, ReviewEvent):
        return record.event_id, (record.trace_id, record.task, record.reviewer, record.action, record.label)
    return None
