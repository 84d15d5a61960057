"""`report`: the figures of all tasks gathered from store and evals, as one HTML file and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from promptlabel.evals.intervals import Estimate
from promptlabel.evals.periods import month
from promptlabel.evals.versions import EvalVersion
from promptlabel.flywheel.drift import WINDOW, Divergence, divergence
from promptlabel.flywheel.figures import (
    Comparison,
    EvalFigures,
    ModelFigures,
    MonthFigures,
    QueueFigures,
    ReportFigures,
    RuleFigures,
    SingleRules,
    TaskFigures,
    VersionFigures,
    compare,
    cycle_of,
    posterior_figures,
)
from promptlabel.flywheel.gap import Gap, category_gap
from promptlabel.flywheel.history import read_cycles
from promptlabel.flywheel.report import report_html
from promptlabel.flywheel.turning import cost_of_useful, edge_cases, flow, lag_days, median_estimate
from promptlabel.labelmodel import LabelModel
from promptlabel.pipeline.authoring.analyze import RuleRow, analyze
from promptlabel.pipeline.eval_sets import eval_versions
from promptlabel.pipeline.evaluating.audit import audit_fit
from promptlabel.pipeline.evaluating.freshening import beside_production
from promptlabel.pipeline.exporting.trained import trained_ids
from promptlabel.pipeline.exporting.written import remember_written
from promptlabel.pipeline.files import write_bytes
from promptlabel.pipeline.fitting.judging import Judge, Judged, judge_of
from promptlabel.pipeline.refusing import refusals
from promptlabel.pipeline.reporting.guarding import Seen, guard_figures
from promptlabel.pipeline.reviewing.reviewers import reviewers
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import JsonValue, Trace
from promptlabel.redaction import redacted
from promptlabel.review.adjudication import decide
from promptlabel.routing.lanes import AUDIT
from promptlabel.rules.loading import Task
from promptlabel.store.contract import PosteriorTable, Store

SEED = 0
"""The report draws random numbers for its null distributions; fixed, so that it says the same twice."""

FIRST_ITEMS = 8

HARDER = "; some were picked for being uncertain, so they are harder than most"


@dataclass(frozen=True, slots=True)
class ReportResult:
    """Where the report is, how many traces it speaks of, and all its figures."""

    path: str
    rows: int
    figures: ReportFigures


def report(workspace: Workspace, out: Path | None = None, *, now: datetime | None = None) -> ReportResult:
    """The report of the workspace's tasks, written whole or not at all; by default ``report.html``."""
    path = out or workspace.project.root / "report.html"
    spent = workspace.store.spent()
    production, seen = _production(workspace.store)
    figures = ReportFigures(
        project=workspace.project.root.resolve().name,
        made_at=now or datetime.now(UTC),
        usd=spent.usd,
        calls=spent.calls,
        forgotten=sum(one.traces for one in workspace.store.forgettings()),
        tasks=tuple(task_figures(workspace, task, production, seen) for task in workspace.tasks),
    )
    write_bytes(path, report_html(figures).encode())
    remember_written(workspace, "report", path)
    for task in figures.tasks:
        if task.cycles.known:
            workspace.store.save_state(_history(task.task), [cycle.record() for cycle in task.cycles.known])
    return ReportResult(str(path), len(production), figures)


def task_figures(
    workspace: Workspace, task: Task, production: Sequence[Trace], seen: Sequence[Seen]
) -> TaskFigures:
    """Everything the report shows of a task; of production it needs times and categories, and what guards see."""
    store = workspace.store
    analysis = analyze(workspace, task)
    figures = TaskFigures(
        task=task.name,
        labels=task.spec.labels,
        traces=len(production),
        gold=len(decide(store.reviews(task.name), store.gold(task.name))),
        rules=tuple(_rule(row) for row in analysis.rules),
        n_eff=analysis.n_eff,
        queue=_queue(store, task.name),
        evals=_evals(workspace, eval_versions(workspace, task.name), production),
    )
    judge = judge_of(workspace, task)
    known = figures if judge is None else _with_fit(figures, judge, store, production)
    known = _with_people(known, workspace, task, production)
    return _with_history(replace(known, guards=guard_figures(workspace, task, seen)), store)


