"""Runs the heuristics of a task over the traces that lack their votes."""

from __future__ import annotations

from collections.abc import Sequence

from promptlabel.pipeline.casting import code_vote
from promptlabel.pipeline.workspace import Workspace
from promptlabel.pipeline.writing import VoteWriter
from promptlabel.rules.loading import Task


async def cast_code_votes(
    workspace: Workspace, task: Task, writer: VoteWriter, *, rules: Sequence[str], limit: int | None
) -> None:
    """Nothing, once every missing vote of the task's heuristics is in line to be written."""
    registered = {rule.rule: rule for rule in task.registered(workspace.project.settings.models)}
    for heuristic in task.heuristics:
        if rules and heuristic.name not in rules:
            continue
        rule = registered[heuristic.name]
        for trace, _ in workspace.store.pending(rule, limit=limit):
            await writer.put(code_vote(heuristic, rule, trace))
