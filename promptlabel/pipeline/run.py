"""`run`: vote, fit, queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptlabel.pipeline.fit import FitReport, fit
from promptlabel.pipeline.progress import Progress
from promptlabel.pipeline.queue import QueueReport, build_queue
from promptlabel.pipeline.vote import VoteReport, vote
from promptlabel.pipeline.workspace import open_workspace


@dataclass(frozen=True, slots=True)
class RunReport:
    """What each of the three steps did; fit and queue by task."""

    vote: VoteReport
    fit: Sequence[FitReport]
    queue: Sequence[QueueReport]

    @property
    def exit_code(self) -> int:
        """1 while votes are missing, since what follows from them is then partial."""
        return self.vote.exit_code


def run(root: Path, tasks: Sequence[str], *, limit: int | None, progress: Progress) -> RunReport:
    """The results of the three verbs; a vote that stopped early still leads to a fit and a queue of what is there."""
    with open_workspace(root, tasks, lean=True) as workspace:
        voted = vote(workspace, limit=limit, progress=progress)
    with open_workspace(root, tasks) as workspace:
        fitted = [fit(workspace, task) for task in workspace.tasks]
        queued = [build_queue(workspace, task) for task in workspace.tasks]
    return RunReport(voted, fitted, queued)
