"""`audit --draw`: more traces for the queue, drawn where the posterior doubts, and the record that keeps them usable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from promptlabel.evals.active import Draw, draw
from promptlabel.pipeline.fitting.judging import Judge
from promptlabel.records import JsonValue, Pick
from promptlabel.routing.lanes import ACTIVE
from promptlabel.routing.sampling import permanent_numbers

REASON: Final = "drawn for the audit, with more chance where the posterior doubts"


@dataclass(frozen=True, slots=True)
class Drawn:
    """The last draw of a task.

    Attributes:
        known: the traces that were decided before it, and so not drawn from.
        probability: trace id -> the probability with which it was drawn.
        turn: trace id -> its place in the draw's order, 0 to 1.
    """

    known: tuple[str, ...]
    probability: Mapping[str, float]
    turn: Mapping[str, float]

    def decided_up_to(self, decided: Iterable[str]) -> float:
        """The turn below which every drawn trace is decided: what lies below is a smaller draw of the same kind."""
        missing = self.turn.keys() - set(decided)
        return min((self.turn[name] for name in missing), default=1.0)


def put_into_queue(judge: Judge, reviews: int) -> None:
    """Nothing; about so many undecided traces wait in the queue, first in line, in the lane `active`."""
    store, task = judge.workspace.store, judge.task.name
    decided = {decision.trace_id for decision in judge.decisions}
    open_ = [row for row, name in enumerate(judge.fitted.trace_ids) if name not in decided]
    names = [judge.fitted.trace_ids[row] for row in open_]
    confidence = judge.fitted.probs[open_].max(axis=1)
    doubt = np.asarray(confidence * (1 - confidence))
    number = _count(judge) + 1
    drawn = draw(doubt, reviews, permanent_numbers(names, f"audit draw {number} of {task}"))
    waiting = {pick.trace_id: pick for pick in store.queue(task, undecided=True) if pick.lane != ACTIVE}
    picks = [
        waiting.get(names[row]) or _pick(task, names[row], float(doubt[row]), probability)
        for row, probability in zip(drawn.rows.tolist(), drawn.probability.tolist(), strict=True)
    ]
    first = {pick.trace_id for pick in picks}
    store.save_queue(task, [*picks, *(pick for name, pick in waiting.items() if name not in first)])
    store.save_state(_state(task), _record(number, sorted(decided), names, drawn))


def drawn_for(judge: Judge) -> Drawn | None:
    """The task's last draw; None without one, and where there are traces now that it could not draw from."""
    saved: Any = judge.workspace.store.state(_state(judge.task.name))
    if not isinstance(saved, Mapping) or saved["population"] != len(judge.fitted.trace_ids):
        return None
    return Drawn(
        known=tuple(saved["known"]),
        probability={name: probability for name, probability, _ in saved["drawn"]},
        turn={name: turn for name, _, turn in saved["drawn"]},
    )


def _count(judge: Judge) -> int:
    saved: Any = judge.workspace.store.state(_state(judge.task.name))
    return int(saved["number"]) if isinstance(saved, Mapping) else 0


def _state(task: str) -> str:
    return f"audit draw:{task}"


def _record(number: int, known: list[str], names: list[str], drawn: Draw) -> JsonValue:
    columns = zip(drawn.rows.tolist(), drawn.probability.tolist(), drawn.turn.tolist(), strict=True)
    return {
        "number": number,
        "population": len(known) + len(names),
        "known": known,
        "drawn": [[names[row], probability, turn] for row, probability, turn in columns],
    }


def _pick(task: str, name: str, doubt: float, probability: float) -> Pick:
    return Pick(name, task, ACTIVE, doubt, probability, REASON, {"doubt": doubt})
