"""`analyze`: what each rule of a task does, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from promptlabel.labelmodel.anchored import Anchored
from promptlabel.labelmodel.balance import LEAST_GOLD, ClassBalance
from promptlabel.labelmodel.base import GoldRows
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.ordered import OrderedFigures, ordered_figures_of
from promptlabel.labelmodel.patterns import group
from promptlabel.labelmodel.worth import Advice, RuleWorth, rule_worth
from promptlabel.pipeline.fitting.fit import balance_of, drawn_at_random, gold_column, gold_sets
from promptlabel.pipeline.fitting.tables import flat_table, vote_table
from promptlabel.pipeline.voting.pairing import measured_bias
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import RegisteredRule, RuleKind
from promptlabel.rules.loading import Task
from promptlabel.store.contract import Spent, VoteTable
from promptlabel.votes.analysis import VoteAnalysis, analyze_votes
from promptlabel.votes.dependence import Dependence
from promptlabel.votes.positions import PositionBias


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule and model; shares are of all traces, accuracy and its interval None without gold.

    Where several labels may apply a vote is what a rule says of one label of one trace, and so is what is right.

    Attributes:
        position: of a pairwise rule that was asked, what the order of the outputs does to its answers.
        ordered: how far off its votes are, of labels in order and where there is gold.
        usd_per_useful_vote: what a vote that is right has cost, None where nothing is known to be right.
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
    usd_per_useful_vote: float | None
    adds: float | None
    advice: Advice
    position: PositionBias | None = None
    ordered: OrderedFigures | None = None


@dataclass(frozen=True, slots=True)
class Redundant:
    """Two rules, the first with its model, whose errors correlate by half or more."""

    rule: str
    model: str
    repeats: str
    repeats_model: str
    error_correlation: float


@dataclass(frozen=True, slots=True)
class AnalyzeReport:
    """A row a rule, and how many independent votes the rules amount to.

    Attributes:
        n_eff: of all rules; without gold it is an upper bound.
        n_eff_source: ``gold``, ``agreement`` or ``none``, as in `Dependence`.
        n_eff_by_family: the same of all prompts of one model, and of all code rules.
        redundant: pairs of rules that repeat one another, worst first.
        unit: what is voted on and counted: ``traces``, or ``labels of traces`` where several may apply.
    """

    task: str
    rules: tuple[RuleRow, ...]
    n_eff: float | None
    n_eff_source: str
    n_eff_by_family: Mapping[str, float]
    redundant: tuple[Redundant, ...]
    unit: str = "traces"


def unit_of(task: Task) -> str:
    """What the task's votes are on: traces, or where several labels may apply the labels of traces."""
    return "labels of traces" if task.spec.kind == "several" else "traces"


def analyze(workspace: Workspace, task: Task) -> AnalyzeReport:
    """The task's current votes, described; gold that is held back takes no part."""
    table, gold, random = material(workspace, task)
    analysis = analyze_votes(table.votes, gold=gold, n_classes=len(table.labels))
    by_rule = workspace.store.cost(task.name)
    costs = [by_rule.get((rule.rule, rule.model), Spent(0.0, 0)) for rule in table.rules]
    bias, is_ordered = measured_bias(workspace, task), task.spec.kind == "ordered"
    worths = _worths(task, table, gold, random, [cost.usd for cost in costs])
    rows = tuple(
        replace(
            _row(rule, analysis, column, costs[column], worths.get(column)),
            position=bias.get(rule),
            ordered=ordered_figures_of(table.votes[:, column], gold, len(task.labels))
            if is_ordered
            else None,
        )
        for column, rule in enumerate(table.rules)
    )
    return AnalyzeReport(
        task=task.name,
        rules=rows,
        n_eff=analysis.n_eff if rows else None,
        n_eff_source=analysis.n_eff_source,
        n_eff_by_family=analysis.dependence.by_family(_families(table.rules)),
        redundant=_redundant(table.rules, analysis.dependence),
        unit=unit_of(task),
    )


def material(
    workspace: Workspace, task: Task
) -> tuple[VoteTable, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The votes, the gold beside them, and whether each was drawn at random; where several labels may apply, a row each."""
    if task.spec.kind != "several":
        table = vote_table(workspace, task)
        return table, gold_column(workspace, task, table), drawn_at_random(workspace, task, table.trace_ids)
    votes = workspace.store.label_votes(task.name, task.labels)
    flat = flat_table(votes)
    gold = gold_sets(workspace, task, votes.trace_ids).ravel()
    return flat, gold, np.repeat(drawn_at_random(workspace, task, votes.trace_ids), len(task.labels))


def _families(rules: Sequence[RegisteredRule]) -> dict[str, list[int]]:
    """The columns of each model's prompts, and of the rules in code."""
    families: dict[str, list[int]] = {}
    for column, rule in enumerate(rules):
        families.setdefault(rule.model, []).append(column)
    return families


def _redundant(rules: Sequence[RegisteredRule], dependence: Dependence) -> tuple[Redundant, ...]:
    return tuple(
        Redundant(rules[i].rule, rules[i].model, rules[j].rule, rules[j].model, correlation)
        for i, j, correlation in dependence.redundant_pairs()
    )


def _worths(
    task: Task,
    table: VoteTable,
    gold: npt.NDArray[np.int64],
    random: npt.NDArray[np.bool_],
    costs: Sequence[float],
) -> dict[int, RuleWorth]:
    """What each column adds to the rules weighed together, nothing with little gold."""
    rows = np.flatnonzero(gold >= 0)
    if len(rows) < LEAST_GOLD:
        return {}
    patterns, inverse = group(table.votes, len(table.labels), table.soft)
    labelled = GoldRows(rows, gold[rows], random[rows]).labelled(patterns, inverse)
    given = balance_of(task) if task.spec.kind != "several" else None
    balance = ClassBalance(None if given is None else np.array(given), len(table.labels))
    return {worth.rule: worth for worth in rule_worth(_panel, patterns, labelled, balance, costs)}


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
        usd_per_useful_vote=_known(worth.usd_per_useful_vote) if worth else None,
        adds=worth.marginal_log_loss if worth else None,
        advice=worth.advice if worth else "unknown",
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
