"""Frozen cases in the formats of other eval tools; every row keeps its trace id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from promptlabel.evals.versions import Case

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TaskCard:
    """What whoever labels is told: the labels with their descriptions, and the guidelines."""

    task: str
    labels: Mapping[str, str]
    guidelines: str = ""

    @property
    def instruction(self) -> str:
        """The task in words that a model can follow."""
        described = [f"- {name}: {text}" if text else f"- {name}" for name, text in self.labels.items()]
        parts = [
            self.guidelines.strip(),
            "Answer with one of these labels and nothing else:",
            "\n".join(described),
        ]
        return "\n".join(part for part in parts if part)


def promptfoo_tests(card: TaskCard, version: str, cases: Sequence[Case]) -> list[Row]:
    """Tests of promptfoo: use ``{{instruction}}`` and ``{{transcript}}`` in the prompt."""
    return [
        {
            "description": f"{card.task} {case.trace.trace_id}",
            "vars": {"instruction": card.instruction, "transcript": case.trace.transcript},
            "assert": [{"type": "equals", "value": case.label}],
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


EvalFormat: TypeAlias = Callable[[TaskCard, str, Sequence[Case]], list[Row]]

EVAL_FORMATS: Final[Mapping[str, EvalFormat]] = {
    "promptfoo": promptfoo_tests,
    "inspect": inspect_samples,
    "openai-evals": openai_evals_samples,
    "deepeval": deepeval_goldens,
}


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
        "as_of": case.as_of,
    }
