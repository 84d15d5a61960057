"""OpenTelemetry spans, one a request, where the standard OTEL_* variables ask for them; nothing is imported else.

Names follow OpenTelemetry's semantic conventions for generative AI. No prompt and no answer is in a span.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from promptlabel.errors import MissingExtraError
from promptlabel.pipeline.run_log import is_listened_to, log_attempt, span_attributes
from promptlabel.records import Attempt
from promptlabel.settings import ModelSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

Record = Callable[[Attempt], None]

_ASKING: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")
_NANOSECONDS: Final = 1_000_000_000
_SCOPE: Final = "promptlabel"


def is_asked_for(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment names somewhere to send spans, and does not switch them off."""
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return (
        not off and environment.get("OTEL_TRACES_EXPORTER") != "none" and any(map(environment.get, _ASKING))
    )


@contextmanager
def tracing(models: Mapping[str, ModelSettings]) -> Iterator[Mapping[str, Record]]:
    """By model name, what makes a span of an attempt, and a line of one that failed; empty where none are asked for.

    Raises:
        MissingExtraError: spans are asked for and OpenTelemetry is not installed.
    """
    if not is_asked_for():
        yield dict.fromkeys(models, log_attempt) if is_listened_to() else {}
        return
    provider = _provider()
    try:
        with recording(provider, models) as records:
            yield {name: _and_line(record) for name, record in records.items()}
    finally:
        provider.shutdown()


def _and_line(record: Record) -> Record:
    def both(attempt: Attempt) -> None:
        log_attempt(attempt)
        record(attempt)

    return both


@contextmanager
def recording(
    provider: TracerProvider, models: Mapping[str, ModelSettings]
) -> Iterator[Mapping[str, Record]]:
    """By model name, what makes a span of an attempt, below one span for the whole run."""
    from opentelemetry.trace import set_span_in_context

    tracer = provider.get_tracer(_SCOPE)
    whose = span_attributes()
    with tracer.start_as_current_span("promptlabel vote", attributes=whose) as run:
        context = set_span_in_context(run)

        def recorder(settings: ModelSettings) -> Record:
            fixed = {**request_attributes(settings), **whose}
            return lambda attempt: _record(tracer, context, fixed, attempt)

        yield {name: recorder(settings) for name, settings in models.items()}


def request_attributes(settings: ModelSettings) -> dict[str, str | int | float]:
    """What all requests to a model have in common."""
    provider, _, model = (settings.model or "").rpartition("/")
    address = urlsplit(settings.api_base or "")
    attributes: dict[str, str | int | float] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider.partition("/")[0] or settings.provider,
        "gen_ai.request.model": model,
        "gen_ai.request.temperature": settings.temperature,
        "gen_ai.request.max_tokens": settings.max_tokens,
    }
    if address.hostname:
        attributes["server.address"] = address.hostname
    if address.port:
        attributes["server.port"] = address.port
    return attributes


def _record(
    tracer: Tracer, context: object, fixed: Mapping[str, str | int | float], attempt: Attempt
) -> None:
    from opentelemetry.trace import SpanKind

    start = int(attempt.at.timestamp() * _NANOSECONDS)
    span = tracer.start_span(
        f"chat {fixed['gen_ai.request.model']}",
        context=context,
        kind=SpanKind.CLIENT,
        attributes={**fixed, **_of(attempt)},
        start_time=start,
    )
    if attempt.cause != "ok":
        _mark_failed(span, attempt.cause)
    span.end(start + int(attempt.seconds * _NANOSECONDS))


def _of(attempt: Attempt) -> dict[str, str | int | float]:
    return {
        "gen_ai.usage.input_tokens": attempt.usage.input_tokens,
        "gen_ai.usage.output_tokens": attempt.usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": attempt.usage.cached_tokens,
        "promptlabel.task": attempt.task,
        "promptlabel.rule": attempt.rule,
        "promptlabel.model": attempt.model,
        "promptlabel.request": attempt.request,
        "promptlabel.usd": attempt.usd,
    }


def _mark_failed(span: Span, cause: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", cause)
    span.set_status(Status(StatusCode.ERROR, cause))


def _provider() -> TracerProvider:
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

        exporter: SpanExporter
        if os.environ.get("OTEL_TRACES_EXPORTER") == "console":
            exporter = ConsoleSpanExporter()
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter()
    except ImportError:
        raise MissingExtraError("OpenTelemetry", "pip install 'promptlabel[otel]'") from None
    name = os.environ.get("OTEL_SERVICE_NAME", _SCOPE)
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
