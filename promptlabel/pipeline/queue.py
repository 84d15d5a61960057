"""`queue`: posterior and votes in; the traces people should review, each with lane, probability and reason, out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from promptlabel.errors import PromptlabelError
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Pick, RegisteredRule, ReviewEvent, Trace, digest
from promptlabel.review.adjudication import standing
from promptlabel.routing import disagreement, reasons
from promptlabel.routing.lanes import (
    ASKED_FOR,
    AUDIT,
    CONFLICT,
    UNCERTAIN,
    Budget,
    Chosen,
    Lane,
    Ranking,
    choose,
    merge,
)
from promptlabel.routing.sampling import Floats, Mask, permanent_numbers, sample_probability
from promptlabel.rules.loading import Task
from promptlabel.store.contract import PosteriorTable, Store, VoteTable

UNCERTAIN_WEIGHT = 2.0
CONFLICT_WEIGHT = 1.0
"""Turns of the two lanes: a calibrated posterior finds most errors, a conflict those a unanimous panel hides."""

CANDIDATES = 2
"""How many times the budget of top-ranked traces are looked at for repeated content."""


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One trace of the queue, as the command line prints and exports it."""

    trace_id: str
    lane: str
    score: float
    probability: float
    reason: str


@dataclass(frozen=True, slots=True)
class QueueReport:
    """The queue of a task in order of presentation; `lanes` counts its items, `reviewed` those decided before."""

    task: str
    items: tuple[QueueItem, ...]
    lanes: Mapping[str, int]
    reviewed: int


@dataclass(frozen=True, slots=True)
class _Scored:
    """The traces that may be reviewed as arrays, rows as in `trace_ids`."""

    trace_ids: tuple[str, ...]
    numbers: Floats
    ties: Floats
    labels: tuple[str, ...]
    probs: Floats
    evidence: Mapping[str, Floats]
    parts: Mapping[str, Floats]

    def score(self, lane: str) -> Floats:
        """What the lane ranks by; the random lane shows how uncertain its picks happen to be."""
        return self.parts["conflict" if lane == CONFLICT else "margin"]


def build_queue(workspace: Workspace, task: Task) -> QueueReport:
    """The task's new queue, saved; who was reviewed stays out, and a re-run changes nothing.

    Gold ingested for a queued trace decides it like a review. Traces that came with gold, before any
    queue had them, are no part of the population.

    Raises:
        PromptlabelError: before the first `fit`.
    """
    store, routing = workspace.store, workspace.project.settings.routing
    posteriors = _fitted(store, task)
    gold = {label.trace_id for label in store.gold(task.name)}
    settled = [pick for pick in store.queue(task.name) if pick.trace_id in gold]
    left_out = gold - {pick.trace_id for pick in settled}
    reviewed = _reviewed(store.reviews(task.name)) | (gold - left_out)
    scored = _score(store.vote_table(task.name, task.labels), posteriors, left_out)
    decided = np.array([trace_id in reviewed for trace_id in scored.trace_ids], dtype=bool)
    budget = Budget.of(len(scored.trace_ids), routing.share, routing.audit)
    lanes = (
        Lane(UNCERTAIN, scored.score(UNCERTAIN), UNCERTAIN_WEIGHT),
        Lane(CONFLICT, scored.score(CONFLICT), CONFLICT_WEIGHT),
    )
    ranking = _without_repeats(store, merge(lanes, scored.ties), scored.trace_ids, decided, budget)
    chosen = choose(ranking, [lane.name for lane in lanes], scored.numbers, budget, decided)
    picks = _picks(task.name, scored, chosen, budget)
    store.save_queue(task.name, [*picks, *settled, *_asked_for(store, task.name, [*picks, *settled])])
    return QueueReport(
        task=task.name,
        items=tuple(QueueItem(p.trace_id, p.lane, p.score, p.probability, p.reason) for p in picks),
        lanes=Counter(pick.lane for pick in picks),
        reviewed=len(reviewed),
    )


def _asked_for(store: Store, task: str, picks: Sequence[Pick]) -> list[Pick]:
    """What someone put into the queue besides its own lanes, and nobody has decided yet."""
    chosen = {pick.trace_id for pick in picks}
    waiting = store.queue(task, undecided=True)
    return [pick for pick in waiting if pick.lane in ASKED_FOR and pick.trace_id not in chosen]


def _fitted(store: Store, task: Task) -> PosteriorTable:
    posteriors = store.posteriors(task.name)
    if posteriors is None:
        raise PromptlabelError(f"task {task.name} has no posterior yet: run `promptlabel fit` first")
    return posteriors


def _reviewed(events: Sequence[ReviewEvent]) -> set[str]:
    """The traces that someone has labelled or flagged; a skipped one is still for others to see."""
    return {trace_id for (trace_id, _), own in standing(events).items() if own and own[-1].action != "skip"}


