"""What rules and people say of a trace, on its way back to where the trace came from.

OpenInference annotations (semantic conventions 0.1: ``annotations.N.annotation.*``), the same as Phoenix's API takes
them, and OpenTelemetry's ``gen_ai.evaluation.result`` events in OTLP JSON, a request a line as its file exporter writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

import orjson

from promptlabel.records import JsonValue

Row: TypeAlias = dict[str, Any]
AnnotatorKind: TypeAlias = Literal["HUMAN", "LLM", "CODE"]

SCOPE: Final = "promptlabel"
EVENT: Final = "gen_ai.evaluation.result"
RECORDS_A_LINE: Final = 512
_SPAN: Final = re.compile(r"([0-9a-f]{32}):([0-9a-f]{16})")
_TRACE: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Opinion:
    """A label that a rule or a person gave a trace.

    Attributes:
        identifier: whose opinion: the rule and its model, or the reviewer; the same says the same thing anew.
        score: how sure, from 0 to 1, where that is known.
        at: when a person said so; None for rules.
    """

    trace_id: str
    task: str
    label: str
    kind: AnnotatorKind
    identifier: str
    score: float | None = None
    explanation: str | None = None
    at: datetime | None = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)


def openinference_rows(opinions: Iterable[Opinion]) -> Iterator[Row]:
    """The attributes that each span gets, under ``annotations``, or its whole trace, under ``trace.annotations``."""
    by_trace: dict[str, list[Opinion]] = {}
    for opinion in opinions:
        by_trace.setdefault(opinion.trace_id, []).append(opinion)
    for name, same in by_trace.items():
        ids = span_of(name)
        prefix = "trace.annotations" if ids["span_id"] is None else "annotations"
        yield {**ids, "attributes": dict(_attributes(prefix, same))}


def phoenix_annotations(opinions: Iterable[Opinion]) -> Iterator[Row]:
    """What Phoenix's client logs: rows with a span id as span annotations, the others as trace annotations."""
    for opinion in opinions:
        ids = span_of(opinion.trace_id)
        target = {"trace_id": ids["trace_id"]} if ids["span_id"] is None else {"span_id": ids["span_id"]}
        result = {"label": opinion.label, "score": opinion.score, "explanation": opinion.explanation}
        yield {
            **target,
            "name": opinion.task,
            "annotator_kind": opinion.kind,
            "identifier": opinion.identifier,
            "result": {key: value for key, value in result.items() if value is not None},
            "metadata": dict(opinion.metadata),
        }


def otel_logs(opinions: Iterable[Opinion]) -> Iterator[Row]:
    """OTLP log requests with an evaluation event an opinion; a trace id that is none of OpenTelemetry's is an attribute."""
    waiting = iter(opinions)
    while some := list(islice(waiting, RECORDS_A_LINE)):
        scope = {"scope": {"name": SCOPE}, "logRecords": [_log_record(one) for one in some]}
        resource = {"attributes": [_attribute("service.name", SCOPE)]}
        yield {"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}


def span_of(trace_id: str) -> dict[str, str | None]:
    """The trace and span that a trace id of ours names; no span where it is a whole trace's."""
    found = _SPAN.fullmatch(trace_id)
    return {"trace_id": found[1], "span_id": found[2]} if found else {"trace_id": trace_id, "span_id": None}


def _attributes(prefix: str, opinions: Sequence[Opinion]) -> Iterator[tuple[str, JsonValue]]:
    for number, one in enumerate(opinions):
        said = {
            "name": one.task,
            "annotator_kind": one.kind,
            "label": one.label,
            "score": one.score,
            "explanation": one.explanation,
            "identifier": one.identifier,
            "metadata": orjson.dumps(one.metadata, default=dict).decode() if one.metadata else None,
        }
        yield from (
            (f"{prefix}.{number}.annotation.{key}", value) for key, value in said.items() if value is not None
        )


def _log_record(opinion: Opinion) -> Row:
    ids = span_of(opinion.trace_id)
    at = {"timeUnixNano": _nanoseconds(opinion.at)} if opinion.at else {}
    is_theirs = _TRACE.fullmatch(ids["trace_id"] or "") is not None
    context = (
        {"traceId": ids["trace_id"], **({"spanId": ids["span_id"]} if ids["span_id"] else {})}
        if is_theirs
        else {}
    )
    said = {
        "gen_ai.evaluation.name": opinion.task,
        "gen_ai.evaluation.score.label": opinion.label,
        "gen_ai.evaluation.score.value": opinion.score,
        "gen_ai.evaluation.explanation": opinion.explanation,
        "promptlabel.trace_id": opinion.trace_id,
        "promptlabel.annotator_kind": opinion.kind,
        "promptlabel.identifier": opinion.identifier,
    }
    attributes = [_attribute(key, value) for key, value in said.items() if value is not None]
    return {**at, **context, "eventName": EVENT, "severityNumber": 9, "attributes": attributes}


def _attribute(key: str, value: str | float) -> Row:
    return {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"doubleValue": value}}


def _nanoseconds(moment: datetime) -> str:
    return f"{int(moment.timestamp())}{moment.microsecond:06}000"
