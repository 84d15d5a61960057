"""Exports of other tools, hand-made with their exact field names, as traces of the interface."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from promptlabel.errors import InputError
from promptlabel.records import Event, Gold, Message, Trace
from promptlabel.traces.reading import read_files

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NANOSECONDS = "1769860800000000000"
TRACE_ID, ROOT, CHILD = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "00f067aa0ba902b7"
CHAT = (Message("user", "Weather in Paris?"), Message("assistant", "Rainy, 57°F"))


def read(tmp_path: Path, *rows: object) -> list[Trace | Event | Gold]:
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return list(read_files([path]))


def any_value(value: object) -> dict[str, object]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": attributes(value)}}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def attributes(values: dict[str, object]) -> list[dict[str, object]]:
    return [{"key": key, "value": any_value(value)} for key, value in values.items()]


def span(
    values: dict[str, object], span_id: str = ROOT, parent: str = "", events: object = ()
) -> dict[str, object]:
    return {
        "traceId": TRACE_ID, "spanId": span_id, "parentSpanId": parent, "name": "chat gpt-4o", "kind": 3,
        "startTimeUnixNano": NANOSECONDS, "endTimeUnixNano": NANOSECONDS,
        "attributes": attributes(values), "events": list(events), "status": {},
    }  # fmt: skip


def otlp(*spans: object) -> dict[str, object]:
    scope = {"scope": {"name": "opentelemetry.instrumentation.openai_v2"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [scope]}]}


class TestOpenTelemetry:
    INPUT: ClassVar = [{"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]}]
    OUTPUT: ClassVar = [
        {"role": "assistant", "parts": [{"type": "text", "content": "Rainy, 57°F"}], "finish_reason": "stop"}
    ]

    @pytest.mark.parametrize("as_text", [True, False])
    def test_messages_in_attributes(self, tmp_path: Path, as_text: bool) -> None:
        written = (lambda value: orjson.dumps(value).decode()) if as_text else lambda value: value
        values = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.usage.input_tokens": 9,
            "gen_ai.conversation.id": "conv_1", "user.id": "u",
            "gen_ai.input.messages": written(self.INPUT), "gen_ai.output.messages": written(self.OUTPUT),
        }  # fmt: skip
        [trace] = read(tmp_path, otlp(span(values)))
        assert trace == Trace(
            TRACE_ID, NOON, messages=CHAT, session_id="conv_1", user_id="u",
            metadata={"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.usage.input_tokens": 9},
        )  # fmt: skip

    def test_system_instructions_come_first(self, tmp_path: Path) -> None:
        values = {
            "gen_ai.system_instructions": '[{"type": "text", "content": "Be brief."}]',
            "gen_ai.input.messages": orjson.dumps(self.INPUT).decode(),
        }
        [trace] = read(tmp_path, otlp(span(values)))
        assert trace.messages == (Message("system", "Be brief."), CHAT[0])

    @pytest.mark.parametrize(
        "events",
        [
            [
                ("gen_ai.user.message", {"gen_ai.system": "openai", "content": "Weather in Paris?"}),
                ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Rainy, 57°F"}}),
            ],
            [
                ("gen_ai.user.message", {"gen_ai.event.content": '{"role": "user", "content": "Weather in Paris?"}'}),
                ("gen_ai.choice", {"gen_ai.event.content": '{"index": 0, "message": {"content": "Rainy, 57°F"}}'}),
            ],
            [
                ("gen_ai.content.prompt", {"gen_ai.prompt": '[{"role": "user", "content": "Weather in Paris?"}]'}),
                ("gen_ai.content.completion", {"gen_ai.completion": '[{"role": "assistant", "content": "Rainy, 57°F"}]'}),
            ],
        ],
        ids=["1.36", "1.36 as JSON", "1.27"],
    )  # fmt: skip
    def test_messages_in_span_events(
        self, tmp_path: Path, events: list[tuple[str, dict[str, object]]]
    ) -> None:
        logged = [
            {"name": name, "timeUnixNano": NANOSECONDS, "attributes": attributes(v)} for name, v in events
        ]
        [trace] = read(tmp_path, otlp(span({"gen_ai.system": "openai"}, events=logged)))
        assert trace == Trace(TRACE_ID, NOON, messages=CHAT, metadata={"gen_ai.system": "openai"})

    def test_indexed_attributes_of_openllmetry(self, tmp_path: Path) -> None:
        values = {
            "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Weather in Paris?",
            "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Rainy, 57°F",
        }  # fmt: skip
        assert read(tmp_path, otlp(span(values))) == [Trace(TRACE_ID, NOON, messages=CHAT)]

    def test_the_outermost_span_with_a_conversation_is_the_trace(self, tmp_path: Path) -> None:
        said = {"gen_ai.input.messages": self.INPUT, "gen_ai.output.messages": self.OUTPUT}
        agent, call = span(said), span(said, CHILD, ROOT)
        assert [trace.trace_id for trace in read(tmp_path, otlp(call, agent))] == [TRACE_ID]

    def test_calls_under_a_span_without_a_conversation_are_traces_of_their_own(self, tmp_path: Path) -> None:
        server = span({"http.request.method": "POST"})
        calls = [span({"gen_ai.input.messages": self.INPUT}, span_id, ROOT) for span_id in (CHILD, "b" * 16)]
        found = read(tmp_path, otlp(server, *calls))
        assert [trace.trace_id for trace in found] == [f"{TRACE_ID}:{CHILD}", f"{TRACE_ID}:{'b' * 16}"]

    def test_one_span_a_line_as_the_console_exporter_writes(self, tmp_path: Path) -> None:
        row = {
            "name": "chat", "context": {"trace_id": f"0x{TRACE_ID}", "span_id": f"0x{ROOT}", "trace_state": "[]"},
            "kind": "SpanKind.CLIENT", "parent_id": None, "start_time": "2026-01-31T12:00:00.000000Z",
            "attributes": {"gen_ai.input.messages": orjson.dumps(self.INPUT).decode()}, "events": [],
        }  # fmt: skip
        assert read(tmp_path, row) == [Trace(TRACE_ID, NOON, messages=CHAT[:1])]

    def test_what_is_misplaced_is_a_fault_with_its_line(self, tmp_path: Path) -> None:
        without_id = {"attributes": attributes({"gen_ai.input.messages": self.INPUT})}
        with pytest.raises(InputError, match=r"export\.jsonl:2: looks like .* span, but lacks 'traceId'"):
            read(tmp_path, otlp(), otlp(without_id))


class TestOpenInference:
    LLM: ClassVar[dict[str, Any]] = {
        "openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "session.id": "s", "user.id": "u",
        "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Weather in Paris?",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.contents.0.message_content.type": "text",
        "llm.output_messages.0.message.contents.0.message_content.text": "Rainy, 57°F",
        "input.value": "{}", "output.value": "{}",
    }  # fmt: skip

    def test_a_model_call(self, tmp_path: Path) -> None:
        [trace] = read(tmp_path, otlp(span(dict(self.LLM))))
        metadata = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o"}
        assert trace == Trace(TRACE_ID, NOON, messages=CHAT, session_id="s", user_id="u", metadata=metadata)

    def test_a_root_chain_is_the_interaction(self, tmp_path: Path) -> None:
        chain = span({"openinference.span.kind": "CHAIN", "input.value": "Weather?", "output.value": "Rainy"})
        [trace] = read(tmp_path, otlp(chain, span(dict(self.LLM), CHILD, ROOT)))
        assert (trace.trace_id, trace.input, trace.output) == (TRACE_ID, "Weather?", "Rainy")

    def test_tools_and_retrievers_are_no_interactions(self, tmp_path: Path) -> None:
        tool = span({"openinference.span.kind": "TOOL", "input.value": "x", "output.value": "y"})
        assert read(tmp_path, otlp(tool)) == []

    def test_a_flat_row_of_phoenix(self, tmp_path: Path) -> None:
        row = {
            "name": "ChatCompletion", "span_kind": "LLM", "parent_id": None, "start_time": "2026-01-31T12:00:00+00:00",
            "context.trace_id": TRACE_ID, "context.span_id": ROOT, "attributes.llm.model_name": "gpt-4o",
            "attributes.llm.input_messages": [{"message.role": "user", "message.content": "Weather in Paris?"}],
            "attributes.llm.output_messages": [{"message.role": "assistant", "message.content": "Rainy, 57°F"}],
        }  # fmt: skip
        [trace] = read(tmp_path, row)
        assert (trace.messages, trace.timestamp) == (CHAT, NOON)
        assert trace.metadata["llm.model_name"] == "gpt-4o"


class TestLangfuse:
    ROW: ClassVar[dict[str, Any]] = {
        "id": "lf-1", "timestamp": "2026-01-31T12:00:00.000Z", "name": "support", "userId": "u", "sessionId": "s",
        "tags": ["beta"], "environment": "production", "bookmarked": False, "metadata": {"plan": "free"},
        "input": {"messages": [{"role": "user", "content": "Weather in Paris?"}]},
        "output": {"role": "assistant", "content": "Rainy, 57°F"},
    }  # fmt: skip

    def test_a_chat(self, tmp_path: Path) -> None:
        [trace] = read(tmp_path, self.ROW)
        metadata = {
            "name": "support",
            "tags": ["beta"],
            "environment": "production",
            "bookmarked": False,
            "plan": "free",
        }
        assert trace == Trace("lf-1", NOON, None, None, CHAT, "support", "s", "u", metadata)

    @pytest.mark.parametrize(
        "sent", [[{"role": "user", "content": "Weather in Paris?"}], "Weather in Paris?"]
    )
    @pytest.mark.parametrize("as_text", [True, False])
    def test_inputs_of_other_shapes(self, tmp_path: Path, sent: object, as_text: bool) -> None:
        cell = orjson.dumps(sent).decode() if as_text and not isinstance(sent, str) else sent
        [trace] = read(tmp_path, {**self.ROW, "input": cell, "output": "Rainy, 57°F"})
        assert trace.transcript.endswith("user: Weather in Paris?\nassistant: Rainy, 57°F")

    def test_any_other_json_stays_as_text(self, tmp_path: Path) -> None:
        [trace] = read(tmp_path, {**self.ROW, "input": {"query": "x"}, "output": None})
        assert (trace.input, trace.output) == ('{"query":"x"}', None)

    def test_scores_are_events(self, tmp_path: Path) -> None:
        scores = [
            {"id": "s1", "name": "thumbs", "value": 1, "timestamp": "2026-01-31T12:00:00Z", "source": "API"},
            {
                "id": "s2",
                "name": "tone",
                "value": 0,
                "stringValue": "rude",
                "source": "ANNOTATION",
                "comment": "!",
            },
        ]
        _, *events = read(tmp_path, {**self.ROW, "scores": scores})
        assert events == [
            Event("lf-1", NOON, "thumbs", 1, {"source": "API", "id": "s1"}),
            Event("lf-1", NOON, "tone", "rude", {"source": "ANNOTATION", "comment": "!", "id": "s2"}),
        ]


class TestChatLogs:
    ROW: ClassVar[dict[str, Any]] = {
        "timestamp": 1769860800, "workload_id": "router", "client_id": "dev",
        "request": {"model": "llama", "messages": [{"role": "user", "content": "Weather in Paris?"}], "temperature": 0},
        "response": {
            "id": "chatcmpl-1", "object": "chat.completion", "model": "llama-3.1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Rainy, 57°F"}, "finish_reason": "stop"}],
        },
    }  # fmt: skip

    def test_a_record_of_the_nvidia_flywheel(self, tmp_path: Path) -> None:
        assert read(tmp_path, self.ROW) == [
            Trace(
                "chatcmpl-1",
                NOON,
                messages=CHAT,
                category="router",
                user_id="dev",
                metadata={"model": "llama-3.1"},
            )
        ]

    def test_without_an_id_its_content_is_its_name(self, tmp_path: Path) -> None:
        row = {**self.ROW, "response": {"choices": self.ROW["response"]["choices"]}}
        [first], [again] = read(tmp_path, row), read(tmp_path, row)
        assert first.trace_id == again.trace_id != read(tmp_path, {**row, "timestamp": 5})[0].trace_id

    def test_a_reply_in_anthropics_form(self, tmp_path: Path) -> None:
        response = {"id": "msg_1", "role": "assistant", "content": [{"type": "text", "text": "Rainy, 57°F"}]}
        [trace] = read(tmp_path, {**self.ROW, "response": response})
        assert trace.messages == CHAT

    def test_a_request_without_messages_is_a_fault(self, tmp_path: Path) -> None:
        with pytest.raises(
            InputError, match=r"export\.jsonl:1: looks like a logged chat call, but lacks 'messages'"
        ):
            read(tmp_path, {"request": {}, "response": {}})
