"""Votes, posterior, texts and decisions in; the scores of every trace that may be reviewed, parts kept, out."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.label_sets import set_members
from promptlabel.labelmodel.patterns import group
from promptlabel.pipeline.fitting.tables import NO_YES
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import RegisteredRule, Trace
from promptlabel.review.adjudication import Decision
from promptlabel.routing import disagreement, reasons
from promptlabel.routing.categories import Categories
from promptlabel.routing.label_change import expected_label_change, reviewer_seconds
from promptlabel.routing.lanes import AUDIT, CONFLICT, NEW, RARE, UNCERTAIN
from promptlabel.routing.novelty import Novelty, Words, novelty
from promptlabel.routing.sampling import Floats, Mask, permanent_numbers
from promptlabel.store.contract import PosteriorTable, VoteTable

Indices = npt.NDArray[np.int64]

RANKED_BY: Final = {UNCERTAIN: "margin", CONFLICT: "conflict", RARE: "category", NEW: "new", AUDIT: "margin"}
"""The part that each lane ranks by; the random lane shows how uncertain its picks happen to be."""


@dataclass(frozen=True, slots=True)
class Logged:
    """What was logged of every trace, in the store's order."""

    categories: tuple[str | None, ...]
    moments: tuple[datetime | None, ...]
    lengths: Floats
    words: Words

    @classmethod
    def of(cls, traces: Iterable[Trace]) -> Logged:
        """The traces, read once."""
        categories: list[str | None] = []
        moments: list[datetime | None] = []
        lengths = array("d")

        def texts() -> Iterator[str]:
            for trace in traces:
                categories.append(trace.category)
                moments.append(trace.timestamp)
                text = " ".join(turn.content for turn in trace.turns)
                lengths.append(len(text))
                yield text

        words = Words.of(texts())
        return cls(tuple(categories), tuple(moments), np.array(lengths), words)

    @property
    def times(self) -> list[datetime]:
        """The moments that are known."""
        return [moment for moment in self.moments if moment is not None]

    def recent(self, window: timedelta) -> Mask:
        """The traces of the window that ends with the newest; none where no trace has a time."""
        newest = max(self.times, default=None)
        return np.array(
            [
                newest is not None and moment is not None and moment > newest - window
                for moment in self.moments
            ],
            dtype=bool,
        )


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What people did so far; those left out may not be reviewed, but count as known where they are decided.

    Attributes:
        seconds: what a decision took, by trace id, where a browser told.
    """

    decisions: Sequence[Decision]
    seconds: Mapping[str, float]
    left_out: Collection[str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The votes on each trace beside its posterior ``[n, K]``, rows of NaN where there is none.

    Attributes:
        about: where several labels may apply, which label of each trace votes and posterior are about; else empty.
    """

    table: VoteTable
    probs: Floats
    about: Sequence[str] = ()

    def said(self, row: int, label: str) -> str | None:
        """The class, as votes name it, that a decision on the trace amounts to."""
        if self.about:
            return NO_YES[self.about[row] in set_members(label)]
        return label if label in self.table.labels else None


@dataclass(frozen=True, slots=True)
class Scored:
    """All traces as arrays, rows in the store's order; `open` are those that may be reviewed.

    Attributes:
        evidence: what each family of sources says, ``[n, K]``.
        parts: every score ``[n]``; those of a trace without posterior are NaN.
        reviewed: novelty beside what people decided.
        earlier: novelty of recent traffic beside what came before.
        about: where several labels may apply, which of them each trace was scored by; else empty.
    """

    trace_ids: tuple[str, ...]
    open: Indices
    labels: tuple[str, ...]
    probs: Floats
    evidence: Mapping[str, Floats]
    parts: Mapping[str, Floats]
    categories: Categories
    reviewed: Novelty
    earlier: Novelty
    about: Sequence[str] = ()

    def score(self, lane: str) -> Floats:
        """What the lane ranks by, of the open traces."""
        return self.parts[RANKED_BY[lane]][self.open]

    def known_parts(self, row: int) -> dict[str, float]:
        """The parts of one trace's scores, those that are not known left out."""
        values = {name: float(scores[row]) for name, scores in self.parts.items()}
        return {name: value for name, value in values.items() if not np.isnan(value)}

    def reason(self, row: int, lane: str, rate: float) -> str:
        """Why the lane has chosen the trace; `rate` is that of the random lane."""
        told = {UNCERTAIN: self._uncertain, CONFLICT: self._conflict, RARE: self._rare, NEW: self._new}
        return reasons.audit_reason(rate) if lane == AUDIT else told[lane](row)

    def _uncertain(self, row: int) -> str:
        return reasons.uncertain_reason(self._named(self.probs[row], row))

    def _conflict(self, row: int) -> str:
        speaking = {family: votes[row] for family, votes in self.evidence.items() if votes[row].sum() > 0}
        return reasons.conflict_reason(
            {family: self._named(votes, row) for family, votes in speaking.items()}
        )

    def _rare(self, row: int) -> str:
        known, kind = self.categories, int(self.categories.of[row])
        name, reviewed = known.names[kind], int(known.reviewed[kind])
        if known.failing[kind] > 0:
            return reasons.failing_reason(name, reviewed, int(known.wrong[kind]))
        return reasons.rare_reason(name, int(known.size[kind]), reviewed)

    def _new(self, row: int) -> str:
        if self.parts["novelty"][row] >= self.parts["drift"][row]:
            return reasons.new_reason(self.reviewed.told(row))
        return reasons.drifted_reason(self.earlier.told(row))

    def _named(self, values: Floats, row: int) -> dict[str, float]:
        names = (f"not {self.about[row]}", self.about[row]) if self.about else self.labels
        return dict(zip(names, values.tolist(), strict=True))


