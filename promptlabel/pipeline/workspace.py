"""An opened project: its settings, its store, and the tasks that were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from promptlabel.pipeline.secret import project_secret
from promptlabel.records import RegisteredRule, Trace
from promptlabel.rules.loading import Task, load_checked
from promptlabel.settings import Project, load_project
from promptlabel.store.contract import WHOLE, Part, Store
from promptlabel.store.opening import open_store


@dataclass(frozen=True, slots=True)
class Workspace:
    """What a verb works on; `tasks` is empty for verbs that need no rules.

    Attributes:
        since: only traces later than this, and those without a time, are voted on; None is all.
    """

    project: Project
    store: Store
    tasks: tuple[Task, ...] = ()
    since: datetime | None = None

    def pending(
        self, rule: RegisteredRule, *, samples: int = 1, limit: int | None = None, part: Part = WHOLE
    ) -> Iterator[tuple[Trace, int]]:
        """Traces, and sample indices, that the rule is to vote on: see `Store.pending`."""
        if self.since is None:
            return self.store.pending(rule, samples=samples, limit=limit, part=part)
        since, every = self.since, self.store.pending(rule, samples=samples, part=part)
        found = (item for item in every if item[0].timestamp is None or item[0].timestamp > since)
        return islice(found, limit)


@contextmanager
def open_project(root: Path) -> Iterator[Workspace]:
    """The project and its store, without loading rules."""
    project = load_project(root)
    with open_store(project) as store:
        yield Workspace(project, store)


@contextmanager
def open_workspace(
    root: Path, tasks: Sequence[str] = (), *, lean: bool = False, since: datetime | None = None
) -> Iterator[Workspace]:
    """The project, its store (see `open_store`) and the named tasks (all without names), every rule checked first.

    Raises:
        InputError: for every fault of configuration and rules.
        StoreHeldError: when another process has the store open.
    """
    project, loaded = load_checked(root, tasks)
    with open_store(project, lean=lean) as store:
        secret = project_secret(project)
        yield Workspace(project, store, tuple(task.with_secret(secret) for task in loaded), since)
