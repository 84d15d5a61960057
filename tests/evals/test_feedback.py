"""Opinions on their way back, checked against the real libraries that take them."""

from __future__ import annotations

import typing
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.evals.feedback import (
    RECORDS_A_LINE,
    Opinion,
    openinference_rows,
    otel_logs,
    phoenix_annotations,
    span_of,
)
from promptlabel.traces.spans import records

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
VOTE = Opinion(
    f"{TRACE}:{SPAN}",
    "quality",
    "bad",
    "LLM",
    "asks_again/judge",
    0.8,
    "It asks twice.",
    None,
    {"rule": "asks_again"},
)
REVIEW = Opinion(TRACE, "quality", "good", "HUMAN", "ann", at=NOW)
OTHER = Opinion("chat-17", "quality", "good", "CODE", "copied/code", 1.0)


def test_openinference_attributes_bear_the_names_of_the_conventions() -> None:
    semconv = pytest.importorskip("openinference.semconv.trace")
    known = {
        value for key, value in vars(semconv.AnnotationAttributes).items() if key.startswith("ANNOTATION_")
    }
    of_span, of_trace, of_other = openinference_rows([VOTE, REVIEW, OTHER])
    assert (of_span["trace_id"], of_span["span_id"]) == (TRACE, SPAN)
    span, trace = semconv.SpanAttributes.ANNOTATIONS, semconv.SpanAttributes.TRACE_ANNOTATIONS
    assert {name.removeprefix(f"{span}.0.") for name in of_span["attributes"]} == known
    assert (
        of_span["attributes"][f"{span}.0.{semconv.AnnotationAttributes.ANNOTATION_ANNOTATOR_KIND}"] == "LLM"
    )
    assert of_trace["attributes"][f"{trace}.0.annotation.identifier"] == "ann"
    assert (of_other["trace_id"], of_other["span_id"]) == ("chat-17", None)


def test_annotations_of_one_trace_are_numbered() -> None:
    (row,) = openinference_rows([REVIEW, Opinion(TRACE, "tone", "rude", "HUMAN", "bob")])
    assert row["attributes"]["trace.annotations.1.annotation.name"] == "tone"


def test_phoenix_takes_them_as_they_are() -> None:
    generated = pytest.importorskip("phoenix.client.__generated__.v1")
    of_span, of_trace = phoenix_annotations([VOTE, REVIEW])
    for row, kind in ((of_span, generated.SpanAnnotationData), (of_trace, generated.TraceAnnotationData)):
        assert kind.__required_keys__ <= row.keys() <= set(typing.get_type_hints(kind))
        assert row["result"].keys() <= set(typing.get_type_hints(generated.AnnotationResult))
    assert of_span["result"] == {"label": "bad", "score": 0.8, "explanation": "It asks twice."}


def test_otlp_parses_and_keeps_ids() -> None:
    logs = pytest.importorskip("opentelemetry.proto.logs.v1.logs_pb2")
    json_format = pytest.importorskip("google.protobuf.json_format")
    (line,) = otel_logs([VOTE, REVIEW, OTHER])
    parsed = json_format.Parse(orjson.dumps(_with_bytes(line)), logs.LogsData())
    first, second, third = parsed.resource_logs[0].scope_logs[0].log_records
    assert (first.trace_id.hex(), first.span_id.hex()) == (TRACE, SPAN)
    assert {one.event_name for one in (first, second, third)} == {"gen_ai.evaluation.result"}
    said = {one.key: one.value.string_value or one.value.double_value for one in first.attributes}
    assert said["gen_ai.evaluation.name"] == "quality"
    assert said["gen_ai.evaluation.score.value"] == 0.8
    assert second.time_unix_nano == 1795435200123456000
    assert third.trace_id == b""
    assert {one.key: one.value.string_value for one in third.attributes}["promptlabel.trace_id"] == "chat-17"


def _with_bytes(line: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """OTLP JSON writes ids in hexadecimal, where protobuf's own JSON has base64."""
    import base64

    for record in line["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        for key in ("traceId", "spanId"):
            if key in record:
                record[key] = base64.b64encode(bytes.fromhex(record[key])).decode()
    return line


@given(st.integers(0, 3 * RECORDS_A_LINE))
def test_a_request_holds_a_bounded_number_of_events_and_none_is_lost(number: int) -> None:
    sizes = [
        len(line["resourceLogs"][0]["scopeLogs"][0]["logRecords"]) for line in otel_logs([OTHER] * number)
    ]
    assert sum(sizes) == number
    assert all(0 < size <= RECORDS_A_LINE for size in sizes)


def test_ids_name_what_the_reader_of_spans_read() -> None:
    span = {
        "traceId": TRACE, "spanId": SPAN, "parentSpanId": "00f067aa0ba902b7", "startTimeUnixNano": "1",
        "attributes": [
            {"key": "gen_ai.input.messages", "value": {"stringValue": '[{"role": "user", "content": "hi"}]'}},
            {"key": "gen_ai.output.messages", "value": {"stringValue": '[{"role": "assistant", "content": "ho"}]'}},
        ],
    }  # fmt: skip
    (read,) = records({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    assert span_of(str(read["trace_id"])) == {"trace_id": TRACE, "span_id": SPAN}
