"""What may never become a training row, and why each was refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from promptlabel.evals.duplicates import Match, TextIndex, batches
from promptlabel.evals.freezing import Refusal
from promptlabel.evals.periods import is_later
from promptlabel.evals.versions import EvalVersion
from promptlabel.records import Trace

FROZEN = "a case of a frozen eval version"
SAME_TEXT = "same text as a case of a frozen eval version"
NEAR_TEXT = "nearly the text of a case of a frozen eval version"
HELD_BACK = "later than the task's holdout_after, kept for judging"
NO_VOTE = "no rule voted on it and no person decided it"
IMMATURE = "what people did may still change its label, see matures_after_hours"
OVER_QUOTA = "its category has training.most rows"
NO_ANSWER = "nobody answered in it"
OTHER_LABEL = "another label than is kept"
RECYCLED = "its label comes from the model to be trained"
LED = "decided after seeing a vote that comes from the model to be trained"

WITHOUT_LABEL = frozenset({NO_VOTE, IMMATURE, RECYCLED, LED})
"""Reasons for which a trace that may be trained on has no label."""


@dataclass(frozen=True, slots=True)
class EvalOverlap:
    """All frozen cases of a project, to be found by id or by text."""

    places: dict[str, str]
    texts: TextIndex

    @classmethod
    def of(cls, versions: Iterable[EvalVersion]) -> EvalOverlap:
        """The cases of these versions, of all tasks and ages: retired cases are still no training data."""
        places: dict[str, str] = {}
        seen: list[tuple[Trace, str]] = []
        for version in versions:
            for case in version.cases:
                place = f"case {case.trace.trace_id} of {version.task} {version.version}"
                if places.setdefault(case.trace.trace_id, place) == place:
                    seen.append((case.trace, place))
        return cls(places, TextIndex(seen))

    def refusals(self, traces: Sequence[Trace]) -> list[Refusal | None]:
        """Why each trace overlaps a frozen case, with that case; None where it does not."""
        return [
            self._refusal(trace, match) for trace, match in zip(traces, self.texts.find(traces), strict=True)
        ]

    def _refusal(self, trace: Trace, match: Match | None) -> Refusal | None:
        place = self.places.get(trace.trace_id)
        if place is not None:
            return Refusal(trace.trace_id, FROZEN, place)
        return Refusal.of(trace, match, SAME_TEXT, NEAR_TEXT) if match else None


def guarded(
    traces: Iterable[Trace], overlap: EvalOverlap, holdout_after: datetime | None
) -> Iterator[tuple[Trace, Refusal | None]]:
    """Each trace with why it may not be trained on, None where it may; streamed, many compared at once."""
    for batch in batches(traces):
        for trace, refused in zip(batch, overlap.refusals(batch), strict=True):
            held = holdout_after is not None and is_later(trace, holdout_after)
            yield trace, Refusal(trace.trace_id, HELD_BACK) if held else refused
