"""`explain`: one rule for the person who wrote it: where it is wrong, where it decides, whom it repeats, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promptlabel.pipeline.authoring.analyze import RuleRow, analyze, material, unit_of
from promptlabel.pipeline.authoring.preview import rule_named
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import RegisteredRule, Vote
from promptlabel.redaction import redacted
from promptlabel.rules.loading import Task
from promptlabel.store.contract import VoteTable
from promptlabel.votes.suggestions import (
    RuleFacts,
    Twin,
    alone,
    best_threshold,
    decisive,
    suggestions,
    twins,
)

SHOWN = 5
_SNIPPET = 400


@dataclass(frozen=True, slots=True)
class ShownTrace:
    """A trace that stands for others of its kind: the end of what it says, the rule's vote, and gold.

    Where several labels may apply, vote and gold are on one of them: ``refund: applies``.
    """

    trace_id: str
    text: str
    vote: str
    gold: str | None
    confidence: float | None
    rationale: str | None


@dataclass(frozen=True, slots=True)
class SaidLabel:
    """How often the rule says a label, how many of these were judged, and the share of them that is right."""

    label: str
    votes: int
    judged: int
    precision: float | None


@dataclass(frozen=True, slots=True)
class Repeated:
    """A rule that says nearly the same."""

    rule: str
    shared: int
    agreement: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one rule and model does.

    Attributes:
        wrong: traces with another label in gold, the surest first, of `wrong_total`; of sets, labels of traces.
        alone: traces on which nobody else votes, of `alone_total`; of sets, those with a label of which nobody else
            speaks.
        decisive_total: traces on which the majority is another one without this rule.
        usd_per_vote: dollars; None without votes.
    """

    figures: RuleRow
    labels: Sequence[SaidLabel]
    wrong: Sequence[ShownTrace]
    wrong_total: int
    alone: Sequence[ShownTrace]
    alone_total: int
    decisive_total: int
    repeats: Sequence[Repeated]
    usd_per_vote: float | None
    suggestions: Sequence[str]


@dataclass(frozen=True, slots=True)
class ExplainReport:
    """A rule of a task, explained for each of its models; gold that is held back takes no part.

    `unit` is what its votes are on: ``traces``, or ``labels of traces`` where several may apply.
    """

    task: str
    rule: str
    description: str
    models: Sequence[Explanation]
    unit: str = "traces"


def explain(workspace: Workspace, rule: str) -> ExplainReport:
    """The rule as its current votes show it.

    Raises:
        InputError: when no task, or more than one, has a rule of this name.
    """
    task, found = rule_named(workspace.tasks, rule)
    table, gold, _ = material(workspace, task)
    figures = {(row.rule, row.model): row for row in analyze(workspace, task).rules}
    description = getattr(found, "description", "") or getattr(
        getattr(found, "spec", None), "description", ""
    )
    views = [
        _View(workspace, task, table, gold, column, figures[one.rule, one.model]).explanation()
        for column, one in enumerate(table.rules)
        if one.rule == rule
    ]
    return ExplainReport(task.name, rule, description, views, unit_of(task))


