"""`fit`: the current votes of a task become a posterior for every trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from promptlabel.errors import Fault, fail
from promptlabel.labelmodel import LabelModel, SeveralLabels
from promptlabel.labelmodel.fitting import Method
from promptlabel.pipeline.fitting.gold import teaching_gold
from promptlabel.pipeline.fitting.tables import (
    known_label,
    label_gold,
    marks,
    soft_marks,
    traces_of,
    vote_table,
)
from promptlabel.pipeline.run_log import logged
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN, JsonValue
from promptlabel.routing.lanes import AUDIT
from promptlabel.rules.loading import Task
from promptlabel.store.contract import LabelVotes, PosteriorTable, VoteTable


@dataclass(frozen=True, slots=True)
class FitReport:
    """What the gate chose, the figures it took it on, and the mean share of each label."""

    task: str
    chosen: str
    traces: int
    gold: int
    shares: Mapping[str, float]
    report: Mapping[str, JsonValue]


def _told(report: FitReport) -> Mapping[str, object]:
    return {"chosen": report.chosen, "traces": report.traces, "gold": report.gold}


@logged("fit", _told)
def fit(
    workspace: Workspace, task: Task, *, method: Method = "auto", now: datetime | None = None
) -> FitReport:
    """The fitted label model's choice; its posteriors are in the store.

    Raises:
        InputError: when the task has no traces or no rules to fit on.
    """
    found = (
        _fit_sets(workspace, task, method)
        if task.spec.kind == "several"
        else _fit_one(workspace, task, method)
    )
    workspace.store.save_posteriors(
        PosteriorTable(
            task=task.name,
            labels=task.labels,
            trace_ids=found.trace_ids,
            probs=found.probs,
            fitted_at=now or datetime.now(UTC),
            chosen=found.chosen,
            report={**found.report, "asked": method},
        )
    )
    workspace.store.save_state(taught_by(task), found.taught)
    shares = dict(zip(task.labels, found.probs.mean(axis=0).tolist(), strict=True))
    return FitReport(task.name, found.chosen, len(found.probs), len(found.taught), shares, found.report)


@dataclass(frozen=True, slots=True)
class _Found:
    """A fit: its posteriors, and the traces whose gold it has seen."""

    trace_ids: tuple[str, ...]
    probs: npt.NDArray[np.float64]
    taught: list[str]
    chosen: str
    report: Mapping[str, JsonValue]


def _fit_one(workspace: Workspace, task: Task, method: Method) -> _Found:
    table = vote_table(workspace, task)
    _require_votes(task, table.trace_ids, bool(table.rules) and bool((table.votes >= 0).any()))
    gold = gold_column(workspace, task, table)
    text = texts_for(workspace, task, method, gold)
    model = model_of(task, method)
    random = drawn_at_random(workspace, task, table.trace_ids)
    model.fit(table.votes, gold=gold, text=text, soft=table.soft, random=random)
    probs = model.predict_proba(table.votes, text=text, soft=table.soft)
    taught = [trace_id for trace_id, label in zip(table.trace_ids, gold.tolist(), strict=True) if label >= 0]
    return _Found(table.trace_ids, probs, taught, model.chosen, model.report)


def model_of(task: Task, method: Method) -> LabelModel:
    """A label model for the task, not fitted yet."""
    is_ordered = task.spec.kind == "ordered"
    return LabelModel(len(task.labels), method=method, class_balance=balance_of(task), ordered=is_ordered)


def _fit_sets(workspace: Workspace, task: Task, method: Method) -> _Found:
    """One two-class model a label."""
    votes = workspace.store.label_votes(task.name, task.labels)
    _require_votes(task, votes.trace_ids, bool((marks(votes.applies) >= 0).any()))
    gold = gold_sets(workspace, task, votes.trace_ids)
    model, probs = fit_sets(workspace, task, method, votes, gold)
    taught = [name for name, label in zip(votes.trace_ids, gold[:, 0].tolist(), strict=True) if label >= 0]
    by_label: Mapping[str, JsonValue] = dict(zip(task.labels, model.report, strict=True))
    reason = f"one model for each of {len(task.labels)} labels"
    return _Found(votes.trace_ids, probs, taught, chosen_of(model), {"reason": reason, "labels": by_label})


def fit_sets(
    workspace: Workspace, task: Task, method: Method, votes: LabelVotes, gold: npt.NDArray[np.int64]
) -> tuple[SeveralLabels, npt.NDArray[np.float64]]:
    """One two-class model a label, fitted on these votes and this gold ``[n, L]``, and its posteriors ``[n, L]``."""
    said, soft = marks(votes.applies), soft_marks(votes)
    text = texts_for(workspace, task, method, gold)
    random = drawn_at_random(workspace, task, votes.trace_ids)
    model = SeveralLabels(len(task.labels), method=method, shares=balance_of(task))
    model.fit(said, gold=gold, text=text, soft=soft, random=random)
    return model, model.predict_proba(said, text=text, soft=soft)


def chosen_of(model: SeveralLabels) -> str:
    """What was taken for the labels, each name once."""
    return ", ".join(sorted({one.chosen for one in model.models}))


def gold_sets(workspace: Workspace, task: Task, trace_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """Int ``[n, L]`` of the gold a label model may see: 1 the label was given, 0 it was not, -1 nothing is known."""
    decided = {
        one.trace_id: one.label for one in teaching_gold(workspace, task) if known_label(task, one.label)
    }
    return label_gold(task, trace_ids, decided)


@dataclass(frozen=True, slots=True)
class StoredFit:
    """A fit as the store holds it, to go back to."""

    table: PosteriorTable
    taught: JsonValue


def stored_fit(workspace: Workspace, task: Task) -> StoredFit | None:
    """The task's last fit, None before the first."""
    table = workspace.store.posteriors(task.name)
    return StoredFit(table, workspace.store.state(taught_by(task))) if table else None


