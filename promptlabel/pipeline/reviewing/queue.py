"""`queue`: posterior and votes in; the traces people should review, each with lane, probability and reason, out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from promptlabel.errors import PromptlabelError
from promptlabel.evals.duplicates import repeats_of_earlier
from promptlabel.pipeline.fitting.tables import contested, traces_of, vote_table
from promptlabel.pipeline.reviewing.queue_reasons import Explained
from promptlabel.pipeline.reviewing.queue_scores import (
    Evidence,
    Logged,
    Reviewed,
    Scored,
    aligned,
    score_traces,
)
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Pick, ReviewEvent
from promptlabel.review.adjudication import decide, standing
from promptlabel.routing.backlog import Backlog, pace
from promptlabel.routing.diversity import diversified, groups, sketches
from promptlabel.routing.lanes import (
    ASKED_FOR,
    CONFLICT,
    NEW,
    RARE,
    UNCERTAIN,
    Budget,
    Chosen,
    Indices,
    Lane,
    Ranking,
    choose,
    merge,
)
from promptlabel.routing.sampling import Floats, Mask, permanent_numbers, sample_probability
from promptlabel.rules.loading import Task
from promptlabel.store.contract import PosteriorTable, Store

WEIGHTS: Final = {UNCERTAIN: 4.0, CONFLICT: 2.0, RARE: 1.0, NEW: 1.0}
"""Turns of the lanes that rank: a calibrated posterior finds most errors, a conflict those a unanimous panel hides.

