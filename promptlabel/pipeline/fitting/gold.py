"""Which human labels may be learnt from."""

from __future__ import annotations

from promptlabel.pipeline.workspace import Workspace
from promptlabel.review.adjudication import Decision, decide
from promptlabel.rules.loading import Task


def teaching_gold(workspace: Workspace, task: Task) -> tuple[Decision, ...]:
    """The decisions a label model may see: blind ones, but for those of traces after the task's `holdout_after`.

    What was decided after seeing the votes is no gold: the label model would be taught its own opinion.

    Cases of frozen eval sets are among them. They judge models trained on what `export` writes, which never holds
    them; figures about the label model itself come from fits that did not see the label in question.
    """
    decided = decide(workspace.store.reviews(task.name), workspace.store.gold(task.name))
    decisions = tuple(decision for decision in decided if decision.blind)
    boundary = task.spec.holdout_after
    if boundary is None:
        return decisions
    traces = workspace.store.traces([decision.trace_id for decision in decisions])
    later = {trace.trace_id for trace in traces if trace.timestamp and trace.timestamp > boundary}
    return tuple(decision for decision in decisions if decision.trace_id not in later)
