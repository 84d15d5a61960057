"""Preference pairs: which of two outputs of one input is better, in the shape that preference training takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from promptlabel.evals.freezing import Refusal
from promptlabel.records import ORDER, Trace, message_record
from promptlabel.training.export import TrainingRow

NOT_A_PAIR: Final = "no two outputs to choose between"
TIE: Final = "the outputs are as good as each other"
DOUBTFUL: Final = "less sure than asked for"


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """One pair to train on: the better output, the other one, and how sure that is."""

    trace: Trace
    task: str
    chosen: str
    rejected: str
    confidence: float
    source: str
    as_of: datetime

    def record(self) -> dict[str, Any]:
        """The row as TRL and other trainers take it: ``prompt``, ``chosen`` and ``rejected``, then provenance.

        Texts, or where the trace has a conversation before the outputs, lists of messages. Source: TRL's preference
        format, standard and conversational.
        """
        return {
            **self._pair(),
            "trace_id": self.trace.trace_id,
            "task": self.task,
            "confidence": self.confidence,
            "source": self.source,
            "as_of": self.as_of,
        }

    def _pair(self) -> dict[str, Any]:
        if not self.trace.messages:
            return {"prompt": self.trace.input or "", "chosen": self.chosen, "rejected": self.rejected}
        before = [turn for turn in self.trace.turns if turn.role not in ORDER]
        return {
            "prompt": [
                {key: value for key, value in message_record(turn).items() if key != "timestamp"}
                for turn in before
            ],
            "chosen": [{"role": "assistant", "content": self.chosen}],
            "rejected": [{"role": "assistant", "content": self.rejected}],
        }


def preference_rows(
    rows: Iterable[TrainingRow], sides: tuple[str, str], least: float
) -> Iterator[PreferenceRow | Refusal]:
    """For each training row of a pairwise task its pair, or why there is none; the guards have been at the rows.

    Args:
        rows: of the task.
        sides: the labels that stand for the first and for the second output.
        least: confidence below which a pair is left out.
    """
    for row in rows:
        yield _refusal(row, sides, least) or _row(row, sides)


def _refusal(row: TrainingRow, sides: tuple[str, str], least: float) -> Refusal | None:
    if len(row.trace.outputs) != len(sides):
        return Refusal(row.trace.trace_id, NOT_A_PAIR)
    if row.label not in sides:
        return Refusal(row.trace.trace_id, TIE)
    first, second = (row.probs[side] for side in sides)
    is_doubtful = first == second or row.weight < least
    return Refusal(row.trace.trace_id, DOUBTFUL) if is_doubtful else None


def _row(row: TrainingRow, sides: tuple[str, str]) -> PreferenceRow:
    better = sides.index(row.label)
    return PreferenceRow(
        trace=row.trace,
        task=row.task,
        chosen=row.trace.outputs[better],
        rejected=row.trace.outputs[1 - better],
        confidence=row.weight,
        source=row.source,
        as_of=row.as_of,
    )
