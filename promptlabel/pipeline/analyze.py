"""`analyze`: what each rule of a task does, and what that is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promptlabel.labelmodel.anchored import Anchored
from promptlabel.labelmodel.balance import LEAST_GOLD
from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.patterns import group
from promptlabel.labelmodel.worth import Advice, RuleWorth, rule_worth
from promptlabel.pipeline.fit import balance_of, gold_column
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import RegisteredRule, RuleKind
from promptlabel.rules.loading import Task
from promptlabel.store.contract import Spent, VoteTable
from promptlabel.votes.analysis import VoteAnalysis, analyze_votes


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule and model; shares are of all traces, accuracy and its interval None without gold.

    Attributes:
        adds: how much lower the log-loss of all rules together is on gold with this one, in nats; None with little gold.
        advice: whether to keep, pay for, fix or drop it, ``unknown`` with little gold.
    """

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
    adds: float | None
    advice: Advice


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
    gold = gold_column(workspace, task, table)
    analysis = analyze_votes(table.votes, gold=gold, n_classes=len(task.labels))
    by_rule = workspace.store.cost(task.name)
    costs = [by_rule.get((rule.rule, rule.model), Spent(0.0, 0)) for rule in table.rules]
    worths = _worths(task, table, gold, [cost.usd for cost in costs])
    rows = tuple(
        _row(rule, analysis, column, costs[column], worths.get(column))
        for column, rule in enumerate(table.rules)
    )
    return AnalyzeReport(task.name, rows, analysis.n_eff if rows else None, analysis.n_eff_source)


def _worths(
    task: Task, table: VoteTable, gold: npt.NDArray[np.int64], costs: Sequence[float]
) -> dict[int, RuleWorth]:
    """What each column adds to the rules weighed together, nothing with little gold."""
    rows = np.flatnonzero(gold >= 0)
    if len(rows) < LEAST_GOLD:
        return {}
    patterns, inverse = group(table.votes, len(task.labels))
    labelled = Labelled(patterns.take(inverse[rows]), gold[rows])
    balance = np.array(balance_of(task) or [1 / len(task.labels)] * len(task.labels))
    return {worth.rule: worth for worth in rule_worth(_panel, patterns, labelled, lambda _: balance, costs)}


def _panel() -> Anchored:
    """Rules weighed together, so that one which repeats another is seen to add nothing."""
    return Anchored(Majority)


def _row(
    rule: RegisteredRule, analysis: VoteAnalysis, column: int, spent: Spent, worth: RuleWorth | None
) -> RuleRow:
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
        adds=worth.marginal_log_loss if worth else None,
        advice=worth.advice if worth else "unknown",
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
