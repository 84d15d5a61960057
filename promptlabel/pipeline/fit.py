"""`fit`: the current votes of a task become a posterior for every trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from promptlabel.errors import Fault, fail
from promptlabel.labelmodel import LabelModel
from promptlabel.labelmodel.fitting import Method
from promptlabel.pipeline.gold import teaching_gold
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN, JsonValue
from promptlabel.routing.lanes import AUDIT
from promptlabel.rules.loading import Task
from promptlabel.store.contract import PosteriorTable, VoteTable


@dataclass(frozen=True, slots=True)
class FitReport:
    """What the gate chose, the figures it took it on, and the mean share of each label."""

    task: str
    chosen: str
    traces: int
    gold: int
    shares: Mapping[str, float]
    report: Mapping[str, JsonValue]


def fit(
    workspace: Workspace, task: Task, *, method: Method = "auto", now: datetime | None = None
) -> FitReport:
    """The fitted label model's choice; its posteriors are in the store.

    Raises:
        InputError: when the task has no traces or no rules to fit on.
    """
    table = workspace.store.vote_table(task.name, task.labels)
    _require_votes(task, table)
    gold = gold_column(workspace, task, table)
    text = texts_for(workspace, method, gold)
    model = LabelModel(len(task.labels), method=method, class_balance=balance_of(task))
    random = drawn_at_random(workspace, task, table)
    model.fit(table.votes, gold=gold, text=text, soft=table.soft, random=random)
    probs = model.predict_proba(table.votes, text=text, soft=table.soft)
    workspace.store.save_posteriors(
        PosteriorTable(
            task=task.name,
            labels=task.labels,
            trace_ids=table.trace_ids,
            probs=probs,
            fitted_at=now or datetime.now(UTC),
            chosen=model.chosen,
            report={**model.report, "asked": method},
        )
    )
    taught = [trace_id for trace_id, label in zip(table.trace_ids, gold.tolist(), strict=True) if label >= 0]
    workspace.store.save_state(taught_by(task), taught)
    shares = dict(zip(task.labels, probs.mean(axis=0).tolist(), strict=True))
    return FitReport(task.name, model.chosen, len(probs), int((gold >= 0).sum()), shares, model.report)


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


def drawn_at_random(workspace: Workspace, task: Task, table: VoteTable) -> npt.NDArray[np.bool_]:
    """Whether each row's gold, if any, says something of all traces: bool ``[n]``.

    What the queue's other lanes chose is hard or contested on purpose, so the class balance must not be read from it.
    Gold that was ingested is taken to be a fair sample.
    """
    chosen = {pick.trace_id for pick in workspace.store.queue(task.name) if pick.lane != AUDIT}
    return np.array([trace_id not in chosen for trace_id in table.trace_ids], dtype=bool)


def _require_votes(task: Task, table: VoteTable) -> None:
    if not table.trace_ids:
        fail(Fault("no traces yet; run: promptlabel ingest FILE...", key=task.name))
    if not table.rules or not (table.votes >= 0).any():
        fail(Fault("no votes yet; run: promptlabel vote", key=task.name))


def balance_of(task: Task) -> list[float] | None:
    """The task's class balance in the order of its labels, None where it gives none."""
    balance = task.spec.class_balance
    return [balance[label] for label in task.labels] if balance else None


def texts_for(workspace: Workspace, method: Method, gold: npt.NDArray[np.int64]) -> list[str] | None:
    """The text of every trace for the methods that read it, None without gold to learn from."""
    if method not in ("auto", "anchored") or not (gold >= 0).any():
        return None
    return [trace.transcript for trace in workspace.store.traces()]
