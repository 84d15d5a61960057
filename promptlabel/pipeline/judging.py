"""Human labels beside the probabilities of a fit that had not seen them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from promptlabel.labelmodel import LabelModel
from promptlabel.labelmodel.model import Method
from promptlabel.pipeline.fit import ENOUGH_GOLD_FOR_TEXT
from promptlabel.pipeline.gold import split_gold
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN
from promptlabel.review.adjudication import Decision
from promptlabel.rules.loading import Task
from promptlabel.store.contract import PosteriorTable, VoteTable

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

FOLDS = 5
ASKED_FOR = "asked for"


@dataclass(frozen=True, slots=True)
class Judged:
    """Decided traces with a posterior, all ``[n]``.

    Attributes:
        rows: their rows in the vote table.
        gold: label index that people gave.
        probs: float ``[n, K]`` from a fit without the trace's own label.
        seen: whether the stored fit may have learnt from the label, so that a fit without it was made.
    """

    decisions: tuple[Decision, ...]
    rows: Indices
    gold: Indices
    probs: Floats
    seen: npt.NDArray[np.bool_]

    def where(self, wanted: Sequence[bool] | npt.NDArray[np.bool_]) -> Judged:
        """Those rows that are wanted."""
        keep = np.array(wanted, dtype=bool)
        decisions = tuple(decision for decision, kept in zip(self.decisions, wanted, strict=True) if kept)
        return Judged(decisions, self.rows[keep], self.gold[keep], self.probs[keep], self.seen[keep])


def judge(workspace: Workspace, task: Task, table: VoteTable, fitted: PosteriorTable) -> Judged:
    """All blind decisions of the task beside unseen probabilities.

    Gold that is held back, or was decided after the fit, meets the stored posteriors; gold that the
    fit may have learnt from meets posteriors of a fit without it (cross-fitting in five folds).
    """
    split = split_gold(workspace, task)
    decisions = _judgeable((*split.judging, *split.teaching), task, table, fitted)
    row_of = {trace_id: row for row, trace_id in enumerate(table.trace_ids)}
    label_of = {label: index for index, label in enumerate(task.labels)}
    rows = np.array([row_of[decision.trace_id] for decision in decisions], dtype=np.int64)
    gold = np.array([label_of[decision.label] for decision in decisions], dtype=np.int64)
    seen_ids = {one.trace_id for one in split.teaching if one.at <= fitted.fitted_at}
    seen = np.array([decision.trace_id in seen_ids for decision in decisions], dtype=bool)
    probs = stored_rows(fitted, [decision.trace_id for decision in decisions])
    if seen.any():
        probs[seen] = _cross_fitted(workspace, task, table, fitted, (rows[seen], gold[seen]))
    return Judged(decisions, rows, gold, probs, seen)


def stored_rows(fitted: PosteriorTable, trace_ids: Sequence[str]) -> Floats:
    """The stored posteriors of these traces, ``[n, K]``."""
    row_of = {trace_id: row for row, trace_id in enumerate(fitted.trace_ids)}
    return fitted.probs[[row_of[trace_id] for trace_id in trace_ids]]


def _judgeable(
    decisions: Sequence[Decision], task: Task, table: VoteTable, fitted: PosteriorTable
) -> tuple[Decision, ...]:
    known = set(table.trace_ids) & set(fitted.trace_ids)
    return tuple(one for one in decisions if one.blind and one.trace_id in known and one.label in task.labels)


def _cross_fitted(
    workspace: Workspace, task: Task, table: VoteTable, fitted: PosteriorTable, seen: tuple[Indices, Indices]
) -> Floats:
    rows, gold = seen
    method = _method(fitted)
    texts = _texts(workspace, method, len(gold))
    probs = np.empty((len(rows), len(task.labels)))
    for fold in range(min(FOLDS, len(rows))):
        held = np.arange(len(rows)) % FOLDS == fold
        teaching = np.full(len(table.trace_ids), ABSTAIN, dtype=np.int64)
        teaching[rows[~held]] = gold[~held]
        model = LabelModel(len(task.labels), method=method, class_balance=_balance(task))
        model.fit(table.votes, gold=teaching, text=texts, soft=table.soft)
        probs[held] = _predicted(model, table, texts, rows[held])
    return probs


def _predicted(model: LabelModel, table: VoteTable, texts: Sequence[str] | None, rows: Indices) -> Floats:
    return model.predict_proba(
        table.votes[rows],
        text=[texts[row] for row in rows.tolist()] if texts else None,
        soft={column: distributions[rows] for column, distributions in table.soft.items()},
    )


def _method(fitted: PosteriorTable) -> Method:
    """How the stored fit was asked for: the gate chooses again in every fold where it chose then."""
    asked = fitted.report.get("reason") == ASKED_FOR
    return next((method for method in get_args(Method) if asked and method == fitted.chosen), "auto")


def _balance(task: Task) -> list[float] | None:
    balance = task.spec.class_balance
    return [balance[label] for label in task.labels] if balance else None


def _texts(workspace: Workspace, method: Method, gold: int) -> list[str] | None:
    if method not in ("auto", "anchored") or gold < ENOUGH_GOLD_FOR_TEXT:
        return None
    return [trace.transcript for trace in workspace.store.traces()]
