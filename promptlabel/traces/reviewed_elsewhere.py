"""What people decided in Label Studio and Argilla, as reviews of the interface."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Final

from promptlabel.records import JsonValue, digest
from promptlabel.traces.parts import JsonObject, mapping, objects

_CHOICES: Final = "choices"
_SUBMITTED: Final = (None, "submitted", "discarded")


def result_id(part: str, task: str, trace_id: str) -> str:
    """The id of what we ourselves wrote into a Label Studio file, by which it is known when it comes back."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{part}:{task}:{trace_id}").hex[:10]


def user_id(reviewer: str) -> str:
    """A reviewer's id in Argilla, which asks for UUIDs: the version-5 UUID of their name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, reviewer))


def is_labelstudio(row: JsonObject) -> bool:
    """Whether the object is a task as Label Studio exports it, made from one of ours."""
    return "annotations" in row and "trace_id" in mapping(row.get("data"))


def labelstudio_reviews(row: JsonObject) -> list[JsonObject]:
    """A review an annotation: a label, or a skip where it was cancelled; what was exported to the tool is left out.

    An annotation is blind where neither the task nor it had a prediction.
    """
    data, guided = mapping(row["data"]), bool(row.get("predictions"))
    return [
        review
        for annotation in objects(row.get("annotations"))
        for review in _of_annotation(data, annotation, guided=guided)
    ]


def is_argilla(row: JsonObject) -> bool:
    """Whether the object is a record as Argilla exports it, made from one of ours."""
    return "responses" in row and "trace_id" in mapping(row.get("metadata"))


def argilla_reviews(row: JsonObject) -> list[JsonObject]:
    """A review a submitted response; drafts, and what was exported to the tool, are left out.

    A response is blind where its question had no suggestion.
    """
    metadata = mapping(row["metadata"])
    ours = {user_id(name) for name in str(metadata.get("reviewers", "")).split(", ") if name}
    return [
        _argilla_review(row, question, response, metadata)
        for question, responses in mapping(row["responses"]).items()
        for response in objects(responses)
        if response.get("status") in _SUBMITTED and str(response.get("user_id")) not in ours
    ]


def _of_annotation(data: JsonObject, annotation: JsonObject, *, guided: bool) -> Iterator[JsonObject]:
    guided = guided or bool(annotation.get("parent_prediction") or annotation.get("prediction"))
    about = {
        "trace_id": data["trace_id"],
        "reviewer": _who(annotation.get("completed_by")),
        "timestamp": annotation.get("updated_at") or annotation.get("created_at"),
        "seconds": annotation.get("lead_time"),
        "blind": not guided,
    }
    if annotation.get("was_cancelled"):
        yield _review("labelstudio", {**about, "task": data["task"], "action": "skip"}, annotation.get("id"))
        return
    for result in objects(annotation.get("result")):
        task = data.get("task") or result["from_name"]
        ours = result_id("annotation", str(task), str(data["trace_id"]))
        if result.get("type") == _CHOICES and result.get("id") != ours:
            label = _only(mapping(result["value"])[_CHOICES])
            found = {**about, "task": task, "action": "label", "label": label}
            yield _review("labelstudio", found, annotation.get("id"))


def _argilla_review(row: JsonObject, question: str, response: JsonObject, metadata: JsonObject) -> JsonObject:
    discarded = response.get("status") == "discarded"
    found: JsonObject = {
        "trace_id": metadata["trace_id"],
        "task": metadata.get("task") or question,
        "reviewer": str(response["user_id"]),
        "timestamp": response.get("updated_at") or row.get("updated_at"),
        "blind": not mapping(row.get("suggestions")).get(question),
        "action": "skip" if discarded else "label",
        **({} if discarded else {"label": response["value"]}),
    }
    return _review("argilla", found, row.get("id"))


def _review(tool: str, found: JsonObject, identity: JsonValue) -> JsonObject:
    """The review under an id by which the same one is known when the file is read again."""
    known = [found.get(key) for key in ("trace_id", "task", "reviewer", "action", "label")]
    moment = found.get("timestamp") if tool == "labelstudio" else None
    event_id = f"{tool}:{digest([identity, moment, *known])}"
    return {"event_id": event_id, **{key: value for key, value in found.items() if value is not None}}


def _who(completed_by: JsonValue) -> str:
    """The name of whoever annotated: their address where the file has it, else their number."""
    person = mapping(completed_by)
    known = person.get("email") or person.get("username") or person.get("id") if person else completed_by
    return str(known) if isinstance(known, str) else f"labelstudio user {known}"


def _only(choices: JsonValue) -> str:
    """The only choice.

    Raises:
        ValueError: where there are several, or none.
    """
    if not isinstance(choices, list) or len(choices) != 1:
        raise ValueError(f"{choices!r:.60}, where one choice is one label")
    return str(choices[0])
