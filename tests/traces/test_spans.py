"""OpenTelemetry and OpenInference spans, hand-made with their exact field names, as traces."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

import orjson
import pytest

from promptlabel.errors import InputError
from promptlabel.records import Message, Trace
from promptlabel.traces.plain import Record

Reader: TypeAlias = Callable[..., list[Record]]

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NANOSECONDS = "1769860800000000000"
TRACE_ID, ROOT, CHILD = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "00f067aa0ba902b7"
CHAT = (Message("user", "Weather in Paris?"), Message("assistant", "Rainy, 57°F"))


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
    def test_messages_in_attributes(self, read_rows: Reader, as_text: bool) -> None:
        written = (lambda value: orjson.dumps(value).decode()) if as_text else lambda value: value
        values = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.usage.input_tokens": 9,
            "gen_ai.conversation.id": "conv_1", "user.id": "u",
            "gen_ai.input.messages": written(self.INPUT), "gen_ai.output.messages": written(self.OUTPUT),
        }  # fmt: skip
        [trace] = read_rows(otlp(span(values)))
        assert trace == Trace(
            TRACE_ID, NOON, messages=CHAT, session_id="conv_1", user_id="u",
            metadata={"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.usage.input_tokens": 9},
        )  # fmt: skip

    def test_system_instructions_come_first(self, read_rows: Reader) -> None:
        values = {
            "gen_ai.system_instructions": '[{"type": "text", "content": "Be brief."}]',
            "gen_ai.input.messages": orjson.dumps(self.INPUT).decode(),
        }
        [trace] = read_rows(otlp(span(values)))
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
        self, read_rows: Reader, events: list[tuple[str, dict[str, object]]]
    ) -> None:
        logged = [
            {"name": name, "timeUnixNano": NANOSECONDS, "attributes": attributes(v)} for name, v in events
        ]
        [trace] = read_rows(otlp(span({"gen_ai.system": "openai"}, events=logged)))
        assert trace == Trace(TRACE_ID, NOON, messages=CHAT, metadata={"gen_ai.system": "openai"})

    def test_messages_in_the_event_of_details(self, read_rows: Reader) -> None:
        values = {
            "gen_ai.input.messages": orjson.dumps(self.INPUT).decode(),
            "gen_ai.output.messages": self.OUTPUT,
        }
        logged = {"name": "gen_ai.client.inference.operation.details", "attributes": attributes(values)}
        [trace] = read_rows(otlp(span({"gen_ai.provider.name": "openai"}, events=[logged])))
        assert trace == Trace(TRACE_ID, NOON, messages=CHAT, metadata={"gen_ai.provider.name": "openai"})

    @pytest.mark.parametrize("named_by_field", [True, False])
    def test_events_sent_as_log_records(self, read_rows: Reader, named_by_field: bool) -> None:
        def record(name: str, body: dict[str, object], span_id: str = CHILD) -> dict[str, object]:
            named = {"eventName": name} if named_by_field else {}
            values = {"gen_ai.system": "openai"} | ({} if named_by_field else {"event.name": name})
            ids = {"traceId": TRACE_ID, "spanId": span_id, "timeUnixNano": NANOSECONDS}
            return {**ids, **named, "attributes": attributes(values), "body": any_value(body)}

        records = [
            record("gen_ai.user.message", {"content": "Weather in Paris?"}),
            record("gen_ai.user.message", {"content": "Hello?"}, span_id=ROOT),
            record("gen_ai.choice", {"index": 0, "message": {"role": "assistant", "content": "Rainy, 57°F"}}),
            {"severityText": "INFO", "body": {"stringValue": "server started"}},
        ]
        [call, other] = read_rows({"resourceLogs": [{"scopeLogs": [{"scope": {}, "logRecords": records}]}]})
        assert (call.trace_id, call.timestamp, call.messages) == (f"{TRACE_ID}:{CHILD}", NOON, CHAT)
        assert other.messages == (Message("user", "Hello?"),)

    def test_indexed_attributes_of_openllmetry(self, read_rows: Reader) -> None:
        values = {
            "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Weather in Paris?",
            "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Rainy, 57°F",
        }  # fmt: skip
        assert read_rows(otlp(span(values))) == [Trace(TRACE_ID, NOON, messages=CHAT)]

    def test_the_outermost_span_with_a_conversation_is_the_trace(self, read_rows: Reader) -> None:
        said = {"gen_ai.input.messages": self.INPUT, "gen_ai.output.messages": self.OUTPUT}
        agent, call = span(said), span(said, CHILD, ROOT)
        assert [trace.trace_id for trace in read_rows(otlp(call, agent))] == [TRACE_ID]

    def test_calls_under_a_span_without_a_conversation_are_traces_of_their_own(
        self, read_rows: Reader
    ) -> None:
        server = span({"http.request.method": "POST"})
        calls = [span({"gen_ai.input.messages": self.INPUT}, span_id, ROOT) for span_id in (CHILD, "b" * 16)]
        found = read_rows(otlp(server, *calls))
        assert [trace.trace_id for trace in found] == [f"{TRACE_ID}:{CHILD}", f"{TRACE_ID}:{'b' * 16}"]

    def test_one_span_a_line_as_the_console_exporter_writes(self, read_rows: Reader) -> None:
        row = {
            "name": "chat", "context": {"trace_id": f"0x{TRACE_ID}", "span_id": f"0x{ROOT}", "trace_state": "[]"},
            "kind": "SpanKind.CLIENT", "parent_id": None, "start_time": "2026-01-31T12:00:00.000000Z",
            "attributes": {"gen_ai.input.messages": orjson.dumps(self.INPUT).decode()}, "events": [],
        }  # fmt: skip
        assert read_rows(row) == [Trace(TRACE_ID, NOON, messages=CHAT[:1])]

    def test_what_is_misplaced_is_a_fault_with_its_line(self, read_rows: Reader) -> None:
        without_id = {"attributes": attributes({"gen_ai.input.messages": self.INPUT})}
        with pytest.raises(InputError, match=r"export\.jsonl:2: looks like .* span, but lacks 'traceId'"):
            read_rows(otlp(), otlp(without_id))


class TestOpenInference:
    LLM: ClassVar[dict[str, Any]] = {
        "openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "session.id": "s", "user.id": "u",
        "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Weather in Paris?",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.contents.0.message_content.type": "text",
        "llm.output_messages.0.message.contents.0.message_content.text": "Rainy, 57°F",
        "input.value": "{}", "output.value": "{}",
    }  # fmt: skip

    def test_a_model_call(self, read_rows: Reader) -> None:
        [trace] = read_rows(otlp(span(dict(self.LLM))))
        metadata = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o"}
        assert trace == Trace(TRACE_ID, NOON, messages=CHAT, session_id="s", user_id="u", metadata=metadata)

    def test_a_root_chain_is_the_interaction(self, read_rows: Reader) -> None:
        chain = span({"openinference.span.kind": "CHAIN", "input.value": "Weather?", "output.value": "Rainy"})
        [trace] = read_rows(otlp(chain, span(dict(self.LLM), CHILD, ROOT)))
        assert (trace.trace_id, trace.input, trace.output) == (TRACE_ID, "Weather?", "Rainy")

    def test_tools_and_retrievers_are_no_interactions(self, read_rows: Reader) -> None:
        tool = span({"openinference.span.kind": "TOOL", "input.value": "x", "output.value": "y"})
        assert read_rows(otlp(tool)) == []

    def test_a_flat_row_of_phoenix(self, read_rows: Reader) -> None:
        row = {
            "name": "ChatCompletion", "span_kind": "LLM", "parent_id": None, "start_time": "2026-01-31T12:00:00+00:00",
            "context.trace_id": TRACE_ID, "context.span_id": ROOT, "attributes.llm.model_name": "gpt-4o",
            "attributes.llm.input_messages": [{"message.role": "user", "message.content": "Weather in Paris?"}],
            "attributes.llm.output_messages": [{"message.role": "assistant", "message.content": "Rainy, 57°F"}],
        }  # fmt: skip
        [trace] = read_rows(row)
        assert (trace.messages, trace.timestamp) == (CHAT, NOON)
        assert trace.metadata["llm.model_name"] == "gpt-4o"
