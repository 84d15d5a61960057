"""`reviewers`: how far people agree, and how far each can be trusted."""

from __future__ import annotations

from promptlabel.flywheel.people import PeopleFigures, people_figures
from promptlabel.pipeline.workspace import Workspace
from promptlabel.rules.loading import Task


def reviewers(workspace: Workspace, task: Task) -> PeopleFigures:
    """The people of the task; probes and wrong suggestions are those of `review` in promptlabel.yaml."""
    store = workspace.store
    return people_figures(task.name, list(task.labels), store.reviews(task.name), store.gold(task.name))
