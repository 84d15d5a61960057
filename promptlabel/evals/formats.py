"""Frozen cases in the formats of other eval tools; every row keeps its trace id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from promptlabel.evals.versions import Case, case_record
from promptlabel.label_sets import ASK_ONE, ASK_SET, NONE, set_members

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TaskCard:
    """What whoever labels is told: the labels with their descriptions, the guidelines, and whether several may apply."""

    task: str
    labels: Mapping[str, str]
    guidelines: str = ""
    is_set: bool = False

    @property
    def instruction(self) -> str:
        """The task in words that a model can follow."""
        described = [f"- {name}: {text}" if text else f"- {name}" for name, text in self.labels.items()]
        parts = [
            self.guidelines.strip(),
            f"{ASK_SET}, and nothing else:" if self.is_set else f"{ASK_ONE} and nothing else:",
            "\n".join(described),
        ]
        return "\n".join(part for part in parts if part)


def promptfoo_tests(card: TaskCard, version: str, cases: Sequence[Case]) -> list[Row]:
    """Tests of promptfoo: use ``{{instruction}}`` and ``{{transcript}}`` in the prompt."""
    return [
        {
            "description": f"{card.task} {case.trace.trace_id}",
            "vars": _asked(card, case),
            "assert": [_same_set(case.label) if card.is_set else {"type": "equals", "value": case.label}],
            "metadata": _provenance(card, version, case),
        }
        for case in cases
    ]


def inspect_samples(card: TaskCard, version: str, cases: Sequence[Case]) -> list[Row]:
    """Inspect AI samples: ``json_dataset`` reads them as they are."""
    return [
        {
            "id": case.trace.trace_id,
            "input": _chat(card, case),
            "target": case.label,
            "metadata": _provenance(card, version, case),
        }
        for case in cases
    ]


def openai_evals_samples(card: TaskCard, version: str, cases: Sequence[Case]) -> list[Row]:
    """OpenAI evals samples for its ``Match`` and ``Includes`` classes."""
    return [
        {
            "trace_id": case.trace.trace_id,
            "input": _chat(card, case),
            "ideal": case.label,
            "metadata": _provenance(card, version, case),
        }
        for case in cases
    ]


def deepeval_goldens(card: TaskCard, version: str, cases: Sequence[Case]) -> list[Row]:
    """DeepEval goldens: ``EvaluationDataset.add_goldens_from_json_file`` reads them as they are."""
    return [
        {
            "name": case.trace.trace_id,
            "input": f"{card.instruction}\n\n{case.trace.transcript}",
            "actual_output": None,
            "expected_output": case.label,
            "additional_metadata": _provenance(card, version, case),
        }
        for case in cases
    ]


def langfuse_items(card: TaskCard, version: str, cases: Sequence[Case]) -> list[Row]:
    """Items of a Langfuse dataset, as its API takes them; the same trace is the same item in every version."""
    return [
        {
            "id": f"{card.task}:{case.trace.trace_id}",
            "datasetName": f"{card.task}/{version}",
            "input": _asked(card, case),
            "expectedOutput": case.label,
            "metadata": _provenance(card, version, case),
            "sourceTraceId": case.trace.trace_id,
            "status": "ACTIVE",
        }
        for case in cases
    ]


def phoenix_examples(card: TaskCard, version: str, cases: Sequence[Case]) -> list[Row]:
    """Examples of a Phoenix dataset: ``client.datasets.create_dataset(examples=...)`` takes them as they are."""
    return [
        {
            "id": case.trace.trace_id,
            "input": _asked(card, case),
            "output": {"label": case.label} | _labels(card, case),
            "metadata": _provenance(card, version, case),
        }
        for case in cases
    ]


def plain_rows(_card: TaskCard, version: str, cases: Sequence[Case]) -> list[Row]:
    """The cases as they are frozen, each with the version they come from."""
    return [case_record(case) | {"version": version} for case in cases]


def table_rows(card: TaskCard, version: str, cases: Sequence[Case]) -> list[Row]:
    """Cases as rows of text and numbers, for a spreadsheet."""
    return [
        {"trace_id": case.trace.trace_id, "text": case.trace.transcript, "label": case.label}
        | {key: _cell(value) for key, value in _provenance(card, version, case).items() if key != "trace_id"}
        for case in cases
    ]


EvalFormat: TypeAlias = Callable[[TaskCard, str, Sequence[Case]], list[Row]]

EVAL_FORMATS: Final[Mapping[str, EvalFormat]] = {
    "promptfoo": promptfoo_tests,
    "inspect": inspect_samples,
    "openai-evals": openai_evals_samples,
    "deepeval": deepeval_goldens,
    "langfuse": langfuse_items,
    "phoenix": phoenix_examples,
    "jsonl": plain_rows,
    "csv": table_rows,
}


def _asked(card: TaskCard, case: Case) -> Row:
    return {"instruction": card.instruction, "transcript": case.trace.transcript}


def _cell(value: object) -> object:
    return "; ".join(map(str, value)) if isinstance(value, list) else value


def _chat(card: TaskCard, case: Case) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": card.instruction},
        {"role": "user", "content": case.trace.transcript},
    ]


def _provenance(card: TaskCard, version: str, case: Case) -> Row:
    return {
        "trace_id": case.trace.trace_id,
        "task": card.task,
        "version": version,
        "since": case.since,
        "category": case.trace.category,
        "timestamp": case.trace.timestamp,
        "as_of": case.as_of,
        "reviewers": list(case.reviewers),
        "blind": True,
        "lane": case.lane,
        "probability": case.probability,
        "weight": case.weight,
        "hard": list(case.hard),
    } | _labels(card, case)


def _labels(card: TaskCard, case: Case) -> Row:
    """Where several labels may apply, those of the case as a list: tools know the set as one text."""
    return {"labels": list(set_members(case.label))} if card.is_set else {}


def _same_set(label: str) -> Row:
    """An assertion of promptfoo that the answer lists the labels of the set, in any order and case."""
    wanted = orjson.dumps(sorted(member.lower() for member in set_members(label) or (NONE,))).decode()
    said = "output.split(',').map((one) => one.trim().toLowerCase()).filter(Boolean).sort()"
    return {"type": "javascript", "value": f"JSON.stringify({said}) === JSON.stringify({wanted})"}
