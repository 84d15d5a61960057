"""Any log through a mapping file: what comes out, and every fault of mapping and rows at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.errors import InputError
from promptlabel.records import Event, Gold, Message, Trace
from promptlabel.traces.field_map import read_field_map
from promptlabel.traces.places import found
from promptlabel.traces.reading import read_files

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

A_TIME = "must be a time (ISO 8601 such as 2026-01-31T09:30:00Z, or seconds or milliseconds since 1970)"
EVERYTHING = """
trace:
  trace_id: call.id
  timestamp: at
  messages: {each: call.turns, role: who, content: what.text}
  category: topic
events:
  - {event: =rated, value: stars, timestamp: rated_at}
  - {event: =copied, timestamp: copied_at?}
gold:
  - {task: =quality, label: verdict, reviewer: judge, timestamp: judged_at, blind: blind?}
"""
ROW = {
    "call": {"id": 7, "turns": [{"who": "user", "what": {"text": "hi"}}]},
    "at": "2026-01-31T12:00:00Z", "topic": 3, "plan": "free",
    "stars": 4, "rated_at": "2026-01-31T12:00:00Z",
    "verdict": "good", "judge": "ann", "judged_at": "2026-01-31T12:00:00Z",
}  # fmt: skip


@pytest.fixture
def mapped(tmp_path: Path) -> Callable[..., list[Any]]:
    """Reads JSON objects through a mapping file."""

    def read(mapping: str, *rows: object) -> list[Any]:
        (tmp_path / "map.yaml").write_text(mapping)
        log = tmp_path / "log.jsonl"
        log.write_bytes(b"\n".join(map(orjson.dumps, rows)))
        return list(read_files([log], read_field_map(tmp_path / "map.yaml")))

    return read


def faults(read: Callable[..., list[Any]], mapping: str, *rows: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(mapping, *rows)
    return [str(fault).rpartition("/")[2] for fault in caught.value.faults]


class TestRows:
    def test_one_row_can_hold_a_trace_events_and_gold(self, mapped: Callable[..., list[Any]]) -> None:
        assert mapped(EVERYTHING, ROW) == [
            Trace("7", NOON, messages=(Message("user", "hi"),), category="3", metadata={"plan": "free"}),
            Event("7", NOON, "rated", 4),
            Gold("7", "quality", "good", "ann", NOON),
        ]

    def test_feedback_that_comes_later_leaves_the_trace_as_it_was(
        self, mapped: Callable[..., list[Any]]
    ) -> None:
        mapping = EVERYTHING.replace("  trace_id: call.id\n", "")
        early = {key: value for key, value in ROW.items() if key not in ("stars", "rated_at")}
        [first, _] = mapped(mapping.replace("stars", "stars?").replace("rated_at", "rated_at?"), early)
        [later, event, _] = mapped(mapping, ROW)
        assert first == later
        assert event.trace_id == later.trace_id

    def test_mapped_metadata_is_all_the_metadata(self, mapped: Callable[..., list[Any]]) -> None:
        mapping = "trace: {trace_id: id, input: q, metadata: {tier: user.plan}}"
        [trace] = mapped(mapping, {"id": "a", "q": "x", "user": {"plan": "free"}, "other": 1})
        assert trace.metadata == {"tier": "free"}

    def test_messages_in_the_usual_form_need_no_more_than_their_place(
        self, mapped: Callable[..., list[Any]]
    ) -> None:
        said = [
            {"role": "user", "content": "hi", "timestamp": "2026-01-31T12:00:00Z"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        ]
        [trace] = mapped("trace: {trace_id: id, messages: log.said}", {"id": "a", "log": {"said": said}})
        assert trace.messages == (Message("user", "hi", NOON), Message("assistant", '{"id":"1"}'))

    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_tables(self, tmp_path: Path, ending: str) -> None:
        (tmp_path / "map.yaml").write_text(
            "trace: {trace_id: n, input: ask.question, messages: said}\n"
            "events: [{event: =rated, value: stars, timestamp: at}]\n"
        )
        (tmp_path / "log.csv").write_text(
            'n,ask.question,said,stars,at\n1,why?,"[{""role"": ""user"", ""content"": ""hi""}]",4.5,2026-01-31 12:00\n2,no stars,,,\n'
        )
        path = tmp_path / f"log.{ending}"
        if ending == "parquet":
            duckdb.sql(f"COPY (FROM read_csv('{tmp_path / 'log.csv'}')) TO '{path}'")
        first, rated, second = read_files([path], read_field_map(tmp_path / "map.yaml"))
        assert first == Trace("1", input="why?", messages=(Message("user", "hi"),))
        assert rated == Event("1", NOON, "rated", 4.5)
        assert (second.trace_id, second.messages) == ("2", ())

    def test_several_files_through_a_pattern(self, tmp_path: Path) -> None:
        (tmp_path / "map.yaml").write_text("trace: {trace_id: n, input: q}")
        for n in (1, 2):
            (tmp_path / f"{n}.jsonl").write_bytes(orjson.dumps({"n": n, "q": "x"}))
        read = read_files([tmp_path / "*.jsonl"], read_field_map(tmp_path / "map.yaml"))
        assert [trace.trace_id for trace in read] == ["1", "2"]


class TestPlaces:
    @pytest.mark.parametrize(
        ("place", "value"),
        [
            ("a", {"b": [{"c": 1}, {"c": 2}]}), ("a.b.1.c", 2), ("x.y", 3), ("a.b.2.c", None), ("a.q", None),
            ("text.k", 5), ("=fixed", "fixed"), ("q?", None), ("none", None), ("none.deeper", None), ("n.k", None),
        ],
    )  # fmt: skip
    def test_paths(self, place: str, value: object) -> None:
        row: Any = {"a": {"b": [{"c": 1}, {"c": 2}]}, "x.y": 3, "text": '{"k": 5}', "none": None, "n": 1}
        assert found(row, place) == value

    @given(st.lists(st.text("abc", min_size=1, max_size=2), min_size=1, max_size=5), st.integers())
    def test_any_depth(self, keys: list[str], value: int) -> None:
        row: Any = value
        for key in reversed(keys):
            row = {key: row}
        assert found(row, ".".join(keys)) == value


class TestFaults:
    def test_of_the_mapping_all_at_once_with_line_and_key(self, mapped: Callable[..., list[Any]]) -> None:
        mapping = "trace:\n  trace_id: id\n  imput: q\n  output: 3\nevents:\n  - {value: stars}\n"
        assert faults(mapped, mapping) == [
            "map.yaml:4:3: trace.output: should be a valid string, not 3",
            "map.yaml:3:3: trace.imput: unknown key (did you mean 'input'?)",
            "map.yaml:6:5: events[0].timestamp: is missing",
            "map.yaml:6:5: events[0].event: is missing",
        ]

    @pytest.mark.parametrize(
        ("mapping", "fault"),
        [
            ("trace: {trace_id: id}", "map.yaml:1:1: trace: one of input, output and messages is required"),
            ("events: []", "map.yaml:1:1: maps nothing: one of trace, events and gold is required"),
            (
                "events: [{event: =copied, timestamp: at}]",
                "map.yaml:1:1: trace_id is required in events and gold where there is no trace",
            ),
        ],
    )
    def test_of_a_mapping_that_lacks_something(
        self, mapped: Callable[..., list[Any]], mapping: str, fault: str
    ) -> None:
        assert faults(mapped, mapping) == [fault]

    def test_a_place_that_no_row_has_and_what_rows_lack(self, mapped: Callable[..., list[Any]]) -> None:
        mapping = "trace:\n  trace_id: id\n  input: question\n  category: topc\n  timestamp: at\n"
        rows = [{"id": "a", "question": "x", "topic": "t", "at": "noon"}, {"question": "y", "at": None}]
        assert faults(mapped, mapping, *rows) == [
            "map.yaml:4:3: trace.category: no row has 'topc' (did you mean 'topic'?); write 'topc?' if none need have it",
            f"log.jsonl:1: timestamp (from at): {A_TIME}, is 'noon'",
            "log.jsonl:2: trace_id (from id): is required",
        ]

    def test_a_place_that_may_be_missing_everywhere(self, mapped: Callable[..., list[Any]]) -> None:
        [trace] = mapped("trace: {trace_id: id, input: q, category: 'topic?'}", {"id": "a", "q": "x"})
        assert trace.category is None

    def test_no_rows_lack_nothing(self, mapped: Callable[..., list[Any]]) -> None:
        assert mapped(EVERYTHING) == []

    def test_messages_that_are_no_objects(self, mapped: Callable[..., list[Any]]) -> None:
        assert faults(mapped, "trace: {trace_id: id, messages: m}", {"id": "a", "m": ["hi"]}) == [
            "log.jsonl:1: messages[0]: must be an object, is text"
        ]

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such file"):
            read_field_map(tmp_path / "map.yaml")
