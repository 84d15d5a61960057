"""Reviews out of Label Studio and Argilla files: what counts, who said it, and that it is known again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from promptlabel.errors import InputError
from promptlabel.records import ReviewEvent
from promptlabel.traces.reading import read_files

WHEN = "2026-11-20T10:00:09.5Z"


def task(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    data = {"text": "user: hi", "trace_id": "t1", "task": "tone"}
    return {"id": 1, "data": data, "annotations": list(annotations), "predictions": [], **more}


def annotation(label: str = "good", **more: Any) -> dict[str, Any]:
    result = {
        "id": "r",
        "from_name": "tag",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": [label]},
    }
    plain = {
        "id": 7,
        "completed_by": {"id": 3, "email": "ann@x.org"},
        "was_cancelled": False,
        "lead_time": 4.5,
    }
    return {**plain, "result": [result], "created_at": "2026-11-20T10:00:00Z", "updated_at": WHEN, **more}


def record(*responses: dict[str, Any], **more: Any) -> dict[str, Any]:
    metadata = {"trace_id": "t1", "task": "tone"}
    return {
        "id": "t1",
        "fields": {},
        "metadata": metadata,
        "suggestions": {},
        "responses": {"tone": list(responses)},
        **more,
    }


def reviews(tmp_path: Path, *rows: object) -> list[ReviewEvent]:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(rows))
    return [found for found in read_files([path]) if isinstance(found, ReviewEvent)]


def test_an_annotation_is_a_review_with_who_when_and_how_long(tmp_path: Path) -> None:
    (found,) = reviews(tmp_path, task(annotation()))
    assert (found.trace_id, found.task, found.action, found.label) == ("t1", "tone", "label", "good")
    assert (found.reviewer, found.seconds, found.blind) == ("ann@x.org", 4.5, True)
    assert found.at == datetime(2026, 11, 20, 10, 0, 9, 500_000, tzinfo=UTC)


def test_a_cancelled_annotation_is_a_skip(tmp_path: Path) -> None:
    (found,) = reviews(tmp_path, task(annotation(was_cancelled=True, result=[], completed_by=3)))
    assert (found.action, found.label, found.reviewer) == ("skip", None, "labelstudio user 3")


@pytest.mark.parametrize(
    "row",
    [
        task(annotation(), predictions=[{"model_version": "m", "result": []}]),
        task(annotation(parent_prediction=12)),
        record({"value": "good", "user_id": "u"}, suggestions={"tone": {"value": "bad"}}),
    ],
)
def test_what_was_decided_beside_a_suggestion_is_not_blind(tmp_path: Path, row: dict[str, Any]) -> None:
    (found,) = reviews(tmp_path, row)
    assert not found.blind


def test_an_edited_annotation_is_another_event_and_the_same_one_is_the_same(tmp_path: Path) -> None:
    (first,) = reviews(tmp_path, task(annotation()))
    (again,) = reviews(tmp_path, task(annotation(), id=99))
    (edited,) = reviews(tmp_path, task(annotation("bad", updated_at="2026-11-21T10:00:00Z")))
    assert first.event_id == again.event_id != edited.event_id


def test_of_argilla_drafts_are_no_reviews_and_what_was_discarded_is_a_skip(tmp_path: Path) -> None:
    found = reviews(
        tmp_path,
        record(
            {"value": "good", "user_id": "a", "status": "submitted"},
            {"value": "bad", "user_id": "b", "status": "draft"},
            {"value": None, "user_id": "c", "status": "discarded"},
        ),
    )
    assert [(one.reviewer, one.action, one.label) for one in found] == [
        ("a", "label", "good"),
        ("c", "skip", None),
    ]


def test_several_choices_are_no_label_and_the_row_is_named(tmp_path: Path) -> None:
    several = annotation()
    several["result"][0]["value"]["choices"] = ["good", "bad"]
    with pytest.raises(InputError, match=r"row 2.*looks like a Label Studio task, but holds.*one choice"):
        reviews(tmp_path, task(annotation()), task(several))
