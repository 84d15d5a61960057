"""`analyze`: what each rule of a task does, and what that is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from promptlabel.pipeline.fit import gold_column
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import RegisteredRule, RuleKind
from promptlabel.rules.loading import Task
from promptlabel.store.contract import Spent
from promptlabel.votes.analysis import VoteAnalysis, analyze_votes


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule and model; shares are of all traces, accuracy and its interval None without gold."""

    task: str
    rule: str
    kind: RuleKind
    model: str
    votes: int
    calls: int
    coverage: float
    overlap: float
    conflict: float
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    usd: float


@dataclass(frozen=True, slots=True)
class AnalyzeReport:
    """A row a rule; `n_eff` is how many independent votes the rules amount to, `n_eff_source` how it was found."""

    task: str
    rules: tuple[RuleRow, ...]
    n_eff: float | None
    n_eff_source: str


def analyze(workspace: Workspace, task: Task) -> AnalyzeReport:
    """The task's current votes, described; gold that is held back takes no part."""
    table = workspace.store.vote_table(task.name, task.labels)
    analysis = analyze_votes(
        table.votes, gold=gold_column(workspace, task, table), n_classes=len(task.labels)
    )
    costs = workspace.store.cost(task.name)
    rows = tuple(
        _row(rule, analysis, column, costs.get((rule.rule, rule.model), Spent(0.0, 0)))
        for column, rule in enumerate(table.rules)
    )
    return AnalyzeReport(task.name, rows, analysis.n_eff if rows else None, analysis.n_eff_source)


def _row(rule: RegisteredRule, analysis: VoteAnalysis, column: int, spent: Spent) -> RuleRow:
    return RuleRow(
        task=rule.task,
        rule=rule.rule,
        kind=rule.kind,
        model=rule.model,
        votes=int(analysis.votes[column]),
        calls=spent.calls,
        coverage=float(analysis.coverage[column]),
        overlap=float(analysis.overlap[column]),
        conflict=float(analysis.conflict[column]),
        accuracy=_known(analysis.accuracy[column]),
        accuracy_low=_known(analysis.accuracy_low[column]),
        accuracy_high=_known(analysis.accuracy_high[column]),
        usd=spent.usd,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
