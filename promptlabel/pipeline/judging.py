"""Human labels beside the probabilities of a fit that had not seen them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from promptlabel.labelmodel import LabelModel
from promptlabel.labelmodel.model import Method
from promptlabel.pipeline.fit import balance_of, taught_by, texts_for
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN
from promptlabel.review.adjudication import Decision, decide
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

    Gold that the last fit did not see meets the stored posteriors; gold that it learnt from meets
    posteriors of fits made like it but without that gold (cross-fitting in five folds).
    """
    decisions = _judgeable(workspace, task, table, fitted)
    row_of = {trace_id: row for row, trace_id in enumerate(table.trace_ids)}
    label_of = {label: index for index, label in enumerate(task.labels)}
    rows = np.array([row_of[decision.trace_id] for decision in decisions], dtype=np.int64)
    gold = np.array([label_of[decision.label] for decision in decisions], dtype=np.int64)
    taught = taught_ids(workspace, task)
    seen = np.array([decision.trace_id in taught for decision in decisions], dtype=bool)
    probs = stored_rows(fitted, [decision.trace_id for decision in decisions])
    if seen.any():
        probs[seen] = _cross_fitted(workspace, task, table, fitted, (rows[seen], gold[seen]))
    return Judged(decisions, rows, gold, probs, seen)


def taught_ids(workspace: Workspace, task: Task) -> frozenset[str]:
    """The traces whose gold the task's last fit has seen."""
    taught = workspace.store.state(taught_by(task))
    return frozenset(map(str, taught)) if isinstance(taught, Sequence) else frozenset()


def stored_rows(fitted: PosteriorTable, trace_ids: Sequence[str]) -> Floats:
    """The stored posteriors of these traces, ``[n, K]``."""
    row_of = {trace_id: row for row, trace_id in enumerate(fitted.trace_ids)}
    return fitted.probs[[row_of[trace_id] for trace_id in trace_ids]]


def _judgeable(
    workspace: Workspace, task: Task, table: VoteTable, fitted: PosteriorTable
) -> tuple[Decision, ...]:
    known = set(table.trace_ids) & set(fitted.trace_ids)
    decisions = decide(workspace.store.reviews(task.name), workspace.store.gold(task.name))
    return tuple(one for one in decisions if one.blind and one.trace_id in known and one.label in task.labels)


def _cross_fitted(
    workspace: Workspace, task: Task, table: VoteTable, fitted: PosteriorTable, seen: tuple[Indices, Indices]
) -> Floats:
    rows, gold = seen
    method = _method(fitted)
    column = np.full(len(table.trace_ids), ABSTAIN, dtype=np.int64)
    column[rows] = gold
    texts = texts_for(workspace, method, column)
    probs = np.empty((len(rows), len(task.labels)))
    for fold in range(min(FOLDS, len(rows))):
        held = rows[np.arange(len(rows)) % FOLDS == fold]
        taught = column.copy()
        taught[held] = ABSTAIN
        model = LabelModel(len(task.labels), method=method, class_balance=balance_of(task))
        model.fit(table.votes, gold=taught, text=texts, soft=table.soft)
        probs[np.arange(len(rows)) % FOLDS == fold] = _predicted(model, table, texts, held)
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