@dataclass(frozen=True)
class _View:
    """One column of a task's votes, beside gold and the other columns; of several labels a row for each trace and label."""

    workspace: Workspace
    task: Task
    table: VoteTable
    gold: npt.NDArray[np.int64]
    column: int
    figures: RuleRow

    def explanation(self) -> Explanation:
        own = self._own
        wrong = np.flatnonzero((own >= 0) & (self.gold >= 0) & (own != self.gold))
        by_itself = alone(self.table.votes, self.column)
        stored = self._stored([*self._ids(wrong), *self._ids(by_itself[:SHOWN])])
        repeats = twins(self.table.votes, self.column)
        named = [(self._name(self.table.rules[twin.column]), twin) for twin in repeats]
        return Explanation(
            figures=self.figures,
            labels=self._labels,
            wrong=self._shown(self._surest(wrong, stored), stored),
            wrong_total=len(wrong),
            alone=self._shown(by_itself.tolist(), stored),
            alone_total=self._traces(by_itself),
            decisive_total=self._traces(decisive(self.table.votes, self.column, len(self.table.labels))),
            repeats=[Repeated(name, twin.shared, twin.agreement) for name, twin in named],
            usd_per_vote=self.figures.usd / self.figures.votes if self.figures.votes else None,
            suggestions=suggestions(self._facts(named, self._traces(by_itself))),
        )

    def _surest(self, rows: npt.NDArray[np.intp], stored: Mapping[str, Vote]) -> list[int]:
        """The rows, those with the most confident votes first."""
        return sorted(rows.tolist(), key=lambda row: -(stored[self.table.trace_ids[row]].confidence or 0))

    @property
    def _own(self) -> npt.NDArray[np.int64]:
        return self.table.votes[:, self.column].astype(np.int64)

    @property
    def _rule(self) -> RegisteredRule:
        return self.table.rules[self.column]

    @property
    def _labels(self) -> list[SaidLabel]:
        return [self._said(index, label) for index, label in enumerate(self.task.labels)]

    def _said(self, index: int, label: str) -> SaidLabel:
        says = self._own == index if not self._is_of_sets else (self._own == 1) & (self._about == index)
        judged = says & (self.gold >= 0)
        right = int((judged & (self.gold == self._own)).sum())
        total = int(judged.sum())
        return SaidLabel(label, int(says.sum()), total, right / total if total else None)

    @property
    def _is_of_sets(self) -> bool:
        return self.task.spec.kind == "several"

    @property
    def _about(self) -> npt.NDArray[np.intp]:
        """Where several labels may apply, the label that each row is about."""
        return np.arange(len(self.table.trace_ids)) % len(self.task.labels)

    def _facts(self, named: Sequence[tuple[str, Twin]], by_itself: int) -> RuleFacts:
        known = self.gold[self.gold >= 0]
        statuses = self.workspace.store.count_votes(self.task.name).get(
            (self._rule.rule, self._rule.model), {}
        )
        cast = sum(statuses.values())
        return RuleFacts(
            labels=self.task.labels,
            traces=len(set(self.table.trace_ids)),
            votes=self.figures.votes,
            judged=[said.judged for said in self._labels],
            precision=[said.precision for said in self._labels],
            accuracy=self.figures.accuracy,
            base_rate=float(np.bincount(known).max() / len(known)) if len(known) else None,
            unreadable=(statuses.get("malformed", 0) + statuses.get("error", 0)) / max(cast, 1),
            usd=self.figures.usd,
            advice=self.figures.advice,
            threshold=best_threshold(self._own, self.gold, self._confidence),
            twins=named,
            alone=by_itself,
            is_prompt=self._rule.kind == "prompt",
            unit=unit_of(self.task),
        )

    @property
    def _confidence(self) -> npt.NDArray[np.float64]:
        soft = self.table.soft.get(self.column)
        if soft is None:
            return np.full(len(self.table.trace_ids), np.nan)
        return np.where(self._own >= 0, np.nan_to_num(soft, nan=-1.0).max(axis=1), np.nan)

    def _name(self, rule: RegisteredRule) -> str:
        return f"{rule.rule} ({rule.model})" if rule.kind == "prompt" else rule.rule

    def _traces(self, rows: npt.NDArray[np.intp]) -> int:
        return len(set(self._ids(rows)))

    def _ids(self, rows: npt.NDArray[np.intp]) -> list[str]:
        return [self.table.trace_ids[row] for row in rows.tolist()]

    def _stored(self, ids: Sequence[str]) -> Mapping[str, Vote]:
        votes = self.workspace.store.votes(self.task.name, rule=self._rule.rule, trace_ids=ids)
        return {vote.trace_id: vote for owner, vote in votes if owner.model == self._rule.model}

    def _shown(self, rows: Sequence[int], stored: Mapping[str, Vote]) -> list[ShownTrace]:
        chosen = [row for row in rows[:SHOWN] if self.table.trace_ids[row] in stored]
        names = list({self.table.trace_ids[row] for row in chosen})
        texts = {trace.trace_id: redacted(trace.transcript) for trace in self.workspace.store.traces(names)}
        return [self._shown_row(row, stored, texts) for row in chosen]

    def _shown_row(self, row: int, stored: Mapping[str, Vote], texts: Mapping[str, str]) -> ShownTrace:
        name, gold = self.table.trace_ids[row], int(self.gold[row])
        return ShownTrace(
            trace_id=name,
            text=texts[name][-_SNIPPET:],
            vote=self._in_words(row, int(self._own[row])),
            gold=self._in_words(row, gold) if gold >= 0 else None,
            confidence=stored[name].confidence,
            rationale=stored[name].rationale,
        )

    def _in_words(self, row: int, said: int) -> str:
        label = self.table.labels[said]
        return f"{self.task.labels[int(self._about[row])]}: {label}" if self._is_of_sets else label
