"""Training rows as chats for supervised fine-tuning: the labelling task itself, or conversations worth repeating."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from promptlabel.label_sets import ASK_ONE, ASK_SET
from promptlabel.records import Trace
from promptlabel.training.export import TrainingRow
from promptlabel.training.guard import NO_ANSWER, OTHER_LABEL


def labelling_chat(
    row: TrainingRow, labels: Mapping[str, str], guidelines: str, *, is_set: bool = False
) -> dict[str, Any]:
    """A chat in which the transcript is asked about and the label, or the set of labels, is the answer."""
    meanings = "\n".join(
        f"- {name}: {meaning}" if meaning else f"- {name}" for name, meaning in labels.items()
    )
    asked = ASK_SET if is_set else ASK_ONE
    task = "\n\n".join(filter(None, [guidelines.strip(), f"{asked}:\n{meanings}"]))
    turns = [("system", task), ("user", row.trace.transcript), ("assistant", row.label)]
    return _chat(turns, row)


def conversation_chat(row: TrainingRow) -> dict[str, Any]:
    """The conversation itself up to its last answer."""
    return _chat(_up_to_answer(row.trace), row)


def why_not_repeated(row: TrainingRow, labels: Collection[str], label: str) -> str | None:
    """Why a conversation with these labels is not among those of a label that are repeated, None where it is."""
    if label not in labels:
        return OTHER_LABEL
    return None if _up_to_answer(row.trace) else NO_ANSWER


def _up_to_answer(trace: Trace) -> list[tuple[str, str]]:
    turns = [(turn.role, turn.content) for turn in trace.turns]
    answers = [place for place, (role, _) in enumerate(turns) if role == "assistant"]
    return turns[: answers[-1] + 1] if answers and answers[-1] > 0 else []


def _chat(turns: list[tuple[str, str]], row: TrainingRow) -> dict[str, Any]:
    return {
        "messages": [{"role": role, "content": content} for role, content in turns],
        "metadata": {
            "trace_id": row.trace.trace_id,
            "task": row.task,
            "label": row.label,
            "probs": dict(row.probs),
            "weight": row.weight,
            "source": row.source,
        },
    }
