"""`forget`: everything about a person or a trace out of the project, refused from then on, and where copies remain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from promptlabel.errors import Fault, fail
from promptlabel.evals.freezing import rewritten
from promptlabel.evals.versions import CASES_FILE, MANIFEST_FILE, cases_bytes, manifest_bytes
from promptlabel.pipeline.files import write_bytes
from promptlabel.pipeline.forgetting.holdings import (
    HeldInEval,
    HeldInExport,
    copies,
    evals_with,
    exports_with,
    frozen_folders,
    remember_copies,
)
from promptlabel.pipeline.forgetting.local_files import Cleaned, clean
from promptlabel.pipeline.recording import recording
from promptlabel.pipeline.since import since
from promptlabel.pipeline.voting.sending import SENDING
from promptlabel.pipeline.workspace import Workspace, open_project
from promptlabel.records import JsonValue
from promptlabel.settings import CONFIGURATION_FILE, Project
from promptlabel.store.agreeing import agree
from promptlabel.store.borrowed import BorrowedStore
from promptlabel.store.contract import Store, Whom
from promptlabel.store.forgettings import FOLDER, Forgetting, Kind, write_forgetting

NOBODY: Final = Whom()
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ForgetPlan:
    """What a forgetting would do.

    Attributes:
        traces: how many traces are meant, those that are not stored here among them.
        unknown: ids and names that nothing here is about; they are refused from then on all the same.
        rows: table -> how many rows go.
        evals: frozen eval versions that hold some of the traces.
        exports: exported files that hold some of them, or may.
    """

    traces: int
    unknown: tuple[str, ...]
    rows: Mapping[str, int]
    evals: tuple[HeldInEval, ...]
    exports: tuple[HeldInExport, ...]


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """What was forgotten, or with `done` false would be.

    Attributes:
        rewritten: eval versions whose files hold the cases no more.
        cleaned: what was done to this machine's files; None where nothing was.
        erased: whether the store's files hold no byte of it now; false while another process lends the store.
        forgotten: how many traces the store has forgotten, all in all.
    """

    plan: ForgetPlan
    done: bool
    rewritten: tuple[HeldInEval, ...] = ()
    cleaned: Cleaned | None = None
    erased: bool = False
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom to forget, and how far.

    Attributes:
        retention: all that is older than the configuration's `retention`, besides.
        rewrite_evals: take the cases out of frozen eval versions as well.
    """

    whom: Whom = NOBODY
    retention: bool = False
    rewrite_evals: bool = False


Confirm = Callable[[ForgetPlan], bool]


def forget(root: Path, wish: Wish, confirm: Confirm, now: datetime | None = None) -> ForgetReport:
    """What was forgotten; without anybody to forget, what an earlier one left undone on this machine is done.

    A kill at any moment leaves all of it to be seen or nothing of it, and the same again finishes.

    Args:
        root: the project.
        wish: whom.
        confirm: asked with the plan; where it says no, nothing is done.
        now: when.

    Raises:
        InputError: if `retention` is asked for and not configured.
        StoreError: while models are being asked, whose answers would come after.
    """
    with open_project(root) as workspace, workspace.store.hold(SENDING):
        return forget_in(workspace, wish, confirm, now or datetime.now(UTC))


def forget_in(workspace: Workspace, wish: Wish, confirm: Confirm, now: datetime) -> ForgetReport:
    """As `forget`, in an opened project in which nobody asks models."""
    whom = _with_retention(workspace, wish, now)
    ids = _ids(workspace.store, whom)
    plan = _plan(workspace, whom, ids)
    if not confirm(plan):
        return ForgetReport(plan, done=False)
    with recording(workspace, "forget") as told:
        report = _forgotten(workspace, plan, wish, _names(whom, ids), now)
        told.update(_counts(report))
    return report


def _counts(report: ForgetReport) -> Mapping[str, JsonValue]:
    """What the history says: nothing of whom."""
    rewritten_evals = [f"{one.task} {one.version}" for one in report.rewritten]
    return {"traces": report.plan.traces, "rows": dict(report.plan.rows), "evals rewritten": rewritten_evals}