def score_traces(workspace: Workspace, evidence: Evidence, logged: Logged, known: Reviewed) -> Scored:
    """The scores of all traces."""
    settings, table, probs = workspace.project.settings, evidence.table, evidence.probs
    label_of = {decision.trace_id: decision.label for decision in known.decisions}
    decided = np.array([trace_id in label_of for trace_id in table.trace_ids], dtype=bool)
    wrong = _most_rules_wrong(evidence, label_of)
    categories = Categories.known(logged.categories, decided, wrong, settings.routing.share)
    reviewed = novelty(logged.words, decided, np.ones(len(decided), dtype=bool))
    recent = logged.recent(timedelta(days=settings.evals.window_days))
    earlier = novelty(logged.words, ~recent, recent)
    ties = permanent_numbers(table.trace_ids, f"ties of {table.task}")
    families = [source_family(rule) for rule in table.rules]
    by_family = disagreement.family_evidence(table.votes, table.soft, families, len(table.labels))
    return Scored(
        trace_ids=table.trace_ids,
        open=np.flatnonzero([trace_id not in known.left_out for trace_id in table.trace_ids]),
        labels=table.labels,
        probs=probs,
        evidence=by_family,
        parts={
            **_disagreement(table, probs, by_family),
            **_label_change(table, probs, decided, logged, known.seconds),
            "category": categories.scores(disagreement.margin(probs), decided, ties),
            "novelty": reviewed.scores,
            "drift": earlier.scores,
            "new": np.maximum(reviewed.scores, earlier.scores),
        },
        categories=categories,
        reviewed=reviewed,
        earlier=earlier,
        about=evidence.about,
    )


def _disagreement(table: VoteTable, probs: Floats, evidence: Mapping[str, Floats]) -> dict[str, Floats]:
    n_classes = len(table.labels)
    conflict = disagreement.family_conflict(list(evidence.values()))
    return {
        "least_confidence": disagreement.least_confidence(probs),
        "margin": disagreement.margin(probs),
        "entropy": disagreement.entropy(probs),
        "vote_entropy": disagreement.vote_entropy(table.votes, n_classes),
        "committee": disagreement.committee_disagreement(table.votes, table.soft, n_classes),
        "conflict": conflict if evidence else np.zeros(len(probs)),
    }


def _label_change(
    table: VoteTable, probs: Floats, decided: Mask, logged: Logged, seconds: Mapping[str, float]
) -> dict[str, Floats]:
    """What a review is expected to change, and that by second of a reviewer."""
    pattern = (
        group(table.votes, len(table.labels))[1] if len(table.rules) else np.zeros(len(probs), dtype=int)
    )
    reviewed = np.bincount(pattern[decided], minlength=int(pattern.max(initial=-1)) + 1)
    change = expected_label_change(probs, pattern, reviewed)
    timed = np.array([row for row, name in enumerate(table.trace_ids) if name in seconds], dtype=np.int64)
    taken = np.array([seconds[table.trace_ids[row]] for row in timed.tolist()])
    cost = reviewer_seconds(logged.lengths, timed, taken)
    return {"label_change": change, "seconds": cost, "label_change_per_second": change / cost}


def source_family(rule: RegisteredRule) -> str:
    """The name of the sources that err together: prompts of one model, heuristics, signals."""
    return f"prompts of {rule.model}" if rule.kind == "prompt" else f"{rule.kind}s"


def aligned(posteriors: PosteriorTable, trace_ids: Sequence[str], labels: Sequence[str]) -> Floats:
    """The posteriors ``[n, K]`` of these traces and labels, rows of NaN where there is none."""
    row_of = {trace_id: row for row, trace_id in enumerate(posteriors.trace_ids)}
    columns = [posteriors.labels.index(label) for label in labels]
    rows = np.array([row_of.get(trace_id, -1) for trace_id in trace_ids], dtype=np.int64)
    probs = np.full((len(rows), len(labels)), np.nan)
    known = rows >= 0
    probs[known] = posteriors.probs[rows[known]][:, columns]
    return probs


def _most_rules_wrong(evidence: Evidence, label_of: Mapping[str, str]) -> Mask:
    """Where another label than the decided one has more votes."""
    table = evidence.table
    wrong = np.zeros(len(table.trace_ids), dtype=bool)
    for row, trace_id in enumerate(table.trace_ids):
        said = evidence.said(row, label_of[trace_id]) if trace_id in label_of else None
        if said is not None:
            counts = [(table.votes[row] == label).sum() for label in range(len(table.labels))]
            wrong[row] = max(counts) > counts[table.labels.index(said)]
    return wrong
