"""`audit`: how right the posterior's labels are among all traces, from those that chance chose for review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from promptlabel.evals.audit import NOT_AUDITED, Audit, Sample, audit_sample
from promptlabel.evals.intervals import Estimate
from promptlabel.pipeline.judging import Judge, Judged, judge_of
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
    judge = judge_of(workspace, task)
    if judge is None:
        return _report(task.name, NOT_AUDITED, message=NO_FIT)
    picks = workspace.store.queue(task.name)
    judged, found = audit_fit(judge, picks)
    return _report(
        task.name,
        found,
        picked=sum(pick.lane == AUDIT for pick in picks),
        refitted=judged.refitted,
        message=None if found.n else NO_GOLD,
    )


def audit_fit(judge: Judge, picks: Sequence[Pick]) -> tuple[Judged, Audit]:
    """What decisions on the queue's picks say of all traces, and those decisions.

    Gold brought for a trace of the queue counts like a review of that pick; gold brought for another trace speaks for
    itself alone, and the trace is no part of the population.
    """
    by_id = {pick.trace_id: pick for pick in picks}
    decisions = [_routed(decision, by_id.get(decision.trace_id)) for decision in judge.decisions]
    population = len(judge.fitted.trace_ids) - sum(decision.lane is None for decision in decisions)
    chosen, probability = _chosen(decisions, by_id, population)
    judged = judge.judge(chosen)
    sample = Sample(judged.gold, judged.probs.argmax(axis=1), np.array(probability), population)
    return judged, audit_sample(sample, judge.task.labels)


def _chosen(
    decisions: Sequence[Decision], picks: Mapping[str, Pick], population: int
) -> tuple[list[Decision], list[float]]:
    """The decisions that speak for all traces: the audit lane's, or all lanes' once the whole queue is decided."""
    if picks.keys() <= {decision.trace_id for decision in decisions}:
        routed = [decision for decision in decisions if decision.lane is not None]
        return routed, [decision.probability or 1.0 for decision in routed]
    audited = [decision for decision in decisions if decision.lane == AUDIT]
    return audited, [len(audited) / population] * len(audited)


def _routed(decision: Decision, pick: Pick | None) -> Decision:
    if decision.lane is not None or pick is None:
        return decision
    return replace(decision, lane=pick.lane, probability=pick.probability)


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
