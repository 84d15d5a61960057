"""The one way to record what somebody did: around a verb, around a block, or as a fact."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

from promptlabel.deeds import DONE, Deed, Via
from promptlabel.errors import PromptlabelError
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import JsonValue, digest
from promptlabel.rules.loading import Task
from promptlabel.settings import Settings

PERSON: Final = "PROMPTLABEL_PERSON"
"""The environment variable that says who works here; ``--as`` sets it."""

_SEEN: Final = "settings_seen"
_Given = ParamSpec("_Given")
_Report = TypeVar("_Report")
Details = dict[str, JsonValue]
Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and from where: see `Deed`."""

    person: str
    via: Via
    host: str

    def deed(
        self,
        verb: str,
        *,
        task: str | None = None,
        outcome: str = DONE,
        details: Mapping[str, JsonValue] | None = None,
        clock: Clock = _now,
    ) -> Deed:
        """What they do now, to be recorded."""
        return Deed(clock(), self.person, self.via, self.host, verb, task, outcome, details or {})


def at_the_prompt(settings: Settings, environment: Mapping[str, str] = os.environ) -> Actor:
    """Whoever runs this process: as they say, else as the system knows them.

    Raises:
        InputError: when they say a name that `people` does not have.
    """
    said, user = environment.get(PERSON), _user()
    if said and settings.people:
        settings.person(said, f"--as, {PERSON}")
    return Actor(said or user, "cli", f"{user}@{socket.gethostname()}")


@contextmanager
def recording(workspace: Workspace, verb: str, task: str | None = None) -> Iterator[Details]:
    """A block that does something; it writes into what it gets what there is to say of it.

    Recorded when the block ends: failed where it raised, and not at all where it had nothing to say.
    """
    actor = at_the_prompt(workspace.project.settings)
    notice_settings(workspace, actor)
    details: Details = {}
    try:
        yield details
    except Exception as error:
        with suppress(PromptlabelError):  # the first error is the one to hear of
            failed = f"failed: {type(error).__name__}"
            workspace.store.add_deed(actor.deed(verb, task=task, outcome=failed, details=details))
        raise
    if details:
        workspace.store.add_deed(actor.deed(verb, task=task, details=details))


def recorded(
    verb: str, told: Callable[[_Report], Mapping[str, JsonValue]]
) -> Callable[
    [Callable[Concatenate[Workspace, _Given], _Report]], Callable[Concatenate[Workspace, _Given], _Report]
]:
    """For a verb of the pipeline: it is recorded whenever it runs, with what `told` says of its report."""

    def around(
        work: Callable[Concatenate[Workspace, _Given], _Report],
    ) -> Callable[Concatenate[Workspace, _Given], _Report]:
        @wraps(work)
        def doing(workspace: Workspace, /, *given: _Given.args, **named: _Given.kwargs) -> _Report:
            with recording(workspace, verb, _task_of(workspace, given)) as details:
                report = work(workspace, *given, **named)
                details.update(told(report))
            return report

        return doing

    return around


def notice_settings(workspace: Workspace, actor: Actor | None = None) -> None:
    """Nothing; which keys of `promptlabel.yaml` are not as they were when it was last looked at is recorded."""
    settings = workspace.project.settings
    now = {key: digest(value) for key, value in _flat(settings.model_dump(mode="json"))}
    before = workspace.store.state(_SEEN)
    if before == now:
        return
    workspace.store.save_state(_SEEN, now)
    if isinstance(before, Mapping):
        changed = sorted(key for key in now.keys() | before.keys() if now.get(key) != before.get(key))
        seen = (actor or at_the_prompt(settings)).deed("see settings changed", details={"keys": changed})
        workspace.store.add_deed(seen)


def _task_of(workspace: Workspace, given: tuple[object, ...]) -> str | None:
    tasks = [one for one in given if isinstance(one, Task)] or list(workspace.tasks)
    return tasks[0].name if len(tasks) == 1 else None


def _flat(values: Mapping[str, JsonValue], above: str = "") -> Iterator[tuple[str, JsonValue]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
