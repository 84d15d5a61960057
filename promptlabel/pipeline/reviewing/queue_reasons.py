"""Why traces were picked: every part of their scores, and the reason in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from promptlabel.pipeline.reviewing.queue_scores import RANKED_BY, Indices, Scored
from promptlabel.routing import disagreement, reasons
from promptlabel.routing.label_change import expected_label_change
from promptlabel.routing.lanes import AUDIT, CONFLICT, NEW, RARE, UNCERTAIN
from promptlabel.routing.sampling import Floats


@dataclass(frozen=True, slots=True)
class Explained:
    """The parts of the scores of some traces, ``[r]``, and what each family of sources says of them, ``[r, K]``.

    Attributes:
        rows: the traces, by their rows in `scored`.
    """

    scored: Scored
    rows: Indices
    parts: Mapping[str, Floats]
    families: Mapping[str, Floats]

    @classmethod
    def of(cls, scored: Scored, rows: Indices) -> Explained:
        """The traces of these rows."""
        parts = _disagreement(scored, rows) | _label_change(scored, rows)
        parts |= {name: scores[rows] for name, scores in scored.scores.items()}
        return cls(scored, rows, parts, scored.evidence.by_family(rows))

    def score(self, place: int, lane: str) -> float:
        """What the lane ranks the trace by, 0 where it is not known."""
        return float(np.nan_to_num(self.parts[RANKED_BY[lane]][place]))

    def known_parts(self, place: int) -> dict[str, float]:
        """The parts of one trace's scores, those that are not known left out."""
        values = {name: float(scores[place]) for name, scores in self.parts.items()}
        return {name: value for name, value in values.items() if not np.isnan(value)}

    def reason(self, place: int, lane: str, rate: float) -> str:
        """Why the lane has chosen the trace; `rate` is that of the random lane."""
        told = {UNCERTAIN: self._uncertain, CONFLICT: self._conflict, RARE: self._rare, NEW: self._new}
        return reasons.audit_reason(rate) if lane == AUDIT else told[lane](place)

    def _uncertain(self, place: int) -> str:
        return reasons.uncertain_reason(self._named(self.scored.evidence.probs[self.rows[place]], place))

    def _conflict(self, place: int) -> str:
        speaking = {name: votes[place] for name, votes in self.families.items() if votes[place].sum() > 0}
        return reasons.conflict_reason({name: self._named(votes, place) for name, votes in speaking.items()})

    def _rare(self, place: int) -> str:
        known = self.scored.categories
        kind = int(known.of[self.rows[place]])
        name, reviewed = known.names[kind], int(known.reviewed[kind])
        if known.failing[kind] > 0:
            return reasons.failing_reason(name, reviewed, int(known.wrong[kind]))
        return reasons.rare_reason(name, int(known.size[kind]), reviewed)

    def _new(self, place: int) -> str:
        row = int(self.rows[place])
        if self.parts["novelty"][place] >= self.parts["drift"][place]:
            return reasons.new_reason(self.scored.reviewed.told(row))
        return reasons.drifted_reason(self.scored.earlier.told(row))

    def _named(self, values: Floats, place: int) -> dict[str, float]:
        evidence = self.scored.evidence
        about = evidence.about[self.rows[place]] if evidence.about else None
        names = (f"not {about}", about) if about else evidence.table.labels
        return dict(zip(names, values.tolist(), strict=True))


def _disagreement(scored: Scored, rows: Indices) -> dict[str, Floats]:
    evidence = scored.evidence
    probs, votes, n_classes = evidence.probs[rows], evidence.table.votes[rows], len(evidence.table.labels)
    return {
        "least_confidence": disagreement.least_confidence(probs),
        "entropy": disagreement.entropy(probs),
        "vote_entropy": disagreement.vote_entropy(votes, n_classes),
        "committee": disagreement.committee_disagreement(votes, evidence.soft(rows), n_classes),
    }


def _label_change(scored: Scored, rows: Indices) -> dict[str, Floats]:
    """What a review is expected to change, and that by second of a reviewer."""
    change = expected_label_change(scored.evidence.probs, scored.pattern, scored.decided, rows)
    seconds = scored.seconds[rows]
    return {"label_change": change, "seconds": seconds, "label_change_per_second": change / seconds}