What one lane leaves of its turns, as where no category is rare and nothing is new, the others take.
"""

CANDIDATES: Final = 2
"""How many times the budget of top-ranked traces are looked at for repeated and like content."""

MOST_COMPARED: Final = 100_000
"""Top-ranked traces that are looked at so at most: each takes a few kB meanwhile."""

REVIEW_WINDOW: Final = timedelta(days=7)
"""The pace of reviewing is that of the last seven days."""


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
    backlog: Backlog | None = None


def build_queue(workspace: Workspace, task: Task, *, now: datetime | None = None) -> QueueReport:
    """The task's new queue, saved; who was reviewed stays out, and a re-run changes nothing.

    Gold ingested for a queued trace decides it like a review. Traces that came with gold, before any
    queue had them, are no part of the population.

    Raises:
        PromptlabelError: before the first `fit`.
    """
    store, routing = workspace.store, workspace.project.settings.routing
    posteriors = _fitted(store, task)
    ingested, events = store.gold(task.name), store.reviews(task.name)
    gold = {label.trace_id for label in ingested}
    settled = [pick for pick in store.queue(task.name) if pick.trace_id in gold]
    left_out = gold - {pick.trace_id for pick in settled}
    reviewed = _reviewed(events) | (gold - left_out)
    logged = Logged.of(traces_of(workspace, task))
    known = Reviewed(decide(events, ingested), _times(events), left_out)
    scored = score_traces(workspace, _evidence(workspace, task, posteriors), logged, known)
    names = [scored.trace_ids[row] for row in scored.open.tolist()]
    decided = np.array([name in reviewed for name in names], dtype=bool)
    budget = Budget.of(len(names), routing.share, routing.audit)
    chosen = _choose(store, task.name, scored, decided, budget)
    picks = _picks(task.name, scored, chosen, budget)
    asked = _asked_for(store, task.name, [*picks, *settled])
    store.save_queue(task.name, [*picks, *settled, *asked])
    return QueueReport(
        task=task.name,
        items=tuple(QueueItem(p.trace_id, p.lane, p.score, p.probability, p.reason) for p in picks),
        lanes=Counter(pick.lane for pick in picks),
        reviewed=len(reviewed),
        backlog=_backlog(workspace, logged, events, len(picks) + len(asked), now or datetime.now(UTC)),
    )


def _evidence(workspace: Workspace, task: Task, posteriors: PosteriorTable) -> Evidence:
    """Votes and posteriors; where several labels may apply, those on the least certain label of each trace."""
    if task.spec.kind != "several":
        table = vote_table(workspace, task)
        return Evidence(table, aligned(posteriors, table.trace_ids, table.labels))
    votes = workspace.store.label_votes(task.name, task.labels)
    shares = aligned(posteriors, votes.trace_ids, task.labels)
    table, probs, names = contested(votes, np.nan_to_num(shares, nan=0.5))
    return Evidence(table, np.where(np.isnan(shares).any(axis=1, keepdims=True), np.nan, probs), names)


def _choose(store: Store, task: str, scored: Scored, decided: Mask, budget: Budget) -> Chosen:
    """The picks, rows among the open traces; what repeats others takes no turn of its lane, what is like them a later."""
    names = [scored.trace_ids[row] for row in scored.open.tolist()]
    ties = permanent_numbers(names, f"ties of {task}")
    scores = {lane: scored.open_scores(lane) for lane in WEIGHTS}
    ranking = _merged(scores, ties)
    top = min(CANDIDATES * budget.size, MOST_COMPARED)
    once = ~_repeats(store, ranking.rows[: top + int(decided.sum())], names, decided)
    head = ranking.rows[:top]
    group = groups(sketches(scored.reviewed.words, scored.open[head]))
    for lane, score in scores.items():
        scores[lane] = once * score
        scores[lane][head] = diversified(scores[lane][head], group, ties[head])
    return choose(_merged(scores, ties), list(WEIGHTS), permanent_numbers(names, task), budget, decided)


def _merged(scores: Mapping[str, Floats], ties: Floats) -> Ranking:
    return merge([Lane(lane, scores[lane], weight) for lane, weight in WEIGHTS.items()], ties)


def _backlog(
    workspace: Workspace, logged: Logged, events: Sequence[ReviewEvent], waiting: int, now: datetime
) -> Backlog:
    """How the queue stands: traffic of the last days before the newest trace, reviews of the last days before now."""
    settings = workspace.project.settings
    times, window = logged.times, timedelta(days=settings.evals.window_days)
    return Backlog.of(
        waiting=waiting,
        share=settings.routing.share,
        traces=pace(times, times.max(), window) if len(times) else None,
        decided=pace(_decision_times(events), now.timestamp(), REVIEW_WINDOW),
    )


def _decision_times(events: Sequence[ReviewEvent]) -> Floats:
    """When each trace that is labelled or flagged was so first, in seconds since the epoch."""
    first: dict[str, datetime] = {}
    for (trace_id, _), own in standing(events).items():
        if own and own[-1].action != "skip":
            first[trace_id] = min(own[0].at, first.get(trace_id, own[0].at))
    return np.array([moment.timestamp() for moment in first.values()])


def _times(events: Sequence[ReviewEvent]) -> dict[str, float]:
    """What the last label of each trace took, in seconds."""
    return {
        event.trace_id: event.seconds
        for event in events
        if event.action == "label" and event.seconds is not None
    }


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


def _repeats(store: Store, ranked: Indices, names: Sequence[str], decided: Mask) -> Mask:
    """Which of the ranked traces hold the text, or nearly, of a decided one or of one before them."""
    rows = list(dict.fromkeys([*np.flatnonzero(decided).tolist(), *ranked.tolist()]))
    traces = {trace.trace_id: trace for trace in store.traces([names[row] for row in rows])}
    found = np.zeros(len(names), dtype=bool)
    found[[rows[place] for place in repeats_of_earlier([traces[names[row]] for row in rows])]] = True
    return found


def _picks(task: str, scored: Scored, chosen: Chosen, budget: Budget) -> list[Pick]:
    rate = sample_probability(len(scored.open), budget.rate)
    rows = scored.open[chosen.rows]
    explained = Explained.of(scored, rows)
    return [
        Pick(
            trace_id=scored.trace_ids[row],
            task=task,
            lane=lane,
            score=explained.score(place, lane),
            probability=probability,
            reason=explained.reason(place, lane, rate),
            parts=explained.known_parts(place) | {"audit": rate},
        )
        for place, (row, lane, probability) in enumerate(
            zip(rows.tolist(), chosen.lanes, chosen.probability.tolist(), strict=True)
        )
    ]