def restore_fit(workspace: Workspace, task: Task, earlier: StoredFit | None) -> None:
    """Nothing; the task's fit is that one again. Where there was none before, the present one stays."""
    if earlier is not None:
        workspace.store.save_posteriors(earlier.table)
        workspace.store.save_state(taught_by(task), earlier.taught)


def taught_by(task: Task) -> str:
    """The name of the state that holds the ids of the traces whose gold the task's last fit has seen."""
    return f"taught:{task.name}"


def gold_column(workspace: Workspace, task: Task, table: VoteTable) -> npt.NDArray[np.int64]:
    """Label indices ``[n]`` of the gold a label model may see, in the table's rows; -1 where there is none."""
    teaching = {decision.trace_id: decision.label for decision in teaching_gold(workspace, task)}
    index = {label: position for position, label in enumerate(task.labels)}
    return np.array(
        [index.get(teaching.get(trace_id, ""), ABSTAIN) for trace_id in table.trace_ids], dtype=np.int64
    )


def drawn_at_random(workspace: Workspace, task: Task, trace_ids: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether each row's gold, if any, says something of all traces: bool ``[n]``.

    What the queue's other lanes chose is hard or contested on purpose, so the class balance must not be read from it.
    Gold that was ingested is taken to be a fair sample.
    """
    chosen = {pick.trace_id for pick in workspace.store.queue(task.name) if pick.lane != AUDIT}
    return np.array([trace_id not in chosen for trace_id in trace_ids], dtype=bool)


def _require_votes(task: Task, trace_ids: Sequence[str], has_votes: bool) -> None:
    if not trace_ids:
        what = "traces with two `outputs`" if task.spec.kind == "pairwise" else "traces"
        fail(Fault(f"no {what} yet; run: promptlabel ingest FILE...", key=task.name))
    if not has_votes:
        fail(Fault("no votes yet; run: promptlabel vote", key=task.name))


def balance_of(task: Task) -> list[float] | None:
    """The task's class balance in the order of its labels, None where it gives none."""
    balance = task.spec.class_balance
    return [balance[label] for label in task.labels] if balance else None


def texts_for(
    workspace: Workspace, task: Task, method: Method, gold: npt.NDArray[np.int64]
) -> list[str] | None:
    """The text of every trace for the methods that read it, None without gold to learn from."""
    if method not in ("auto", "anchored") or not (gold >= 0).any():
        return None
    return [trace.transcript for trace in traces_of(workspace, task)]
