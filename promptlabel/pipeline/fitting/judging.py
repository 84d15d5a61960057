"""Human labels beside the probabilities of a fit that had not seen them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from typing import get_args

import numpy as np
import numpy.typing as npt

from promptlabel.label_sets import set_members, set_name
from promptlabel.labelmodel import LabelModel, SeveralLabels
from promptlabel.labelmodel.fitting import Method
from promptlabel.pipeline.fitting.fit import balance_of, drawn_at_random, model_of, taught_by, texts_for
from promptlabel.pipeline.fitting.tables import known_label, label_gold, marks, soft_marks, vote_table
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN
from promptlabel.review.adjudication import Decision, decide
from promptlabel.rules.loading import Task
from promptlabel.store.contract import LabelVotes, PosteriorTable, VoteTable

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

FOLDS = 5
_LEAST_SHARE = 1e-9


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
        texts = texts_for(self.workspace, self.task, method, column)
        probs = np.empty((len(rows), len(self.task.labels)))
        for fold in range(min(FOLDS, len(rows))):
            held = np.arange(len(rows)) % FOLDS == fold
            probs[held] = self._without(model_of(self.task, method), column, texts, rows[held])
        return dict(zip(names, probs, strict=True))

    def _without(
        self, model: LabelModel, gold: Indices, texts: Sequence[str] | None, held: Indices
    ) -> Floats:
        taught = gold.copy()
        taught[held] = ABSTAIN
        random = drawn_at_random(self.workspace, self.task, self.table.trace_ids)
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
    if task.spec.kind == "several":
        return set_judge(workspace, task, fitted)
    return Judge(workspace, task, vote_table(workspace, task), fitted)


@dataclass(frozen=True)
class SetJudge(Judge):
    """A fit of a task where several labels may apply, held against the sets that people decided.

    Every set that somebody decided, or that is the likeliest of some trace, is a label of `task`; the probability of a
    set is the product of its labels', renormalised over these. `table` knows the traces alone.

    Attributes:
        labelled: the task with its own labels.
        votes: the votes on each label.
        stored: the fit as it is in the store, of single labels.
    """

    labelled: Task
    votes: LabelVotes
    stored: PosteriorTable

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """All blind decisions of traces that have a posterior, their sets in one way of writing."""
        known = set(self.fitted.trace_ids)
        decided = _decided_sets(self.workspace, self.labelled)
        return tuple(one for one in decided if one.blind and one.trace_id in known)

    def shares(self, names: Sequence[str]) -> dict[str, Floats]:
        """Trace id -> the probability ``[L]`` that each label applies, from fits that did not see its own gold."""
        stored = dict(zip(self.stored.trace_ids, self.stored.probs, strict=True))
        known = stored | self._unseen_shares if not self.taught.isdisjoint(names) else stored
        return {name: known[name] for name in names if name in known}

    @cached_property
    def _cross_fitted(self) -> Mapping[str, Floats]:
        """For every decision the fit has seen, the probabilities of a fit without it and its fold."""
        shares = np.array(list(self._unseen_shares.values())).reshape(-1, len(self.labelled.labels))
        probs = set_probabilities(shares, self.labelled.labels, self.task.labels)
        return dict(zip(self._unseen_shares, probs, strict=True))

    @cached_property
    def _unseen_shares(self) -> dict[str, Floats]:
        """For every decision the fit has seen, the probability of each label in a fit without it and its fold."""
        names = [one.trace_id for one in self.decisions if one.trace_id in self.taught]
        rows = np.array([self._row_of[name] for name in names], dtype=np.int64)
        given = {one.trace_id: one.label for one in self.decisions if one.trace_id in self.taught}
        gold = label_gold(self.labelled, self.votes.trace_ids, given)
        shares = np.empty((len(rows), len(self.labelled.labels)))
        for fold in range(min(FOLDS, len(rows))):
            held = np.arange(len(rows)) % FOLDS == fold
            shares[held] = self._shares_without(gold, rows[held])
        return dict(zip(names, shares, strict=True))

    def _shares_without(self, gold: Indices, held: Indices) -> Floats:
        taught = gold.copy()
        taught[held] = ABSTAIN
        said, soft, method = marks(self.votes.applies), soft_marks(self.votes), fitted_method(self.fitted)
        texts = texts_for(self.workspace, self.labelled, method, taught)
        random = drawn_at_random(self.workspace, self.labelled, self.votes.trace_ids)
        model = SeveralLabels(len(self.labelled.labels), method=method, shares=balance_of(self.labelled))
        model.fit(said, gold=taught, text=texts, soft=soft, random=random)
        return model.predict_proba(
            said[held],
            text=[texts[row] for row in held.tolist()] if texts else None,
            soft={column: shares[held] for column, shares in soft.items()},
        )


def set_judge(workspace: Workspace, task: Task, fitted: PosteriorTable) -> SetJudge:
    """The judge of a fit of a task where several labels may apply."""
    decided = {one.label for one in _decided_sets(workspace, task)}
    likeliest = {set_name(compress(task.labels, row), task.labels) for row in (fitted.probs > 0.5).tolist()}
    sets = tuple(sorted(decided | likeliest, key=lambda name: (len(set_members(name)), name)))
    spec = task.spec.model_copy(
        update={"kind": "one", "labels": dict.fromkeys(sets, ""), "class_balance": None}
    )
    votes = workspace.store.label_votes(task.name, task.labels)
    nothing = np.full((len(votes.trace_ids), 0), ABSTAIN, dtype=np.int8)
    return SetJudge(
        workspace=workspace,
        task=replace(task, spec=spec),
        table=VoteTable(task.name, sets, (), votes.trace_ids, nothing, {}),
        fitted=replace(fitted, labels=sets, probs=set_probabilities(fitted.probs, task.labels, sets)),
        labelled=task,
        votes=votes,
        stored=fitted,
    )


def set_probabilities(shares: Floats, labels: Sequence[str], sets: Sequence[str]) -> Floats:
    """Float ``[n, S]``, rows sum to one: of each set, given the probability ``[n, L]`` that each label applies."""
    members = np.array([[label in set_members(name) for label in labels] for name in sets], dtype=float)
    floor = np.clip(shares, _LEAST_SHARE, 1 - _LEAST_SHARE)
    logs = np.log(floor) @ members.T + np.log1p(-floor) @ (1 - members).T
    probs = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(probs / probs.sum(axis=1, keepdims=True))


def _decided_sets(workspace: Workspace, task: Task) -> list[Decision]:
    """What people decided, each set in the one way of writing it; without sets of labels that the task lacks."""
    decided = decide(workspace.store.reviews(task.name), workspace.store.gold(task.name))
    return [replace(one, label=name) for one in decided if (name := known_label(task, one.label)) is not None]


def fitted_method(fitted: PosteriorTable) -> Method:
    """How the stored fit was asked for: the gate chooses again in every fold where it chose then."""
    asked = fitted.report.get("asked")
    return next((method for method in get_args(Method) if method == asked), "auto")
