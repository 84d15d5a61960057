"""Cases in other tools' formats: their fields, and the id in every row."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from promptlabel.evals.formats import EVAL_FORMATS, TaskCard
from promptlabel.evals.versions import Case, case_record
from promptlabel.records import Trace

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CARD = TaskCard("tone", {"good": "Pleasant.", "bad": ""}, "Judge the tone.\n")
CASE = Case(
    Trace("t1", NOW, input="hello", output="hi", category="chat"), "tone", "good", "2026.11.1", NOW, ("ann",)
)


PROVENANCE = {
    "trace_id": "t1",
    "task": "tone",
    "version": "2026.11.2",
    "since": "2026.11.1",
    "category": "chat",
    "timestamp": NOW,
    "as_of": NOW,
    "reviewers": ["ann"],
    "blind": True,
    "lane": None,
    "probability": None,
    "weight": None,
    "hard": [],
}


@pytest.mark.parametrize("kind", sorted(EVAL_FORMATS.keys() - {"jsonl", "csv"}))
def test_every_row_keeps_its_id_and_where_it_comes_from(kind: str) -> None:
    (row,) = EVAL_FORMATS[kind](CARD, "2026.11.2", [CASE])
    assert (row.get("metadata") or row["additional_metadata"]) == PROVENANCE


def test_plain_rows_are_the_frozen_cases() -> None:
    (row,) = EVAL_FORMATS["jsonl"](CARD, "2026.11.2", [CASE])
    assert row == case_record(CASE) | {"version": "2026.11.2"}


def test_csv_rows_are_flat() -> None:
    (row,) = EVAL_FORMATS["csv"](CARD, "2026.11.2", [CASE])
    flat = {"reviewers": "ann", "hard": ""}
    assert row == PROVENANCE | flat | {"text": "user: hello\nassistant: hi", "label": "good"}


def test_langfuse_and_phoenix_keep_the_trace_id_where_they_look_for_it() -> None:
    (item,) = EVAL_FORMATS["langfuse"](CARD, "2026.11.2", [CASE])
    assert (item["sourceTraceId"], item["expectedOutput"], item["id"]) == ("t1", "good", "tone:t1")
    (example,) = EVAL_FORMATS["phoenix"](CARD, "2026.11.2", [CASE])
    assert (example["id"], example["output"]) == ("t1", {"label": "good"})


def test_the_instruction_says_the_task_and_every_label() -> None:
    assert CARD.instruction == (
        "Judge the tone.\nAnswer with one of these labels and nothing else:\n- good: Pleasant.\n- bad"
    )


def test_promptfoo() -> None:
    (row,) = EVAL_FORMATS["promptfoo"](CARD, "v", [CASE])
    assert row["vars"] == {"instruction": CARD.instruction, "transcript": "user: hello\nassistant: hi"}
    assert row["assert"] == [{"type": "equals", "value": "good"}]


def test_inspect() -> None:
    (row,) = EVAL_FORMATS["inspect"](CARD, "v", [CASE])
    assert (row["id"], row["target"]) == ("t1", "good")
    assert [turn["role"] for turn in row["input"]] == ["system", "user"]


def test_openai_evals() -> None:
    (row,) = EVAL_FORMATS["openai-evals"](CARD, "v", [CASE])
    assert (row["trace_id"], row["ideal"]) == ("t1", "good")
    assert row["input"][1] == {"role": "user", "content": "user: hello\nassistant: hi"}


def test_deepeval() -> None:
    (row,) = EVAL_FORMATS["deepeval"](CARD, "v", [CASE])
    assert (row["name"], row["expected_output"], row["actual_output"]) == ("t1", "good", None)
    assert row["input"].endswith("assistant: hi")


# --- sets

SET_CARD = TaskCard("topics", {"refund": "Money back.", "bug": ""}, is_set=True)


def set_case(label: str) -> Case:
    return Case(CASE.trace, "topics", label, "2026.11.1", NOW, ("ann",))


def test_a_set_is_asked_for_and_its_labels_are_listed() -> None:
    assert SET_CARD.instruction.startswith("Answer with all of these labels that apply, in this order")
    for kind in sorted(EVAL_FORMATS.keys() - {"jsonl", "csv"}):
        (row,) = EVAL_FORMATS[kind](SET_CARD, "v", [set_case("refund, bug")])
        assert (row.get("metadata") or row["additional_metadata"])["labels"] == ["refund", "bug"]
    (example,) = EVAL_FORMATS["phoenix"](SET_CARD, "v", [set_case("none")])
    assert example["output"] == {"label": "none", "labels": []}
    (row,) = EVAL_FORMATS["csv"](SET_CARD, "v", [set_case("refund, bug")])
    assert (row["label"], row["labels"]) == ("refund, bug", "refund; bug")


@pytest.mark.parametrize(
    ("label", "output", "passes"),
    [
        ("refund, bug", "bug, Refund", True),
        ("refund, bug", "refund", False),
        ("none", "None\n", True),
        ("none", "bug", False),
        ("bug", "bug, refund", False),
    ],
)
def test_promptfoo_takes_a_set_in_any_order(label: str, output: str, passes: bool) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (row,) = EVAL_FORMATS["promptfoo"](SET_CARD, "v", [set_case(label)])
    (check,) = row["assert"]
    assert check["type"] == "javascript"
    script = f"const output = {json.dumps(output)}; console.log({check['value']})"
    said = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True).stdout
    assert said.strip() == str(passes).lower()