def _forgotten(
    workspace: Workspace, plan: ForgetPlan, wish: Wish, names: Sequence[tuple[Kind, str]], now: datetime
) -> ForgetReport:
    if names:
        remember_copies(workspace, plan.exports, now)
        write_forgetting(workspace.project.root / FOLDER, next_forgetting(workspace.store, names, now))
        agree(workspace.store, workspace.project)
    return _finished(workspace, plan, wish, now)


def next_forgetting(
    store: Store, names: Sequence[tuple[Kind, str]], now: datetime, *, remembered: bool = False
) -> Forgetting:
    """The forgetting of these names, later than any before it."""
    before = store.forgettings()
    at = max(now, before[-1].at + _TICK) if before else now
    return Forgetting.of(names, at, before[-1].salt if before else None, remembered=remembered)


def retention_cutoff(project: Project, now: datetime) -> datetime:
    """The moment before which traces are older than the configuration keeps them.

    Raises:
        InputError: if it does not say.
    """
    moment = since(project.settings.retention, now, "retention")
    if moment is None:
        fail(
            Fault(
                "is not set: write how long traces are kept, such as 400d",
                CONFIGURATION_FILE,
                key="retention",
            )
        )
    return moment


def _with_retention(workspace: Workspace, wish: Wish, now: datetime) -> Whom:
    if not wish.retention:
        return wish.whom
    moments = [retention_cutoff(workspace.project, now), *([wish.whom.before] if wish.whom.before else [])]
    return replace(wish.whom, before=max(moments))


def _ids(store: Store, whom: Whom) -> list[str]:
    return sorted({*store.matching(whom), *whom.traces})


def _names(whom: Whom, ids: Sequence[str]) -> list[tuple[Kind, str]]:
    kinds: tuple[tuple[Kind, Sequence[str]], ...] = (
        ("trace", ids), ("user", whom.users), ("session", whom.sessions),
    )  # fmt: skip
    return [(kind, name) for kind, names in kinds for name in names]


def _plan(workspace: Workspace, whom: Whom, ids: Sequence[str]) -> ForgetPlan:
    store, wanted = workspace.store, frozenset(ids)
    exports = exports_with(workspace, wanted) if ids else copies(workspace)
    return ForgetPlan(
        traces=len(ids),
        unknown=tuple(_unknown(store, whom)),
        rows=store.footprint(ids) if ids else {},
        evals=evals_with(workspace, wanted),
        exports=exports,
    )


def _unknown(store: Store, whom: Whom) -> Iterator[str]:
    yield from (f"trace {name}" for name in whom.traces if not store.footprint([name]))
    yield from (f"user {name}" for name in whom.users if not store.matching(Whom(users=[name])))
    yield from (f"session {name}" for name in whom.sessions if not store.matching(Whom(sessions=[name])))


def _finished(workspace: Workspace, plan: ForgetPlan, wish: Wish, now: datetime) -> ForgetReport:
    store = workspace.store
    done = tuple(_rewrite_evals(workspace, now)) if wish.rewrite_evals else ()
    cleaned = clean(workspace)
    store.erase()
    lent = isinstance(store, BorrowedStore)
    forgotten = sum(one.traces for one in store.forgettings())
    return ForgetReport(plan, True, done, cleaned, erased=not lent, forgotten=forgotten)


def _rewrite_evals(workspace: Workspace, now: datetime) -> Iterator[HeldInEval]:
    """The frozen versions whose files lose the cases of forgotten traces; their manifests keep the earlier hash.

    The manifest is written first: with it, the cases count both as they are to be and as they were.
    """
    for folder, version in frozen_folders(workspace):
        gone = workspace.store.forgotten("trace", sorted(version.trace_ids))
        if gone:
            made = rewritten(version, gone, now)
            write_bytes(folder / MANIFEST_FILE, manifest_bytes(made.manifest))
            write_bytes(folder / CASES_FILE, cases_bytes(made.cases))
            yield HeldInEval(version.task, version.version, str(folder), len(gone))
