"""Preference pairs: which of two outputs of one input is better, in the shape that preference training takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from promptlabel.evals.freezing import Refusal
from promptlabel.records import ORDER, Trace
from promptlabel.training.export import TrainingRow

NOT_A_PAIR: Final = "no two outputs to choose between"
TIE: Final = "the outputs are as good as each other"
DOUBTFUL: Final = "less sure than asked for"


@dataclass(frozen=True, slots=True)
class Pairs:
    """The training rows of a pairwise task as pairs of a better and a worse output.

    Attributes:
        sides: the labels that stand for the first and for the second output.
        least: confidence below which a pair is left out.
    """

    sides: tuple[str, str]
    least: float

    def refusal(self, row: TrainingRow) -> Refusal | None:
        """Why the row is no pair to train on, None where it is one."""
        if len(row.trace.outputs) != len(self.sides):
            return Refusal(row.trace.trace_id, NOT_A_PAIR)
        if row.label not in self.sides:
            return Refusal(row.trace.trace_id, TIE)
        first, second = (row.probs[side] for side in self.sides)
        return Refusal(row.trace.trace_id, DOUBTFUL) if first == second or row.weight < self.least else None

    def record(self, row: TrainingRow) -> dict[str, Any]:
        """The row as TRL and other trainers take it: ``prompt``, ``chosen`` and ``rejected``, then provenance.

        Texts, or where the trace has a conversation before the outputs, lists of messages. Source: TRL's preference
        format, standard and conversational.
        """
        better = self.sides.index(row.label)
        return {
            **_pair(row.trace, row.trace.outputs[better], row.trace.outputs[1 - better]),
            "trace_id": row.trace.trace_id,
            "task": row.task,
            "confidence": row.weight,
            "source": row.source,
            "as_of": row.as_of,
        }


def _pair(trace: Trace, chosen: str, rejected: str) -> dict[str, Any]:
    if not trace.messages:
        return {"prompt": trace.input or "", "chosen": chosen, "rejected": rejected}
    before = [turn for turn in trace.turns if turn.role not in ORDER]
    return {
        "prompt": [{"role": turn.role, "content": turn.content} for turn in before],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }
