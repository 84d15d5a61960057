"""Traces in the formats of annotation tools; with the label model's suggestion and what people decided, or without."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from promptlabel.label_sets import set_members
from promptlabel.records import Pick, Posterior, TaskKind, Trace
from promptlabel.review.adjudication import Decision
from promptlabel.traces.reviewed_elsewhere import result_id, user_id

Row: TypeAlias = dict[str, Any]

AGENT = "promptlabel"


@dataclass(frozen=True, slots=True)
class Annotated:
    """A trace with all that is known of its label."""

    trace: Trace
    task: str
    posterior: Posterior | None = None
    decision: Decision | None = None
    pick: Pick | None = None
    kind: TaskKind = "one"

    def labels(self, label: str) -> list[str]:
        """The label, or where several may apply those of its set."""
        return list(set_members(label)) if self.kind == "several" else [label]

    def value(self, label: str) -> str | list[str]:
        """What Argilla takes for the label: of a set, as a ``MultiLabelQuestion`` does, the list."""
        return self.labels(label) if self.kind == "several" else label


def labelstudio_tasks(items: Iterable[Annotated]) -> list[Row]:
    """Label Studio tasks for a ``Choices`` control named after the task on a ``Text`` object named ``text``."""
    return [
        {
            "data": {"text": item.trace.transcript, **_metadata(item)},
            "predictions": [_prediction(item, item.posterior)] if item.posterior else [],
            "annotations": [_annotation(item, item.decision)] if item.decision else [],
        }
        for item in items
    ]


def argilla_records(items: Iterable[Annotated]) -> list[Row]:
    """Argilla 2 records for a ``LabelQuestion`` named after the task: ``dataset.records.from_json`` reads them.

    A reviewer's `user_id` is the version-5 UUID of their name, as Argilla asks for UUIDs.
    """
    return [
        {
            "id": item.trace.trace_id,
            "fields": {"text": item.trace.transcript},
            "metadata": _metadata(item),
            "suggestions": {item.task: _suggestion(item, item.posterior)} if item.posterior else {},
            "responses": {item.task: _responses(item, item.decision)} if item.decision else {},
            "vectors": {},
        }
        for item in items
    ]


def _metadata(item: Annotated) -> Row:
    known = {
        "trace_id": item.trace.trace_id,
        "task": item.task,
        "category": item.trace.category,
        "lane": item.pick.lane if item.pick else None,
        "reason": item.pick.reason if item.pick else None,
        "reviewers": ", ".join(item.decision.reviewers) if item.decision else None,
    }
    return {key: value for key, value in known.items() if value is not None}


def _prediction(item: Annotated, posterior: Posterior) -> Row:
    return {
        "model_version": AGENT,
        "score": posterior.confidence,
        "result": [_choice(item, posterior.label, "prediction")],
    }


def _annotation(item: Annotated, decision: Decision) -> Row:
    return {
        "was_cancelled": False,
        "ground_truth": decision.blind,
        "result": [_choice(item, decision.label, "annotation")],
    }


def _choice(item: Annotated, label: str, part: str) -> Row:
    return {
        "id": result_id(part, item.task, item.trace.trace_id),
        "from_name": item.task,
        "to_name": "text",
        "type": "choices",
        "value": {"choices": item.labels(label)},
    }


def _suggestion(item: Annotated, posterior: Posterior) -> Row:
    return {"value": item.value(posterior.label), "score": posterior.confidence, "agent": AGENT}


def _responses(item: Annotated, decision: Decision) -> list[Row]:
    value = item.value(decision.label)
    return [{"value": value, "user_id": user_id(reviewer)} for reviewer in decision.reviewers]