def _score(table: VoteTable, posteriors: PosteriorTable, left_out: Collection[str]) -> _Scored:
    """Scores of all traces but those left out; those of a trace without posterior are NaN."""
    kept = np.array([trace_id not in left_out for trace_id in table.trace_ids], dtype=bool)
    trace_ids = tuple(trace_id for trace_id, keep in zip(table.trace_ids, kept.tolist(), strict=True) if keep)
    votes = table.votes[kept]
    soft = {column: dists[kept] for column, dists in table.soft.items()}
    n_classes = len(table.labels)
    families = [source_family(rule) for rule in table.rules]
    evidence = disagreement.family_evidence(votes, soft, families, n_classes)
    probs = _aligned(posteriors, trace_ids, table.labels)
    return _Scored(
        trace_ids=trace_ids,
        numbers=permanent_numbers(trace_ids, table.task),
        ties=permanent_numbers(trace_ids, f"ties of {table.task}"),
        labels=table.labels,
        probs=probs,
        evidence=evidence,
        parts={
            "least_confidence": disagreement.least_confidence(probs),
            "margin": disagreement.margin(probs),
            "entropy": disagreement.entropy(probs),
            "vote_entropy": disagreement.vote_entropy(votes, n_classes),
            "conflict": disagreement.family_conflict(list(evidence.values()))
            if evidence
            else np.zeros(len(trace_ids)),
        },
    )


def source_family(rule: RegisteredRule) -> str:
    """The name of the sources that err together: prompts of one model, heuristics, signals."""
    return f"prompts of {rule.model}" if rule.kind == "prompt" else f"{rule.kind}s"


def _aligned(posteriors: PosteriorTable, trace_ids: Sequence[str], labels: Sequence[str]) -> Floats:
    row_of = {trace_id: row for row, trace_id in enumerate(posteriors.trace_ids)}
    columns = [posteriors.labels.index(label) for label in labels]
    probs = np.full((len(trace_ids), len(labels)), np.nan)
    rows = np.array([row_of.get(trace_id, -1) for trace_id in trace_ids], dtype=np.int64)
    known = rows >= 0
    probs[known] = posteriors.probs[rows[known]][:, columns]
    return probs


def _without_repeats(
    store: Store, ranking: Ranking, trace_ids: Sequence[str], decided: Mask, budget: Budget
) -> Ranking:
    """The ranking in which equal content comes once, and not at all where a like trace is decided."""
    top = min(len(ranking.rows), CANDIDATES * budget.size + int(decided.sum()))
    rows = [*np.flatnonzero(decided).tolist(), *ranking.rows[:top].tolist()]
    contents = _contents(store.traces([trace_ids[row] for row in dict.fromkeys(rows)]))
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(contents[trace_ids[row]], row)
    keep = [
        position >= top or first[contents[trace_ids[row]]] == row
        for position, row in enumerate(ranking.rows.tolist())
    ]
    return Ranking(ranking.rows[keep], ranking.lanes[keep])


def _contents(traces: Iterable[Trace]) -> dict[str, str]:
    return {
        trace.trace_id: digest([trace.input, trace.output, [[m.role, m.content] for m in trace.messages]])
        for trace in traces
    }


def _picks(task: str, scored: _Scored, chosen: Chosen, budget: Budget) -> list[Pick]:
    rate = sample_probability(len(scored.trace_ids), budget.rate)
    return [
        Pick(
            trace_id=scored.trace_ids[row],
            task=task,
            lane=lane,
            score=float(np.nan_to_num(scored.score(lane)[row])),
            probability=probability,
            reason=_reason(scored, row, lane, rate),
            parts=_known_parts(scored, row) | {"audit": rate},
        )
        for row, lane, probability in zip(
            chosen.rows.tolist(), chosen.lanes, chosen.probability.tolist(), strict=True
        )
    ]


def _known_parts(scored: _Scored, row: int) -> dict[str, float]:
    values = {name: float(scores[row]) for name, scores in scored.parts.items()}
    return {name: value for name, value in values.items() if not np.isnan(value)}


def _reason(scored: _Scored, row: int, lane: str, rate: float) -> str:
    if lane == AUDIT:
        return reasons.audit_reason(rate)
    if lane == UNCERTAIN:
        return reasons.uncertain_reason(_named(scored, scored.probs[row]))
    speaking = {family: votes[row] for family, votes in scored.evidence.items() if votes[row].sum() > 0}
    return reasons.conflict_reason({family: _named(scored, votes) for family, votes in speaking.items()})


def _named(scored: _Scored, values: Floats) -> dict[str, float]:
    return dict(zip(scored.labels, values.tolist(), strict=True))
