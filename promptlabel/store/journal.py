"""The append-only journal of what cost money or people's time, one checksummed JSON line an entry.

A line is written and synced before the store takes what it says, so that the store can be rebuilt from
the journal alone, without a call.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import orjson

from promptlabel.store.files import sync

Entry = Mapping[str, Any]
"""One journal entry; `kind` says which of vote, attempts, replace, drop, review or commit it is."""

SEGMENT_BYTES = 64 << 20
DAMAGED: Final = "damaged.txt"
"""The file beside the segments that keeps what damaged lines held."""
_BLOCK_BYTES = 64 << 10

_HEAD = b'{"crc32":"%08x","entry":'
_HEAD_BYTES = len(_HEAD % 0)


class Position(NamedTuple):
    """A place in the journal: the number of a segment and a byte offset in it."""

    segment: int
    offset: int


START: Final = Position(0, 0)


@dataclass(frozen=True, slots=True)
class Line:
    """One line as read: where it is, and its entry, or None where the checksum does not match."""

    file: Path
    number: int
    start: Position
    content: bytes
    entry: Entry | None

    @property
    def end(self) -> Position:
        """The position after the line."""
        return Position(self.start.segment, self.start.offset + len(self.content))


class Journal:
    """The journal opened for appending; a last line torn by a crash is cut off, `torn` bytes long."""

    def __init__(self, folder: Path, after: Position, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._segment_bytes = segment_bytes
        segments = _segments(folder)
        number = _number(segments[-1]) if segments else 1
        self.torn = _cut_torn_line(segments[-1]) if segments else 0
        self._open(number)
        if self.position < after:
            self._start_segment(after.segment + 1)

    @property
    def position(self) -> Position:
        """The end of the journal."""
        return Position(self._number, self._offset)

    def append(self, lines: Iterable[bytes]) -> None:
        """Nothing; the lines are written whole or not at all, outlive the process, and are durable after `sync`."""
        content = b"".join(lines)
        if not content:
            return
        if self._offset >= self._segment_bytes:
            self._start_segment(self._number + 1)
        try:
            _write_all(self._file, content)
        except OSError:
            os.ftruncate(self._file, self._offset)
            raise
        self._offset += len(content)

    def sync(self) -> None:
        """Nothing; every appended line is on the disk. Lines may be appended meanwhile."""
        file = os.dup(self._file)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def close(self) -> None:
        """Nothing; synced and closed."""
        self.sync()
        os.close(self._file)

    def _start_segment(self, number: int) -> None:
        self.close()
        self._open(number)

    def _open(self, number: int) -> None:
        path = self.folder / f"{number:06d}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._number = number
        self._offset = os.fstat(self._file).st_size
        sync(self.folder)


def encode(entry: Entry) -> bytes:
    """The entry as a journal line; dataclasses in it become objects."""
    return _framed(_content(entry))


def decode(line: bytes) -> Entry | None:
    """The entry of a journal line, or None where the line is damaged."""
    content = line[_HEAD_BYTES:-2]
    if line != _framed(content):
        return None
    entry: Entry = orjson.loads(content)
    return entry


def read(folder: Path, start: Position = START) -> Iterator[Line]:
    """The lines from a position on, damaged ones too; blank ones are left out."""
    for path in _segments(folder):
        if _number(path) >= start.segment:
            yield from _read_segment(path, start.offset if _number(path) == start.segment else 0)


def erase(line: Line) -> None:
    """Nothing; the damaged line is kept in ``damaged.txt`` and blank in the journal, every offset as it was."""
    with (line.file.parent / DAMAGED).open("ab") as kept:
        kept.write(line.content)
    overwrite(line.file, {line.start.offset: _blank(line)})


def overwrite(file: Path, lines: Mapping[int, bytes]) -> None:
    """Nothing; the segment durably has these lines at these offsets, each as long as the one that was there."""
    with file.open("r+b") as segment:
        for offset, content in lines.items():
            segment.seek(offset)
            segment.write(content)
        segment.flush()
        os.fsync(segment.fileno())


def in_place_of(line: Line, entry: Entry | None) -> bytes:
    """The entry as a line exactly as long as that one, which holds more; blank without an entry.

    Raises:
        ValueError: if the entry is longer.
    """
    if entry is None:
        return _blank(line)
    room = len(line.content) - len(encode(entry))
    if room < 0:
        raise ValueError("an entry that takes another's place cannot be longer")
    return _framed(_content(entry) + b" " * room)


def _blank(line: Line) -> bytes:
    return b" " * (len(line.content) - 1) + b"\n"


def _content(entry: Entry) -> bytes:
    return orjson.dumps(entry, default=dict)


def _framed(content: bytes) -> bytes:
    return b"%b%b}\n" % (_HEAD % zlib.crc32(content), content)


def _read_segment(path: Path, offset: int) -> Iterator[Line]:
    with path.open("rb") as file:
        number = _lines_before(file, offset)
        for content in file:
            number += 1
            if not content.isspace():
                yield Line(path, number, Position(_number(path), offset), content, decode(content))
            offset += len(content)


def _lines_before(file: BinaryIO, offset: int) -> int:
    """The number of line breaks up to the offset, where the file is read on."""
    blocks = iter(lambda: file.read(min(_BLOCK_BYTES, offset - file.tell())), b"")
    return sum(block.count(b"\n") for block in blocks)


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.jsonl"))


def _number(segment: Path) -> int:
    return int(segment.stem)


def _cut_torn_line(segment: Path) -> int:
    size = segment.stat().st_size
    with segment.open("rb") as file:
        whole = _end_of_last_line(file, size)
    if whole < size:
        os.truncate(segment, whole)
    return size - whole


def _end_of_last_line(file: BinaryIO, end: int) -> int:
    """The offset after the last line break before `end`, 0 where there is none."""
    while end:
        start = max(0, end - _BLOCK_BYTES)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _write_all(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
