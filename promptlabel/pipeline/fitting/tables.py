"""The votes of a task as arrays over the traces that the task is about, whatever its kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.label_sets import set_members, set_name
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN, ORDER, Trace
from promptlabel.rules.loading import Task
from promptlabel.store.contract import LabelVotes, VoteTable

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.int8]

NO_YES: Final = ("does not apply", "applies")


def is_about(task: Task, trace: Trace) -> bool:
    """Whether the task asks anything of the trace: a pairwise task only of one with two outputs."""
    return task.spec.kind != "pairwise" or len(trace.outputs) == len(ORDER)


def traces_of(workspace: Workspace, task: Task) -> Iterator[Trace]:
    """The traces that the task is about, in the store's order."""
    return (trace for trace in workspace.store.traces() if is_about(task, trace))


def vote_table(workspace: Workspace, task: Task) -> VoteTable:
    """The current votes on the traces that the task is about.

    Where several labels may apply, `flat_table` and `contested` say more: here only sets of one label are votes.
    """
    table = workspace.store.vote_table(task.name, task.labels)
    if task.spec.kind != "pairwise":
        return table
    about = {trace.trace_id for trace in traces_of(workspace, task)}
    rows = np.array([name in about for name in table.trace_ids], dtype=bool)
    return replace(
        table,
        trace_ids=tuple(name for name in table.trace_ids if name in about),
        votes=table.votes[rows],
        soft={column: values[rows] for column, values in table.soft.items()},
    )


def marks(applies: npt.NDArray[np.floating]) -> Marks:
    """1 where a label is said to apply, 0 where it is said not to, -1 where nothing, or as much of both, is said."""
    said = np.where(applies > 0.5, 1, np.where(applies < 0.5, 0, ABSTAIN))
    return np.asarray(np.where(np.isnan(applies), ABSTAIN, said), dtype=np.int8)


def soft_marks(votes: LabelVotes) -> dict[int, Floats]:
    """By the columns of the rules that are not always sure, their probabilities ``[n, L]``."""
    unsure = (votes.applies > 0) & (votes.applies < 1)
    columns = np.flatnonzero(unsure.any(axis=(0, 2))).tolist()
    return {column: votes.applies[:, column].astype(np.float64) for column in columns}


def label_gold(task: Task, names: Sequence[str], decided: dict[str, str]) -> npt.NDArray[np.int64]:
    """Int ``[n, L]``: 1 where a label was given, 0 where it was not, -1 for traces without a decision."""
    gold = np.full((len(names), len(task.labels)), ABSTAIN, dtype=np.int64)
    for row, name in enumerate(names):
        if name in decided:
            given = set_members(decided[name])
            gold[row] = [label in given for label in task.labels]
    return gold


def flat_table(votes: LabelVotes) -> VoteTable:
    """The votes with a row for each trace and label, on whether it applies."""
    n, m, labels = votes.applies.shape
    cells = votes.applies.transpose(0, 2, 1).reshape(n * labels, m)
    return VoteTable(
        task=votes.task,
        labels=NO_YES,
        rules=votes.rules,
        trace_ids=tuple(name for name in votes.trace_ids for _ in range(labels)),
        votes=marks(cells),
        soft={column: _two_columns(values.ravel()) for column, values in soft_marks(votes).items()},
    )


def spoken_table(votes: LabelVotes) -> VoteTable:
    """For each trace and rule whether it has said anything: 0 where it has, -1 where not."""
    spoke = ~np.isnan(votes.applies).all(axis=2)
    said = np.where(spoke, 0, ABSTAIN).astype(np.int8)
    return VoteTable(votes.task, votes.labels, votes.rules, votes.trace_ids, said, {})


def contested(votes: LabelVotes, probs: Floats) -> tuple[VoteTable, Floats, list[str]]:
    """Each trace by its least certain label: votes on whether that one applies, probabilities ``[n, 2]``, its name."""
    chosen = np.abs(probs - 0.5).argmin(axis=1)
    rows = np.arange(len(probs))
    said = votes.applies[rows, :, chosen] if len(rows) else votes.applies[:, :, 0]
    table = VoteTable(
        task=votes.task,
        labels=NO_YES,
        rules=votes.rules,
        trace_ids=votes.trace_ids,
        votes=marks(said),
        soft={column: _two_columns(values[rows, chosen]) for column, values in soft_marks(votes).items()},
    )
    return table, _two_columns(probs[rows, chosen]), [votes.labels[label] for label in chosen.tolist()]


def known_label(task: Task, label: str) -> str | None:
    """The label as the task writes it: itself, or the name of its set; None where the task has no such label."""
    if task.spec.kind != "several":
        return label if label in task.labels else None
    members = set_members(label)
    return set_name(members, task.labels) if all(name in task.labels for name in members) else None


def _two_columns(share: npt.NDArray[np.floating]) -> Floats:
    return np.column_stack([1 - share, share]).astype(np.float64)
