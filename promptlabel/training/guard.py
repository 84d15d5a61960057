"""What may never become a training row, and why each was refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from promptlabel.evals.duplicates import TextIndex
from promptlabel.evals.freezing import Refusal
from promptlabel.evals.periods import is_later
from promptlabel.evals.versions import EvalVersion
from promptlabel.records import Trace

FROZEN = "a case of a frozen eval version"
SAME_TEXT = "same text as a case of a frozen eval version"
HELD_BACK = "later than the task's holdout_after, kept for judging"
NO_VOTE = "no rule voted on it and no person decided it"


@dataclass(frozen=True, slots=True)
class EvalOverlap:
    """All frozen cases of a project, to be found by id or by text."""

    places: dict[str, str]
    texts: TextIndex

    @classmethod
    def of(cls, versions: Iterable[EvalVersion]) -> EvalOverlap:
        """The cases of these versions, of all tasks and ages: retired cases are still no training data."""
        overlap = cls({}, TextIndex())
        for version in versions:
            for case in version.cases:
                place = f"case {case.trace.trace_id} of {version.task} {version.version}"
                overlap.places.setdefault(case.trace.trace_id, place)
                overlap.texts.add(case.trace, place)
        return overlap

    def refusal(self, trace: Trace) -> Refusal | None:
        """Why the trace overlaps a frozen case, with that case; None where it does not."""
        place = self.places.get(trace.trace_id)
        if place is not None:
            return Refusal(trace.trace_id, FROZEN, place)
        place = self.texts.find(trace)
        return Refusal(trace.trace_id, SAME_TEXT, place) if place is not None else None


def refusal(trace: Trace, overlap: EvalOverlap, holdout_after: datetime | None) -> Refusal | None:
    """Why the trace may not be trained on, or None where it may."""
    if holdout_after is not None and is_later(trace, holdout_after):
        return Refusal(trace.trace_id, HELD_BACK)
    return overlap.refusal(trace)
