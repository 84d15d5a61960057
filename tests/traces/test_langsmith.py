"""LangSmith runs and feedback, with the field names of its run data format, as traces and events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import duckdb
import orjson
import pytest

from promptlabel.errors import InputError
from promptlabel.records import Event, Message
from promptlabel.traces.plain import Record
from promptlabel.traces.reading import read_files

Reader: TypeAlias = Callable[..., list[Record]]

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
CHAT = (Message("user", "Weather in Paris?"), Message("assistant", "Rainy, 57°F"))
ASKED = {"role": "user", "content": "Weather in Paris?"}
ANSWERED = {"role": "assistant", "content": "Rainy, 57°F"}


def constructed(kind: str, content: str) -> dict[str, Any]:
    return {
        "lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", kind],
        "kwargs": {"content": content, "type": "human"},
    }  # fmt: skip


class TestRuns:
    ROW: ClassVar[dict[str, Any]] = {
        "id": "r1", "trace_id": "r1", "name": "agent", "run_type": "chain", "start_time": "2026-01-31T12:00:00",
        "end_time": "2026-01-31T12:00:02", "error": None, "tags": ["beta"], "session_id": "project-1",
        "parent_run_id": None, "dotted_order": "20260131T120000000000Zr1", "events": [{"name": "start"}],
        "extra": {"metadata": {"thread_id": "s", "user_id": "u", "plan": "free"}, "runtime": {"sdk": "x"}},
        "inputs": {"messages": [ASKED]}, "outputs": ANSWERED,
        "feedback_stats": {"thumbs": {"n": 1, "avg": 1.0}},
    }  # fmt: skip

    def test_a_root_run(self, read_rows: Reader) -> None:
        [trace] = read_rows(self.ROW)
        assert (trace.trace_id, trace.timestamp, trace.messages) == ("r1", NOON, CHAT)
        assert (trace.category, trace.session_id, trace.user_id) == ("agent", "s", "u")
        assert trace.metadata["session_id"] == "project-1"
        assert trace.metadata["plan"] == "free"
        assert trace.metadata["feedback_stats"] == {"thumbs": {"n": 1, "avg": 1.0}}

    @pytest.mark.parametrize(
        "inputs",
        [
            {"messages": [[constructed("HumanMessage", "Weather in Paris?")]]},
            {"messages": [{"type": "human", "content": "Weather in Paris?"}]},
            {"messages": [{"type": "human", "data": {"content": "Weather in Paris?"}}]},
        ],
    )
    @pytest.mark.parametrize(
        "outputs",
        [
            {"generations": [[{"text": "", "message": constructed("AIMessage", "Rainy, 57°F")}]]},
            {"generations": [[{"text": "Rainy, 57°F"}]]},
            {"choices": [{"index": 0, "message": ANSWERED}]},
            {"messages": [ASKED, ANSWERED]},
            {"messages": [{"type": "ai", "content": "Rainy, 57°F"}]},
            {"output": "Rainy, 57°F"},
        ],
    )
    def test_the_shapes_of_a_chat(self, read_rows: Reader, inputs: object, outputs: object) -> None:
        [trace] = read_rows({**self.ROW, "inputs": inputs, "outputs": outputs})
        assert trace.messages == CHAT

    def test_a_run_without_messages_has_input_and_output(self, read_rows: Reader) -> None:
        [trace] = read_rows({**self.ROW, "inputs": {"question": "q"}, "outputs": {"answer": "a", "n": 1}})
        assert (trace.input, trace.output, trace.messages) == ("q", '{"answer":"a","n":1}', ())

    def test_a_model_call_below_the_root_has_an_id_of_its_own_and_other_runs_are_no_traces(
        self, read_rows: Reader
    ) -> None:
        below = {**self.ROW, "id": "r2", "parent_run_id": "r1"}
        [root, call] = read_rows(self.ROW, {**below, "run_type": "llm"}, {**below, "run_type": "tool"})
        assert (root.trace_id, call.trace_id) == ("r1", "r1:r2")

    def test_a_parquet_export_holds_json_as_text(self, tmp_path: Path) -> None:
        as_text = {
            **self.ROW,
            **{key: orjson.dumps(self.ROW[key]).decode() for key in ("inputs", "outputs", "extra")},
        }
        lines, path = tmp_path / "runs.json", tmp_path / "runs.parquet"
        lines.write_bytes(orjson.dumps(as_text))
        duckdb.sql(f"COPY (FROM read_json('{lines}')) TO '{path}'")
        [trace] = read_files([path])
        assert (trace.messages, trace.session_id) == (CHAT, "s")

    def test_a_run_without_an_id_is_a_fault(self, read_rows: Reader) -> None:
        row = {key: value for key, value in self.ROW.items() if key not in ("id", "trace_id")}
        with pytest.raises(InputError, match=r"jsonl:1: looks like a LangSmith run, but lacks 'id'"):
            read_rows(row)


class TestFeedback:
    ROW: ClassVar[dict[str, Any]] = {
        "id": "f1", "run_id": "r1", "trace_id": "r1", "key": "thumbs", "score": 0, "value": None,
        "comment": "wrong city", "created_at": "2026-01-31T12:00:00Z", "modified_at": "2026-01-31T12:00:00Z",
    }  # fmt: skip

    def test_it_is_an_event_at_the_time_it_was_given(self, read_rows: Reader) -> None:
        assert read_rows(self.ROW) == [Event("r1", NOON, "thumbs", 0, {"comment": "wrong city", "id": "f1"})]

    def test_on_a_call_below_the_root_it_belongs_to_that_call(self, read_rows: Reader) -> None:
        [event] = read_rows({**self.ROW, "run_id": "r2", "score": None, "value": "down"})
        assert (event.trace_id, event.value) == ("r1:r2", "down")
