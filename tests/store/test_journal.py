from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.store import journal as journal_module
from promptlabel.store.journal import Journal, Position, decode, encode, erase, read

START = Position(0, 0)


def entries(folder: Path, start: Position = START) -> list[object]:
    return [line.entry for line in read(folder, start)]


def an_entry(number: int) -> dict[str, object]:
    return {"kind": "vote", "number": number, "text": 'é\n"\\\u2028'}


def written(folder: Path, numbers: range, **settings: int) -> Journal:
    journal = Journal(folder, START, **settings)
    for number in numbers:
        journal.append([encode(an_entry(number))])
    journal.sync()
    return journal


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)  # fmt: skip


class TestLines:
    @given(value=json_values)
    def test_come_back_and_are_one_line_of_json_each(self, value: object) -> None:
        line = encode({"kind": "x", "value": value})
        assert line.count(b"\n") == 1
        assert line.endswith(b"\n")
        assert decode(line) == {"kind": "x", "value": value}
        assert orjson.loads(line)["entry"]["value"] == value

    @given(value=json_values, data=st.data())
    def test_with_any_bit_flipped_are_damaged(self, value: object, data: st.DataObject) -> None:
        line = bytearray(encode({"kind": "x", "value": value}))
        line[data.draw(st.integers(0, len(line) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        assert decode(bytes(line)) is None

    @given(value=json_values, data=st.data())
    def test_cut_short_are_damaged(self, value: object, data: st.DataObject) -> None:
        line = encode({"kind": "x", "value": value})
        assert decode(line[: data.draw(st.integers(0, len(line) - 1))]) is None


class TestJournal:
    def test_appends_after_what_is_there(self, tmp_path: Path) -> None:
        written(tmp_path, range(3)).close()
        written(tmp_path, range(3, 5)).close()
        assert entries(tmp_path) == [an_entry(number) for number in range(5)]

    def test_starts_a_segment_when_one_is_full(self, tmp_path: Path) -> None:
        written(tmp_path, range(40), segment_bytes=500).close()
        segments = sorted(path.name for path in tmp_path.iterdir())
        assert len(segments) > 5
        assert segments[:2] == ["000001.jsonl", "000002.jsonl"]
        assert entries(tmp_path) == [an_entry(number) for number in range(40)]

    def test_is_read_on_from_the_end_of_any_line(self, tmp_path: Path) -> None:
        written(tmp_path, range(20), segment_bytes=700).close()
        lines = list(read(tmp_path))
        for index, line in enumerate(lines):
            rest = list(read(tmp_path, line.end))
            assert [found.entry for found in rest] == [found.entry for found in lines[index + 1 :]]
            assert [found.number for found in rest] == [found.number for found in lines[index + 1 :]]

    def test_position_is_the_end_of_the_last_line(self, tmp_path: Path) -> None:
        journal = written(tmp_path, range(20), segment_bytes=700)
        assert journal.position == list(read(tmp_path))[-1].end
        journal.close()

    @given(data=st.data(), block=st.sampled_from([16, 90, 1 << 16]))
    def test_cuts_a_torn_last_line_wherever_it_is_torn(
        self, data: st.DataObject, block: int, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(journal_module, "_BLOCK_BYTES", block)
            self._cuts_a_torn_last_line(data, tmp_path_factory)

    def _cuts_a_torn_last_line(self, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.mktemp("torn")
        written(folder, range(3)).close()
        segment = folder / "000001.jsonl"
        whole = segment.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        segment.write_bytes(whole[:cut])
        journal = written(folder, range(9, 10))
        kept = whole[:cut].count(b"\n")
        assert journal.torn == cut - (whole[:cut].rfind(b"\n") + 1)
        journal.close()
        assert entries(folder) == [an_entry(number) for number in [*range(kept), 9]]

    def test_begins_a_new_segment_when_it_ends_before_what_the_store_has_read(self, tmp_path: Path) -> None:
        written(tmp_path, range(3)).close()
        journal = Journal(tmp_path, Position(4, 10))
        assert journal.position == Position(5, 0)
        journal.close()

    def test_takes_back_what_it_could_write_only_in_part(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = written(tmp_path, range(2))
        write = os.write

        def short(file: int, content: bytes) -> int:
            if len(content) < 30:
                raise OSError(28, "No space left on device")
            return write(file, content[:20])

        monkeypatch.setattr(os, "write", short)
        with pytest.raises(OSError, match="No space"):
            journal.append([encode(an_entry(2))])
        monkeypatch.undo()
        journal.append([encode(an_entry(3))])
        journal.close()
        assert entries(tmp_path) == [an_entry(number) for number in (0, 1, 3)]


class TestDamage:
    def test_is_reported_with_file_and_line(self, tmp_path: Path) -> None:
        written(tmp_path, range(5)).close()
        segment = tmp_path / "000001.jsonl"
        content = bytearray(segment.read_bytes())
        content[len(content) // 2] ^= 1
        segment.write_bytes(content)
        damaged = [line for line in read(tmp_path) if line.entry is None]
        assert [(line.file, line.number) for line in damaged] == [(segment, 3)]

    def test_erased_is_kept_aside_and_leaves_every_offset_as_it_was(self, tmp_path: Path) -> None:
        written(tmp_path, range(5)).close()
        before = list(read(tmp_path))
        segment = tmp_path / "000001.jsonl"
        content = bytearray(segment.read_bytes())
        content[before[2].start.offset + 40] ^= 1
        segment.write_bytes(content)
        (damaged,) = (line for line in read(tmp_path) if line.entry is None)
        erase(damaged)
        after = list(read(tmp_path))
        assert [line.start for line in after] == [line.start for line in before if line.number != 3]
        assert [line.number for line in after] == [1, 2, 4, 5]
        assert (tmp_path / "damaged.txt").read_bytes() == damaged.content
