"""Versions survive the way to disk and back, and an edit is seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.errors import InputError
from promptlabel.evals.versions import (
    CASES_FILE,
    MANIFEST_FILE,
    Case,
    case_record,
    cases_bytes,
    content_hash,
    manifest_bytes,
    read_version,
    read_versions,
    version_order,
)
from promptlabel.records import Message, Trace

NOW = datetime(2026, 11, 23, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
moments = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
traces = st.builds(
    Trace,
    trace_id=texts.filter(bool),
    timestamp=st.none() | moments,
    input=st.none() | texts,
    output=st.none() | texts,
    messages=st.lists(st.builds(Message, texts, texts, st.none() | moments), max_size=3).map(tuple),
    category=st.none() | texts,
    metadata=st.dictionaries(texts, st.integers(0, 9) | texts, max_size=2),
)
cases = st.builds(
    Case,
    trace=traces,
    task=st.just("tone"),
    label=texts,
    since=st.just("2026.11.1"),
    as_of=moments,
    reviewers=st.lists(texts, max_size=2).map(tuple),
    lane=st.none() | st.just("audit"),
    probability=st.none() | st.floats(0, 1),
)


def put(folder: Path, found: list[Case], version: str = "2026.11.1") -> Path:
    content = cases_bytes(found)
    target = folder / version
    target.mkdir(parents=True)
    (target / CASES_FILE).write_bytes(content)
    manifest = {"task": "tone", "version": version, "content": content_hash(content)}
    (target / MANIFEST_FILE).write_bytes(manifest_bytes(manifest))
    return target


@given(st.lists(cases, max_size=4))
def test_cases_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, found: list[Case]
) -> None:
    folder = put(tmp_path_factory.mktemp("evals"), found)
    assert [case_record(case) for case in read_version(folder).cases] == [case_record(case) for case in found]
    assert cases_bytes(read_version(folder).cases) == cases_bytes(found)


def a_case(trace_id: str = "a", **fields: object) -> Case:
    return Case(Trace(trace_id, NOW, input="hello"), "tone", "good", "2026.11.1", NOW, ("ann",), **fields)  # type: ignore[arg-type]


def test_a_line_a_case_keys_sorted_times_in_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5)))
    case = Case(Trace("a", there, input="hello"), "tone", "good", "2026.11.1", there, ("ann",))
    (line,) = cases_bytes([case]).splitlines()
    record = orjson.loads(line)
    assert list(record) == sorted(record)
    assert record["blind"] is True
    assert record["as_of"] == record["timestamp"] == "2026-11-23T00:00:00+00:00"


def test_versions_are_in_order_of_time_not_of_the_alphabet(tmp_path: Path) -> None:
    for version in ["2026.11.10", "2026.2.1", "2026.11.9"]:
        put(tmp_path, [a_case()], version)
    (tmp_path / "notes").mkdir()
    assert [version.version for version in read_versions(tmp_path)] == ["2026.2.1", "2026.11.9", "2026.11.10"]
    assert version_order("2026.11.10") > version_order("2026.11.9")


def test_no_folder_no_versions(tmp_path: Path) -> None:
    assert read_versions(tmp_path / "none") == ()


def test_every_damaged_version_is_named(tmp_path: Path) -> None:
    edited = put(tmp_path, [a_case()], "2026.10.1")
    (edited / CASES_FILE).write_bytes(cases_bytes([a_case("b")]))
    (put(tmp_path, [a_case()], "2026.10.2") / CASES_FILE).unlink()
    (put(tmp_path, [a_case()], "2026.10.3") / MANIFEST_FILE).write_bytes(b"{")
    put(tmp_path, [a_case()], "2026.11.1")
    with pytest.raises(InputError) as caught:
        read_versions(tmp_path)
    faults = [str(fault) for fault in caught.value.faults]
    assert len(faults) == 3
    assert "edited after it was frozen" in faults[0]
    assert "two files" in faults[1]
    assert "2026.10.3" in faults[2]
