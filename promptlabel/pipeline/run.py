"""`run`: vote, fit, gate, queue, and what is asked for after; for cron and orchestrators, safe to start twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from promptlabel.errors import AlreadyRunningError, StoreError
from promptlabel.pipeline.eval_sets import eval_versions
from promptlabel.pipeline.evaluating.freeze import freeze
from promptlabel.pipeline.evaluating.gate import Floor, GateReport, gate
from promptlabel.pipeline.exporting.export import export
from promptlabel.pipeline.fitting.fit import FitReport, fit, restore_fit, stored_fit
from promptlabel.pipeline.forgetting.forget import Wish, forget_in, retention_cutoff
from promptlabel.pipeline.reporting.report import report
from promptlabel.pipeline.reviewing.queue import QueueReport, build_queue
from promptlabel.pipeline.run_log import logged
from promptlabel.pipeline.voting.progress import Progress
from promptlabel.pipeline.voting.sending import SENDING
from promptlabel.pipeline.voting.vote import VoteReport, vote
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.settings import Project, load_project
from promptlabel.store.holding import held

POSTERIOR: Final = "posterior"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a run is asked for.

    Attributes:
        since: only traces later than this are voted on, and those without a time.
        limit: at most so many traces a rule.
        floors: what the label model must reach on the latest eval version before anything follows from it.
        then: what is written once it has: ``forget`` (what is past its retention), ``freeze``, ``export`` (for training), ``report``.
    """

    since: datetime | None = None
    limit: int | None = None
    floors: Sequence[Floor] = ()
    then: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RunReport:
    """What each step did; fit, gates and queue by task.

    Attributes:
        written: the files and folders that were written after the gate.
        stopped: ``gate`` where the label model fell below a floor, what stopped the vote where that is
            incomplete, None where all was done.
    """

    vote: VoteReport
    fit: Sequence[FitReport]
    queue: Sequence[QueueReport] = ()
    gates: Sequence[GateReport] = ()
    written: Sequence[str] = ()
    stopped: str | None = None
    message: str = ""

    @property
    def exit_code(self) -> int:
        """1 while votes are missing, since what follows from them is then partial, and where a gate stopped the run."""
        return 1 if self.stopped else self.vote.exit_code


def _told(report: RunReport) -> Mapping[str, object]:
    return {"stopped": report.stopped, "written": report.written}


@logged("run", _told)
def run(root: Path, tasks: Sequence[str], *, wishes: Wishes = Wishes(), progress: Progress) -> RunReport:
    """The results of the steps; a vote that stopped early still leads to a fit and a queue of what is there.

    Where a gate fails, fit and queue are what they were before, and nothing is written.

    Raises:
        AlreadyRunningError: while another run of the project is under way.
    """
    project = load_project(root)
    if "forget" in wishes.then:
        retention_cutoff(project, datetime.now(UTC))  # raises before anything is paid
    with _alone(project):
        with open_workspace(root, tasks, lean=True, since=wishes.since) as workspace:
            voted = vote(workspace, limit=wishes.limit, progress=progress)
        with open_workspace(root, tasks) as workspace:
            return _follow(workspace, voted, wishes)


@contextmanager
def _alone(project: Project) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(held(project.state, "running this project"))
        except StoreError as error:
            raise AlreadyRunningError(str(error)) from error
        yield


def _follow(workspace: Workspace, voted: VoteReport, wishes: Wishes) -> RunReport:
    before = [stored_fit(workspace, task) for task in workspace.tasks]
    fitted = [fit(workspace, task) for task in workspace.tasks]
    gates = _gates(workspace, wishes.floors)
    failed = [one for one in gates if not one.passed]
    if failed:
        for task, earlier in zip(workspace.tasks, before, strict=True):
            restore_fit(workspace, task, earlier)
        return RunReport(voted, fitted, gates=gates, stopped="gate", message=_why(failed))
    queued = [build_queue(workspace, task) for task in workspace.tasks]
    if voted.stopped:
        return RunReport(voted, fitted, queued, gates, stopped=voted.stopped, message=voted.message)
    written = [path for name, step in STEPS.items() if name in wishes.then for path in step(workspace)]
    return RunReport(voted, fitted, queued, gates, written)


def _gates(workspace: Workspace, floors: Sequence[Floor]) -> list[GateReport]:
    """Each task's label model against the floors; a task without an eval version has nothing to be held against."""
    return [
        gate(workspace, task, POSTERIOR, floors)
        for task in workspace.tasks
        if floors and eval_versions(workspace, task.name)
    ]


def _why(failed: Sequence[GateReport]) -> str:
    reasons = [f"{one.task}: {check.reason}" for one in failed for check in one.checks if not check.passed]
    return f"{'; '.join(reasons)}; fit, queue, eval sets, exports and report are as they were before this run"


def _freeze(workspace: Workspace) -> list[str]:
    found = [freeze(workspace, task) for task in workspace.tasks]
    return [str(one.path) for one in found if one.written]


def _forget(workspace: Workspace) -> list[str]:
    """Nothing that is written; what is older than the configuration's `retention` is forgotten."""
    with workspace.store.hold(SENDING):
        forget_in(workspace, Wish(retention=True), lambda _: True, datetime.now(UTC))
    return []


STEPS: Final[Mapping[str, Callable[[Workspace], list[str]]]] = {
    "forget": _forget,
    "freeze": _freeze,
    "export": lambda workspace: [export(workspace, "training").path],
    "report": lambda workspace: [report(workspace).path],
}
