"""Human labels beside the probabilities of a fit that had not seen them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import numpy.typing as npt

from promptlabel.labelmodel import LabelModel
from promptlabel.labelmodel.fitting import Method
from promptlabel.pipeline.fit import balance_of, drawn_at_random, taught_by, texts_for
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN
from promptlabel.review.adjudication import Decision, decide
from promptlabel.rules.loading import Task
from promptlabel.store.contract import PosteriorTable, VoteTable

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Judged:
    """Decided traces with a posterior, all ``[n]``.

    Attributes:
        rows: their rows in the vote table.
        gold: label index that people gave.
        probs: float ``[n, K]`` from a fit without the trace's own label.
        refitted: how many of them the stored fit had learnt from, so that fits without them were made.
    """

    decisions: tuple[Decision, ...]
    rows: Indices
    gold: Indices
    probs: Floats
    refitted: int

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether the likeliest label is the one people gave, ``[n]``."""
        return np.asarray(self.probs.argmax(axis=1) == self.gold)


@dataclass(frozen=True)
class Judge:
    """The last fit of a task, to be held against what people decided."""

    workspace: Workspace
    task: Task
    table: VoteTable
    fitted: PosteriorTable

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """All blind decisions of traces that have votes and a posterior."""
        store, task = self.workspace.store, self.task
        known = set(self.fitted.trace_ids) & self._row_of.keys()
        decided = decide(store.reviews(task.name), store.gold(task.name))
        return tuple(
            one for one in decided if one.blind and one.trace_id in known and one.label in task.labels
        )

    @cached_property
    def taught(self) -> frozenset[str]:
        """The traces whose gold the fit has seen."""
        taught = self.workspace.store.state(taught_by(self.task))
        return frozenset(map(str, taught)) if isinstance(taught, Sequence) else frozenset()

    def judge(self, decisions: Sequence[Decision]) -> Judged:
        """The decisions beside unseen probabilities.

        Gold that the fit did not see meets the stored posteriors; gold that it learnt from meets
        posteriors of fits made like it but without that gold (cross-fitting in five folds).
        """
        names = [decision.trace_id for decision in decisions]
        seen = [name for name in names if name in self.taught]
        unseen_probs = self._cross_fitted if seen else {}
        probs = [unseen_probs[name] if name in self.taught else self._stored(name) for name in names]
        return Judged(
            decisions=tuple(decisions),
            rows=np.array([self._row_of[name] for name in names], dtype=np.int64),
            gold=self._labels(decisions),
            probs=np.array(probs).reshape(len(names), len(self.task.labels)),
            refitted=len(seen),
        )

    @cached_property
    def _row_of(self) -> Mapping[str, int]:
        return {trace_id: row for row, trace_id in enumerate(self.table.trace_ids)}

    @cached_property
    def _fitted_row_of(self) -> Mapping[str, int]:
        return {trace_id: row for row, trace_id in enumerate(self.fitted.trace_ids)}

    def _stored(self, trace_id: str) -> Floats:
        return np.asarray(self.fitted.probs[self._fitted_row_of[trace_id]])

    def _labels(self, decisions: Sequence[Decision]) -> Indices:
        index = {label: position for position, label in enumerate(self.task.labels)}
        return np.array([index[decision.label] for decision in decisions], dtype=np.int64)

    @cached_property
    def _cross_fitted(self) -> Mapping[str, Floats]:
        """For every decision the fit has seen, the probabilities of a fit without it and its fold."""
        seen = [decision for decision in self.decisions if decision.trace_id in self.taught]
        names = [decision.trace_id for decision in seen]
        rows = np.array([self._row_of[name] for name in names], dtype=np.int64)
        column = np.full(len(self.table.trace_ids), ABSTAIN, dtype=np.int64)
        column[rows] = self._labels(seen)
        method = fitted_method(self.fitted)
        texts = texts_for(self.workspace, method, column)
        probs = np.empty((len(rows), len(self.task.labels)))
        for fold in range(min(FOLDS, len(rows))):
            held = np.arange(len(rows)) % FOLDS == fold
            model = LabelModel(len(self.task.labels), method=method, class_balance=balance_of(self.task))
            probs[held] = self._without(model, column, texts, rows[held])
        return dict(zip(names, probs, strict=True))

    def _without(
        self, model: LabelModel, gold: Indices, texts: Sequence[str] | None, held: Indices
    ) -> Floats:
        taught = gold.copy()
        taught[held] = ABSTAIN
        random = drawn_at_random(self.workspace, self.task, self.table)
        model.fit(self.table.votes, gold=taught, text=texts, soft=self.table.soft, random=random)
        return model.predict_proba(
            self.table.votes[held],
            text=[texts[row] for row in held.tolist()] if texts else None,
            soft={column: distributions[held] for column, distributions in self.table.soft.items()},
        )


def judge_of(workspace: Workspace, task: Task) -> Judge | None:
    """The judge of the task's last fit, None before the first."""
    fitted = workspace.store.posteriors(task.name)
    if fitted is None:
        return None
    return Judge(workspace, task, workspace.store.vote_table(task.name, task.labels), fitted)


def fitted_method(fitted: PosteriorTable) -> Method:
    """How the stored fit was asked for: the gate chooses again in every fold where it chose then."""
    asked = fitted.report.get("asked")
    return next((method for method in get_args(Method) if method == asked), "auto")
