"""Which human labels may be learnt from, and which are held back for judging."""

from __future__ import annotations

from dataclasses import dataclass

from promptlabel.evals.versions import read_versions
from promptlabel.pipeline.workspace import Workspace
from promptlabel.review.adjudication import Decision, decide
from promptlabel.rules.loading import Task


@dataclass(frozen=True, slots=True)
class GoldSplit:
    """The decisions of a task: those a label model may see, and those that only judge it.

    A decision judges, and never teaches, when its trace is in a frozen eval set or comes after the task's
    `holdout_after`.
    """

    teaching: tuple[Decision, ...]
    judging: tuple[Decision, ...]


def split_gold(workspace: Workspace, task: Task) -> GoldSplit:
    """All decided labels of the task, split."""
    decisions = decide(workspace.store.reviews(task.name), workspace.store.gold(task.name))
    judging = judging_ids(workspace, task, decisions)
    return GoldSplit(
        teaching=tuple(decision for decision in decisions if decision.trace_id not in judging),
        judging=tuple(decision for decision in decisions if decision.trace_id in judging),
    )


def judging_ids(workspace: Workspace, task: Task, decisions: tuple[Decision, ...]) -> frozenset[str]:
    """The decided traces that are held back or frozen."""
    frozen = read_versions(workspace.project.evals / task.name)
    held = {trace_id for version in frozen for trace_id in version.trace_ids}
    boundary = task.spec.holdout_after
    if boundary is not None:
        traces = workspace.store.traces([decision.trace_id for decision in decisions])
        held |= {trace.trace_id for trace in traces if trace.timestamp and trace.timestamp > boundary}
    return frozenset(held)