def _with_people(
    figures: TaskFigures, workspace: Workspace, task: Task, production: Sequence[Trace]
) -> TaskFigures:
    """The figures and what people's work adds: their agreement and pace, edge cases in training, what was refused."""
    store, waiting = workspace.store, sum(figures.queue.waiting.values())
    events = store.reviews(task.name)
    decided = [one.at for one in decide(events)]
    times = [trace.timestamp for trace in production if trace.timestamp]
    return replace(
        figures,
        people=reviewers(workspace, task),
        flow=flow(times, decided, workspace.project.settings.routing.share, waiting)
        if decided or waiting
        else None,
        seconds=median_estimate([event.seconds for event in events if event.seconds is not None]),
        edges=edge_cases(store.queue(task.name), production, trained_ids(workspace, task.name)),
        refused=refusals(workspace, task.name),
    )


def _with_history(figures: TaskFigures, store: Store) -> TaskFigures:
    cycle, known = cycle_of(figures), read_cycles(store.state(_history(figures.task)))
    return figures if cycle is None else replace(figures, cycles=known.followed_by(cycle))


def _history(task: str) -> str:
    return f"cycles:{task}"


def _with_fit(figures: TaskFigures, judge: Judge, store: Store, production: Sequence[Trace]) -> TaskFigures:
    judged, basis = _unseen(judge)
    comparison, audited = _comparison(judge, judged, basis), audit_fit(judge, store.queue(judge.task.name))[1]
    accuracy = audited.accuracy or (comparison.scores[0].accuracy if comparison else None)
    spent = sum(rule.usd for rule in figures.rules)
    return replace(
        figures,
        model=_model(judge.fitted),
        posterior=posterior_figures(judge.fitted.probs, judge.fitted.labels),
        audit=audited,
        comparison=comparison,
        cost=cost_of_useful(spent, int((judge.table.votes >= 0).any(axis=1).sum()), accuracy),
        gap=_gap(judged, production),
    )


def _production(store: Store) -> tuple[list[Trace], list[Seen]]:
    """What freshness and what guards need of every trace, read once and so little that all of them fit into memory."""
    production, seen = [], []
    for trace in store.traces():
        production.append(Trace(trace.trace_id, trace.timestamp, category=trace.category))
        seen.append(Seen.of(trace))
    return production, seen


def _rule(row: RuleRow) -> RuleFigures:
    return RuleFigures(
        rule=row.rule,
        kind=row.kind,
        model=row.model,
        votes=row.votes,
        calls=row.calls,
        coverage=row.coverage,
        overlap=row.overlap,
        conflict=row.conflict,
        accuracy=_accuracy(row),
        usd=row.usd,
        note=_note(row),
        usd_per_useful_vote=row.usd_per_useful_vote,
    )


def _note(row: RuleRow) -> str:
    if row.position is not None and row.position.flips is not None:
        return f"{row.position.flips:.0%} of {row.position.pairs:,} pairs flip with the order"
    if row.ordered is None:
        return ""
    kappa = "" if row.ordered.kappa is None else f", quadratic-weighted agreement {row.ordered.kappa:.2f}"
    return f"off by {row.ordered.distance:.2f} labels on average{kappa}"


def _accuracy(row: RuleRow) -> Estimate | None:
    if row.accuracy is None or row.accuracy_low is None or row.accuracy_high is None:
        return None
    return Estimate(row.accuracy, row.accuracy_low, row.accuracy_high)


def _queue(store: Store, task: str) -> QueueFigures:
    waiting = store.queue(task, undecided=True)
    return QueueFigures(
        waiting=Counter(pick.lane for pick in waiting),
        decided=len(store.queue(task)) - len(waiting),
        first=tuple(replace(pick, reason=redacted(pick.reason)) for pick in waiting[:FIRST_ITEMS]),
    )


