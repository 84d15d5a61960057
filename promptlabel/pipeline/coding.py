"""Runs the code rules of a task over the traces that lack their votes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from promptlabel.pipeline.casting import code_votes
from promptlabel.pipeline.workspace import Workspace
from promptlabel.pipeline.writing import VoteWriter
from promptlabel.rules.loading import Task

VOTES_AT_ONCE: Final = 512
"""Traces a rule sees at once: enough for a batch of SQL, few enough for the progress bar to move."""


def cast_code_votes(
    workspace: Workspace, task: Task, writer: VoteWriter, *, rules: Sequence[str], limit: int | None
) -> None:
    """Nothing; every missing vote of the task's heuristics is with the store."""
    registered = {rule.rule: rule for rule in task.registered(workspace.project.settings.models)}
    for heuristic in task.heuristics:
        if rules and heuristic.name not in rules:
            continue
        rule = registered[heuristic.name]
        pending = (trace for trace, _ in workspace.pending(rule, limit=limit))
        while traces := list(islice(pending, VOTES_AT_ONCE)):
            writer.write(list(code_votes(heuristic, rule, traces)))
