import gzip
import json
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from promptlabel.pipeline.run_log import Run, shard
from promptlabel.pipeline.voting.telemetry import is_asked_for, recording, request_attributes
from promptlabel.records import Attempt, Usage
from promptlabel.settings import ModelSettings

AT = datetime(2026, 1, 1, tzinfo=UTC)
ATTEMPT = Attempt("digest", "quality", "asks_again", "judge", AT, 1.5, "ok", Usage(120, 7, 64), 0.25)
MODEL = ModelSettings(model="openai/gpt-5-mini", api_base="http://127.0.0.1:8000/v1", max_tokens=48)


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
        ({"OTEL_SERVICE_NAME": "votes"}, False),
    ],
)
def test_the_standard_variables_ask_for_spans(environment, asked):
    assert is_asked_for(environment) is asked


def spans_of(*attempts):
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with recording(provider, {"judge": MODEL}) as records:
        for attempt in attempts:
            records["judge"](attempt)
    return exporter.get_finished_spans()


def test_spans_say_of_which_run_and_shard_they_are():
    with shard(Run("0123456789abcdef"), "2/9"):
        span, run = spans_of(ATTEMPT)
    for one in (span, run):
        assert one.attributes["promptlabel.run_id"] == "0123456789abcdef"
        assert one.attributes["promptlabel.shard"] == "2/9"


def test_an_attempt_is_a_client_span_below_the_run():
    span, run = spans_of(ATTEMPT)
    assert (span.name, span.kind.name, run.name) == ("chat gpt-5-mini", "CLIENT", "promptlabel vote")
    assert span.parent.span_id == run.context.span_id
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(1.5)
    assert span.start_time == int(AT.timestamp() * 1e9)
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.max_tokens": 48,
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 64,
        "server.address": "127.0.0.1",
        "server.port": 8000,
        "promptlabel.task": "quality",
        "promptlabel.rule": "asks_again",
        "promptlabel.model": "judge",
        "promptlabel.request": "digest",
        "promptlabel.usd": 0.25,
    }


def test_a_failed_attempt_says_why():
    failed = Attempt("digest", "quality", "asks_again", "judge", AT, 0.1, "rate_limit", Usage(), 0.0)
    span, _ = spans_of(failed)
    assert span.attributes["error.type"] == "rate_limit"
    assert span.status.status_code.name == "ERROR"


def test_the_attributes_in_use_are_those_of_the_conventions():
    conventions = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    known = {value for name, value in vars(conventions).items() if name.startswith("GEN_AI_")}
    span, _ = spans_of(ATTEMPT)
    assert {name for name in span.attributes if name.startswith("gen_ai.")} <= known


def test_a_model_of_this_process_has_no_address():
    assert "server.address" not in request_attributes(ModelSettings(provider="local"))


def test_nothing_is_imported_while_no_spans_are_asked_for():
    code = (
        "import sys; from promptlabel.pipeline.voting.telemetry import tracing\n"
        "with tracing({}) as records: assert not records\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": ""})


def test_a_run_sends_its_spans_where_it_was_told(promptlabel, project, monkeypatch):
    pytest.importorskip("opentelemetry.sdk")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    out = promptlabel("vote", cwd=project, check=False).stdout
    assert '"name": "promptlabel vote"' in out
    assert '"gen_ai.operation.name": "chat"' in out
    assert "How do I" not in out


@contextmanager
def collecting():
    """An OTLP collector on this machine: its address, and the spans it is sent."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
            spans.extend(
                span
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            )
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spans
    finally:
        server.shutdown()
        server.server_close()


def test_a_collector_gets_one_span_a_request_and_one_for_the_run(promptlabel, project, monkeypatch):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    with collecting() as (address, spans):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        report = json.loads(promptlabel("vote", "--json", cwd=project, check=False).stdout)
    names = Counter(span.name.split()[0] for span in spans)
    assert names == {"chat": report["calls"], "promptlabel": 1}
    (run,) = (span for span in spans if span.name == "promptlabel vote")
    assert {span.parent_span_id for span in spans if span is not run} == {run.span_id}
