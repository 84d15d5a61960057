"""`audit`: how right the posterior's labels are among all traces, from those that chance chose for review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from promptlabel.evals.audit import NONE, Audit, Sample, audit_sample
from promptlabel.evals.intervals import Estimate
from promptlabel.pipeline.judging import Judged, judge
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Pick
from promptlabel.review.adjudication import Decision
from promptlabel.routing.lanes import AUDIT
from promptlabel.rules.loading import Task

Figure = Mapping[str, float | None]

NO_FIT = "no posterior yet; run: promptlabel fit"
NO_GOLD = "no trace of the random audit lane is decided; run: promptlabel queue, then promptlabel review"


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Accuracy of the posterior's label and shares of the labels, each with its 95 % interval.

    Attributes:
        accuracy: ``estimate``, ``low`` and ``high``; all None without audit gold.
        method: how the interval was found; ``none`` without audit gold.
        n: decided traces that it rests on.
        picked: traces that chance chose for review.
        refitted: how many of them the stored fit may have learnt from, so that a fit without them was judged.
        precision: of each label, None where too few cases say.
        recall: likewise.
        message: what to do next where there is nothing to audit, else None.
    """

    task: str
    accuracy: Figure
    method: str
    n: int
    picked: int
    refitted: int
    balance: Mapping[str, Estimate]
    precision: Mapping[str, Estimate | None]
    recall: Mapping[str, Estimate | None]
    message: str | None


def audit(workspace: Workspace, task: Task) -> AuditReport:
    """The audit of the task's last fit.

    The audit lane draws every trace with the same probability, so its decisions give a plain proportion. When the
    whole queue is decided, the other lanes' decisions count too, weighted by inclusion probabilities.
    Decisions made after seeing a vote do not count.
    """
    fitted = workspace.store.posteriors(task.name)
    if fitted is None:
        return _report(task.name, Audit(None, NONE, 0), message=NO_FIT)
    judged = judge(workspace, task, workspace.store.vote_table(task.name, task.labels), fitted)
    picks = workspace.store.queue(task.name)
    found = audit_judged(judged, picks, len(fitted.trace_ids), task.labels)
    return _report(
        task.name,
        found,
        picked=sum(pick.lane == AUDIT for pick in picks),
        refitted=int(judged.seen.sum()),
        message=None if found.n else NO_GOLD,
    )


def audit_judged(judged: Judged, picks: Sequence[Pick], traces: int, labels: Sequence[str]) -> Audit:
    """What decisions on the queue's picks say of all traces; gold brought for other traces speaks for itself alone."""
    by_id = {pick.trace_id: pick for pick in picks}
    known = routed(judged, by_id)
    brought = sum(decision.lane is None for decision in known.decisions)
    return audit_sample(random_sample(known, by_id, population=traces - brought), labels)


def routed(judged: Judged, picks: Mapping[str, Pick]) -> Judged:
    """The same, gold that was brought for a trace of the queue with that pick's lane and probability."""
    return replace(judged, decisions=tuple(_routed(one, picks.get(one.trace_id)) for one in judged.decisions))


def random_sample(judged: Judged, picks: Mapping[str, Pick], population: int) -> Sample:
    """The decisions that speak for all traces: the audit lane's, or all lanes' once the whole queue is decided."""
    decided = {decision.trace_id for decision in judged.decisions}
    if picks.keys() <= decided:
        chosen = judged.where([decision.lane is not None for decision in judged.decisions])
        return _sample(chosen, [decision.probability or 1.0 for decision in chosen.decisions], population)
    chosen = judged.where([decision.lane == AUDIT for decision in judged.decisions])
    return _sample(chosen, [len(chosen.rows) / population] * len(chosen.rows), population)


def _routed(decision: Decision, pick: Pick | None) -> Decision:
    if decision.lane is not None or pick is None:
        return decision
    return replace(decision, lane=pick.lane, probability=pick.probability)


def _sample(judged: Judged, probability: Sequence[float], population: int) -> Sample:
    return Sample(judged.gold, judged.probs.argmax(axis=1), np.array(probability), population)


def _report(
    task: str, found: Audit, picked: int = 0, refitted: int = 0, message: str | None = None
) -> AuditReport:
    return AuditReport(
        task=task,
        accuracy=found.accuracy.record() if found.accuracy else {"estimate": None, "low": None, "high": None},
        method=found.method,
        n=found.n,
        picked=picked,
        refitted=refitted,
        balance=found.balance,
        precision=found.precision,
        recall=found.recall,
        message=message,
    )
