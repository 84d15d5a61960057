"""Label Studio tasks and Argilla records: suggestion, human decision, id."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from promptlabel.evals.annotations import Annotated, argilla_records, labelstudio_tasks
from promptlabel.records import Pick, Posterior, Trace
from promptlabel.review.adjudication import Decision

FULL = Annotated(
    Trace("t1", input="hello", category="chat"),
    "tone",
    Posterior("t1", "tone", {"good": 0.8, "bad": 0.2}),
    Decision("t1", "bad", ("ann", "bob"), True, datetime(2026, 11, 23, tzinfo=UTC), "audit", 0.1),
    Pick("t1", "tone", "audit", 0.2, 0.1, "Drawn at random."),
)
BARE = Annotated(Trace("t2", input="bye"), "tone")


def test_label_studio_keeps_suggestion_and_decision_apart() -> None:
    full, bare = labelstudio_tasks([FULL, BARE])
    assert full["data"]["trace_id"] == "t1"
    assert full["data"]["text"] == "user: hello"
    assert full["predictions"][0]["score"] == 0.8
    assert full["predictions"][0]["result"][0]["value"] == {"choices": ["good"]}
    (result,) = full["annotations"][0]["result"]
    assert result["value"] == {"choices": ["bad"]}
    assert (result["from_name"], result["to_name"], result["type"]) == ("tone", "text", "choices")
    assert full["annotations"][0]["ground_truth"] is True
    assert (bare["predictions"], bare["annotations"], bare["data"]["trace_id"]) == ([], [], "t2")


def test_argilla_keeps_the_id_and_names_reviewers_by_uuid() -> None:
    full, bare = argilla_records([FULL, BARE])
    assert full["id"] == "t1"
    assert full["suggestions"] == {"tone": {"value": "good", "score": 0.8, "agent": "promptlabel"}}
    responses = full["responses"]["tone"]
    assert [response["value"] for response in responses] == ["bad", "bad"]
    assert len({uuid.UUID(response["user_id"]) for response in responses}) == 2
    assert full["metadata"]["reviewers"] == "ann, bob"
    assert (bare["suggestions"], bare["responses"]) == ({}, {})


def test_the_same_trace_gives_the_same_bytes() -> None:
    assert labelstudio_tasks([FULL]) == labelstudio_tasks([FULL])
