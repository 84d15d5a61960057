"""`audit`: how right the posterior's labels are among all traces, from those that chance chose for review."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.active import reviews_until
from promptlabel.evals.audit import NOT_AUDITED, PPI, WILSON, Audit, Sample, audit_sample
from promptlabel.evals.intervals import Z95, Estimate
from promptlabel.pipeline.evaluating.drawing import Drawn, drawn_for, put_into_queue
from promptlabel.pipeline.fitting.judging import Judge, Judged, judge_of
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Pick
from promptlabel.review.adjudication import Decision
from promptlabel.routing.lanes import ASKED_FOR, AUDIT
from promptlabel.routing.sampling import permanent_numbers
from promptlabel.rules.loading import Task

Figure = Mapping[str, float | None]
Floats = npt.NDArray[np.float64]

NO_FIT = "no posterior yet; run: promptlabel fit"
NO_GOLD = "no trace of the random audit lane is decided; run: promptlabel queue, then promptlabel review"
HALF_WIDTH: Final = 0.02
"""The precision that `audit` counts the missing reviews for."""


@dataclass(frozen=True, slots=True)
class Missing:
    """How many more reviews until accuracy is known to plus or minus `half_width`: drawn evenly, or by doubt."""

    half_width: float
    random: int
    active: int


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
        categories: accuracy in each category, likewise.
        posterior: the mean posterior of the labels, which is no estimate of accuracy, shown beside it.
        posterior_balance: likewise of each label.
        more: the reviews that are missing, None without audit gold.
        drawn: traces that the last `audit --draw` put into the queue.
        waiting: how many of them are undecided.
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
    categories: Mapping[str, Estimate | None]
    posterior: float | None
    posterior_balance: Mapping[str, float]
    more: Missing | None
    drawn: int = 0
    waiting: int = 0


def audit(workspace: Workspace, task: Task, *, reviews: int = 0) -> AuditReport:
    """The audit of the task's last fit; with `reviews`, so many more traces are drawn into the queue first.

    Decisions made after seeing a vote do not count. Which decisions are used is settled before any is looked at:
    those for which the posterior and the probabilities of the draw promise the smallest variance.
    """
    judge = judge_of(workspace, task)
    if judge is None:
        return _report(task.name, NOT_AUDITED, message=NO_FIT)
    if reviews:
        put_into_queue(judge, reviews)
    picks = workspace.store.queue(task.name)
    categories = {trace.trace_id: trace.category or "none" for trace in workspace.store.traces()}
    judged, found, promised = _audited(judge, picks, categories)
    drawn = drawn_for(judge)
    return replace(
        _report(
            task.name,
            found,
            picked=sum(pick.lane == AUDIT for pick in picks),
            refitted=judged.refitted,
            message=None if found.n else NO_GOLD,
        ),
        more=_missing(judge, found, promised),
        drawn=len(drawn.probability) if drawn else 0,
        waiting=len(drawn.probability.keys() - _ids(judge.decisions)) if drawn else 0,
    )


def audit_fit(judge: Judge, picks: Sequence[Pick]) -> tuple[Judged, Audit]:
    """What decisions on the queue's picks, or on a draw, say of all traces, and those decisions."""
    judged, found, _ = _audited(judge, picks, {})
    return judged, found


@dataclass(frozen=True, slots=True)
class _Basis:
    """Decisions that speak for all traces but those left out, and the probability with which each was drawn."""

    decisions: Sequence[Decision]
    probability: Sequence[float]
    left_out: frozenset[str]

    def expected_variance(self, judge: Judge) -> float:
        """What the variance of accuracy would be were the posterior calibrated; no label is looked at.

        The sum over all traces is estimated from those drawn (Horvitz & Thompson 1952).
        """
        doubt = _doubt(judge)[_rows(judge, (decision.trace_id for decision in self.decisions))]
        chances = np.array(self.probability)
        population = len(judge.fitted.trace_ids) - len(self.left_out)
        return float((doubt * (1 - chances) / chances**2).sum()) / population**2


def _audited(
    judge: Judge, picks: Sequence[Pick], categories: Mapping[str, str]
) -> tuple[Judged, Audit, float]:
    """The decisions used, what they say, and the variance they promised."""
    bases = [basis for basis in _bases(judge, picks) if basis.decisions]
    if not bases:
        return judge.judge([]), NOT_AUDITED, 0.0
    basis = min(bases, key=lambda basis: basis.expected_variance(judge))
    names = [name for name in judge.fitted.trace_ids if name not in basis.left_out]
    row_of = {name: row for row, name in enumerate(names)}
    judged = judge.judge(basis.decisions)
    rows = np.array([row_of[decision.trace_id] for decision in basis.decisions], dtype=np.intp)
    probs = np.array(judge.fitted.probs[_rows(judge, names)])
    probs[rows] = judged.probs
    sample = Sample(judged.gold, rows, np.array(basis.probability), probs)
    places = [categories[name] for name in names] if categories else []
    return judged, audit_sample(sample, judge.task.labels, places), basis.expected_variance(judge)


