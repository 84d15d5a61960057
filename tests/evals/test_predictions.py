"""Predictions are read from our own rows and from what other tools write; what cannot be used is listed."""

from __future__ import annotations

from typing import Any

import pytest

from promptlabel.errors import InputError
from promptlabel.evals.predictions import Prediction, read_predictions, rows_inside

LABELS = ("good", "bad")


def read(*rows: Any) -> dict[str, Prediction]:
    return read_predictions(enumerate(rows, start=1), LABELS, "p.jsonl")


@pytest.mark.parametrize(
    "row",
    [
        {"trace_id": "t1", "label": "bad"},
        {"trace_id": "t1", "prediction": " Bad. ", "label": "good"},
        {"id": "t1", "output": {"completion": '"bad"'}},
        {"testCase": {"metadata": {"trace_id": "t1"}}, "response": {"output": "bad"}},
        {"name": "n", "additional_metadata": {"trace_id": "t1"}, "actual_output": "bad"},
        {"id": "tone:t1", "sourceTraceId": "t1", "output": "bad"},
    ],
)
def test_a_label_is_found_where_each_tool_keeps_it(row: dict[str, Any]) -> None:
    assert read(row) == {"t1": Prediction("t1", "bad")}


def test_probabilities_are_kept_and_name_the_label() -> None:
    found = read({"trace_id": "t1", "probs": {"good": 0.2, "bad": 0.8}})
    assert found == {"t1": Prediction("t1", "bad", {"good": 0.2, "bad": 0.8})}


def test_saying_nothing_is_no_fault() -> None:
    assert read({"trace_id": "t1", "label": None}) == {"t1": Prediction("t1", None)}


def test_all_faults_come_at_once_with_their_lines() -> None:
    with pytest.raises(InputError) as caught:
        read(
            {"label": "good"},
            {"trace_id": "t1", "label": "goood"},
            {"trace_id": "t2", "probs": {"good": 1.0}},
            {"trace_id": "t3", "probs": {"good": 2.0, "bad": 1.0}},
            {"trace_id": "t4", "label": "good"},
            {"trace_id": "t4", "label": "bad"},
        )
    assert [(fault.line, fault.file) for fault in caught.value.faults] == [
        (line, "p.jsonl") for line in (1, 2, 3, 4, 6)
    ]
    assert "did you mean 'good'" in caught.value.faults[1].message


@pytest.mark.parametrize(
    "document", [{"results": {"results": [1, 2]}}, {"samples": [1, 2]}, {"goldens": [1, 2]}]
)
def test_rows_inside_a_tools_file_are_found(document: dict[str, Any]) -> None:
    assert rows_inside(document) == [1, 2]


def test_one_object_is_one_row() -> None:
    assert rows_inside({"trace_id": "t1"}) == [{"trace_id": "t1"}]