def _model(fitted: PosteriorTable) -> ModelFigures:
    return ModelFigures(
        chosen=fitted.chosen,
        reason=str(fitted.report.get("reason", "")),
        compared=_compared(fitted.report.get("compared")),
        fitted_at=fitted.fitted_at,
    )


def _compared(candidates: JsonValue) -> Mapping[str, Mapping[str, float]]:
    """The numbers among what the gate tells of its candidates."""
    if not isinstance(candidates, Mapping):
        return {}
    figures = {name: found for name, found in candidates.items() if isinstance(found, Mapping)}
    return {
        name: {key: float(value) for key, value in found.items() if isinstance(value, int | float)}
        for name, found in figures.items()
    }


def _comparison(judge: Judge, judged: Judged, basis: str) -> Comparison | None:
    if not judged.decisions or not judge.table.rules:
        return None
    votes = judge.table.votes[judged.rows]
    majority = LabelModel(len(judge.task.labels), method="majority", class_balance=_even(judge.task))
    return compare(
        judged.probs,
        majority.fit(votes).predict_proba(votes),
        SingleRules(votes, tuple(rule.rule for rule in judge.table.rules)),
        judged.gold,
        basis,
    )


def _unseen(judge: Judge) -> tuple[Judged, str]:
    """The gold that the fit has not seen; where it saw all, all, with probabilities of fits without it."""
    unseen = [decision for decision in judge.decisions if decision.trace_id not in judge.taught]
    judged = judge.judge(unseen or judge.decisions)
    how = "that the label model never saw" if unseen else "each judged by a fit without it (five folds)"
    ranked = any(decision.lane not in (None, AUDIT) for decision in judged.decisions)
    return judged, f"{len(judged.decisions)} human labels {how}{HARDER if ranked else ''}"


def _even(task: Task) -> list[float]:
    return [1 / len(task.labels)] * len(task.labels)


def _gap(judged: Judged, production: Iterable[Trace]) -> Gap | None:
    category_of = {trace.trace_id: trace.category or "none" for trace in production}
    categories = [category_of[decision.trace_id] for decision in judged.decisions]
    return category_gap(categories, judged.right, np.random.default_rng(SEED))


def _evals(workspace: Workspace, versions: Sequence[EvalVersion], production: Sequence[Trace]) -> EvalFigures:
    if not versions:
        return EvalFigures((), None, ())
    cases = [case.trace for case in versions[-1].cases]
    return EvalFigures(
        versions=tuple(_version(version, production) for version in versions),
        freshness=beside_production(workspace, cases).freshness,
        months=_months(cases, production),
    )


def _version(version: EvalVersion, production: Sequence[Trace]) -> VersionFigures:
    as_of = max((case.as_of for case in version.cases), default=None)
    return VersionFigures(
        version=version.version,
        cases=len(version.cases),
        fresh=sum(case.since == version.version for case in version.cases),
        labels=Counter(case.label for case in version.cases),
        as_of=as_of,
        lag=lag_days(version),
        drift=_drift(version, production, as_of),
    )


def _drift(version: EvalVersion, production: Sequence[Trace], as_of: datetime | None) -> Divergence | None:
    """How the version's categories differ from those of production in the window before its last decision."""
    if as_of is None:
        return None
    then = [one for one in production if one.timestamp and as_of - WINDOW < one.timestamp <= as_of]
    cases = [case.trace.category or "none" for case in version.cases]
    return divergence(cases, [one.category or "none" for one in then], np.random.default_rng(SEED))


def _months(cases: Sequence[Trace], production: Sequence[Trace]) -> tuple[MonthFigures, ...]:
    ours, all_of_them = Counter(map(month, cases)), Counter(map(month, production))
    return tuple(
        MonthFigures(name, ours[name] / max(len(cases), 1), all_of_them[name] / len(production))
        for name in sorted(all_of_them)
    )