def _bases(judge: Judge, picks: Sequence[Pick]) -> list[_Basis]:
    """The audit lane alone, the whole queue once it is decided, and the last draw as far as it is decided.

    Gold brought for a trace of the queue counts like a review of that pick; gold brought for another trace speaks
    for itself alone, and the trace is no part of the population of the queue.
    """
    own = {pick.trace_id: pick for pick in picks if pick.lane not in ASKED_FOR}
    rate = next((pick.parts["audit"] for pick in own.values() if "audit" in pick.parts), 0.0)
    routed = [_routed(judge, decision, own.get(decision.trace_id), rate) for decision in judge.decisions]
    left_out = frozenset(decision.trace_id for decision in routed if decision.lane is None)
    population = len(judge.fitted.trace_ids) - len(left_out)
    audited = [decision for decision in routed if decision.lane == AUDIT]
    even = len(audited) / max(population, 1)
    bases = [_Basis(audited, [even] * len(audited), left_out)]
    queued = [one for one in routed if one.lane is not None and one.lane not in ASKED_FOR]
    if own and own.keys() <= _ids(judge.decisions):
        bases.append(_Basis(queued, [one.probability or 1.0 for one in queued], left_out))
    drawn = drawn_for(judge)
    return [*bases, *([_drawn_basis(judge, drawn)] if drawn else [])]


def _drawn_basis(judge: Judge, drawn: Drawn) -> _Basis:
    """What was known before the draw, for certain, and what of the draw is decided without a gap."""
    decided = {decision.trace_id: decision for decision in judge.decisions}
    turn = drawn.decided_up_to(decided.keys())
    known = [decided[name] for name in drawn.known if name in decided]
    found = [name for name in drawn.probability if drawn.turn[name] < turn]
    chances = [max(drawn.probability[name] * turn, 1e-9) for name in found]
    return _Basis(
        [*known, *(decided[name] for name in found)] if found else [],
        [1.0] * len(known) + chances,
        frozenset(),
    )


def _routed(judge: Judge, decision: Decision, pick: Pick | None, rate: float) -> Decision:
    """The decision with the lane it belongs to; the random lane is who has a low enough number, whoever asked first."""
    if decision.lane in ASKED_FOR and permanent_numbers([decision.trace_id], judge.task.name)[0] < rate:
        return replace(decision, lane=AUDIT, probability=rate)
    if decision.lane is not None or pick is None:
        return decision
    return replace(decision, lane=pick.lane, probability=pick.probability)


def _missing(judge: Judge, found: Audit, promised: float) -> Missing | None:
    """Counted with the spread the decisions show, where that is more than the `promised` variance."""
    accuracy = found.accuracy
    if accuracy is None:
        return None
    if _half(accuracy) <= HALF_WIDTH:
        return Missing(HALF_WIDTH, 0, 0)
    population = len(judge.fitted.trace_ids)
    spread = max(
        (accuracy.estimate * found.n + 1) * ((1 - accuracy.estimate) * found.n + 1) / (found.n + 2) ** 2, 0
    )
    plain = spread / ((HALF_WIDTH / Z95) ** 2 + spread / population)
    decided = _ids(judge.decisions)
    doubt = _doubt(judge)[[name not in decided for name in judge.fitted.trace_ids]]
    inflation = (_half(accuracy) / Z95) ** 2 / max(promised, 1e-12)
    return Missing(
        HALF_WIDTH,
        random=max(math.ceil(plain) - (found.n if found.method in (WILSON, PPI) else 0), 0),
        active=reviews_until(doubt, HALF_WIDTH, max(inflation, 1.0), population),
    )


def _half(estimate: Estimate) -> float:
    return (estimate.high - estimate.low) / 2


def _doubt(judge: Judge) -> Floats:
    confidence = judge.fitted.probs.max(axis=1)
    return np.asarray(confidence * (1 - confidence))


def _rows(judge: Judge, names: Iterable[str]) -> npt.NDArray[np.intp]:
    row_of = {name: row for row, name in enumerate(judge.fitted.trace_ids)}
    return np.array([row_of[name] for name in names], dtype=np.intp)


def _ids(decisions: Iterable[Decision]) -> frozenset[str]:
    return frozenset(decision.trace_id for decision in decisions)


def _report(
    task: str, found: Audit, picked: int = 0, refitted: int = 0, message: str | None = None
) -> AuditReport:
    return AuditReport(
        task=task,
        accuracy=_ends(found.accuracy),
        method=found.method,
        n=found.n,
        picked=picked,
        refitted=refitted,
        balance=found.balance,
        precision=found.precision,
        recall=found.recall,
        message=message,
        categories=found.categories,
        posterior=found.posterior,
        posterior_balance=found.posterior_balance,
        more=None,
    )


def _ends(accuracy: Estimate | None) -> Figure:
    if accuracy is None:
        return {"estimate": None, "low": None, "high": None}
    return {"estimate": accuracy.estimate, "low": accuracy.low, "high": accuracy.high}
