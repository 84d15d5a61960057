"""Votes, posterior, texts and decisions in; what the lanes rank every trace by out."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.label_sets import set_members
from promptlabel.labelmodel.patterns import group
from promptlabel.pipeline.fitting.tables import NO_YES
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import RegisteredRule, Trace
from promptlabel.review.adjudication import Decision
from promptlabel.routing import disagreement
from promptlabel.routing.categories import Categories
from promptlabel.routing.label_change import reviewer_seconds
from promptlabel.routing.lanes import AUDIT, CONFLICT, NEW, RARE, UNCERTAIN
from promptlabel.routing.novelty import Novelty, Words, novelty
from promptlabel.routing.sampling import Floats, Mask, permanent_numbers
from promptlabel.store.contract import PosteriorTable, VoteTable

Indices = npt.NDArray[np.int64]

ROWS_AT_ONCE: Final = 1 << 18
"""Traces whose votes are compared together, so that many take little memory."""

RANKED_BY: Final = {UNCERTAIN: "margin", CONFLICT: "conflict", RARE: "category", NEW: "new", AUDIT: "margin"}
"""The part that each lane ranks by; the random lane shows how uncertain its picks happen to be."""


@dataclass(frozen=True, slots=True)
class Logged:
    """What was logged of every trace, in the store's order.

    Attributes:
        moments: seconds since the epoch, NaN where a trace has no time, ``[n]``.
        lengths: characters, ``[n]``.
    """

    categories: tuple[str | None, ...]
    moments: Floats
    lengths: Floats
    words: Words

    @classmethod
    def of(cls, traces: Iterable[Trace]) -> Logged:
        """The traces, read once."""
        kinds: dict[str | None, str | None] = {}
        categories: list[str | None] = []
        moments, lengths = array("d"), array("d")

        def texts() -> Iterator[str]:
            for trace in traces:
                categories.append(kinds.setdefault(trace.category, trace.category))
                moments.append(trace.timestamp.timestamp() if trace.timestamp else math.nan)
                text = " ".join(turn.content for turn in trace.turns)
                lengths.append(len(text))
                yield text

        words = Words.of(texts())
        return cls(tuple(categories), np.array(moments), np.array(lengths), words)

    @property
    def times(self) -> Floats:
        """The moments that are known."""
        return self.moments[~np.isnan(self.moments)]

    def recent(self, window: timedelta) -> Mask:
        """The traces of the window that ends with the newest; none where no trace has a time."""
        newest = self.times.max(initial=-math.inf)
        recent: Mask = self.moments > newest - window.total_seconds()
        return recent


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

    def by_family(self, rows: slice | Indices) -> dict[str, Floats]:
        """What each family of sources says of the traces of these rows, ``[r, K]``."""
        table = self.table
        return disagreement.family_evidence(
            table.votes[rows],
            self.soft(rows),
            [source_family(rule) for rule in table.rules],
            len(table.labels),
        )

    def soft(self, rows: slice | Indices) -> dict[int, Floats]:
        """The distributions that rules gave for the traces of these rows, by column."""
        return {column: values[rows] for column, values in self.table.soft.items()}


@dataclass(frozen=True, slots=True)
class Scored:
    """All traces as arrays ``[n]``, rows in the store's order; `open` are those that may be reviewed.

    Attributes:
        scores: what lanes rank by, by name; those of a trace without posterior are NaN.
        reviewed: novelty beside what people decided.
        earlier: novelty of recent traffic beside what came before.
        pattern: the pattern of votes of each trace, numbered from 0.
        decided: how many traces of each pattern people decided, ``[patterns]``.
        seconds: what a review is expected to take.
    """

    evidence: Evidence
    open: Indices
    scores: Mapping[str, Floats]
    categories: Categories
    reviewed: Novelty
    earlier: Novelty
    pattern: Indices
    decided: Indices
    seconds: Floats

    @property
    def trace_ids(self) -> tuple[str, ...]:
        """The id of each trace."""
        return self.evidence.table.trace_ids

    def open_scores(self, lane: str) -> Floats:
        """What the lane ranks by, of the open traces."""
        return self.scores[RANKED_BY[lane]][self.open]


def score_traces(workspace: Workspace, evidence: Evidence, logged: Logged, known: Reviewed) -> Scored:
    """The scores of all traces."""
    settings, table = workspace.project.settings, evidence.table
    label_of = {decision.trace_id: decision.label for decision in known.decisions}
    decided = np.array([trace_id in label_of for trace_id in table.trace_ids], dtype=bool)
    wrong = _most_rules_wrong(evidence, label_of)
    categories = Categories.known(logged.categories, decided, wrong, settings.routing.share)
    reviewed = novelty(logged.words, decided, np.ones(len(decided), dtype=bool))
    recent = logged.recent(timedelta(days=settings.evals.window_days))
    earlier = novelty(logged.words, ~recent, recent)
    margin = disagreement.margin(evidence.probs)
    ties = permanent_numbers(table.trace_ids, f"ties of {table.task}")
    pattern = _patterns(table)
    return Scored(
        evidence=evidence,
        open=np.flatnonzero([trace_id not in known.left_out for trace_id in table.trace_ids]),
        scores={
            "margin": margin,
            "conflict": _conflict(evidence),
            "category": categories.scores(margin, decided, ties),
            "novelty": reviewed.scores,
            "drift": earlier.scores,
            "new": np.maximum(reviewed.scores, earlier.scores),
        },
        categories=categories,
        reviewed=reviewed,
        earlier=earlier,
        pattern=pattern,
        decided=np.bincount(pattern[decided], minlength=int(pattern.max(initial=-1)) + 1),
        seconds=_seconds(table, logged, known.seconds),
    )


def _patterns(table: VoteTable) -> Indices:
    if not table.rules:
        return np.zeros(len(table.trace_ids), dtype=np.int64)
    return group(table.votes, len(table.labels))[1].astype(np.int64)


def _conflict(evidence: Evidence) -> Floats:
    found = np.zeros(len(evidence.probs))
    for first in range(0, len(found), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        if families := evidence.by_family(rows):
            found[rows] = disagreement.family_conflict(list(families.values()))
    return found


def _seconds(table: VoteTable, logged: Logged, seconds: Mapping[str, float]) -> Floats:
    timed = np.array([row for row, name in enumerate(table.trace_ids) if name in seconds], dtype=np.int64)
    taken = np.array([seconds[table.trace_ids[row]] for row in timed.tolist()])
    return reviewer_seconds(logged.lengths, timed, taken)


def source_family(rule: RegisteredRule) -> str:
    """The name of the sources that err together: prompts of one model, heuristics, signals."""
    return f"prompts of {rule.model}" if rule.kind == "prompt" else f"{rule.kind}s"


def aligned(posteriors: PosteriorTable, trace_ids: Sequence[str], labels: Sequence[str]) -> Floats:
    """The posteriors ``[n, K]`` of these traces and labels, rows of NaN where there is none."""
    columns = [posteriors.labels.index(label) for label in labels]
    if posteriors.trace_ids == tuple(trace_ids):
        return posteriors.probs[:, columns]
    row_of = {trace_id: row for row, trace_id in enumerate(posteriors.trace_ids)}
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
