"""`doctor`: whether store, journal and environment are sound, what is wrong, and how to mend it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from promptlabel.deeds import first_broken
from promptlabel.errors import InputError, MissingExtraError, StoreDamagedError, StoreError, StoreHeldError
from promptlabel.pipeline.workspace import Workspace
from promptlabel.settings import Project, load_project
from promptlabel.store.agreeing import agree
from promptlabel.store.contract import Store
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.store.opening import open_store, store_files
from promptlabel.store.salvaging import salvage
from promptlabel.store.verifying import Verification

_FREE_BYTES: Final = 256 << 20
_PACKAGES: Final = ("promptlabel", "duckdb", "litellm", "instructor", "numpy")
_EXTRAS: Final[Mapping[str, str]] = {
    "xllamacpp": "local",
    "snorkel": "snorkel",
    "vllm": "vllm",
    "psycopg": "postgres",
    "ray": "ray",
}
_REPAIR: Final = "run `promptlabel doctor --repair`"
_SETTLE: Final = "`promptlabel doctor --repair` then strikes them off the account"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `remedy` says what to do where it is not in order."""

    name: str
    ok: bool
    detail: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All checks, in the order they were made."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """0 when all is in order."""
        return 0 if all(check.ok for check in self.checks) else 1


def doctor(root: Path, *, repair: bool = False) -> Diagnosis:
    """The diagnosis of the project in `root`; with `repair`, votes are rebuilt from the journal without a call."""
    return Diagnosis((*_environment(), *_project(root, repair=repair)))


def _environment() -> Iterator[Check]:
    yield Check("python", ok=True, detail=sys.version.split()[0])
    installed = {name: _version(name) for name in _PACKAGES}
    missing = [name for name, found in installed.items() if found is None]
    detail = ", ".join(f"{name} {found or 'missing'}" for name, found in installed.items())
    yield Check("packages", not missing, detail, "install promptlabel again with pip" if missing else None)
    extras = (
        f"{extra} {found}" if (found := _version(name)) else f"no {extra}" for name, extra in _EXTRAS.items()
    )
    yield Check("extras", ok=True, detail=", ".join(extras))


def _project(root: Path, *, repair: bool) -> Iterator[Check]:
    try:
        project = load_project(root)
    except InputError as error:
        yield Check("configuration", ok=False, detail=str(error), remedy="correct promptlabel.yaml")
        return
    yield Check("configuration", ok=True, detail=f"models: {', '.join(project.settings.models)}")
    yield from _weights(project)
    yield _disk(project)
    yield from _store(project, repair=repair)


def _weights(project: Project) -> Iterator[Check]:
    from promptlabel.llm.local import find_weights

    for name, model in project.settings.models.items():
        if model.provider == "local":
            try:
                yield Check("weights", ok=True, detail=f"{name}: {find_weights(name, model.model)}")
            except MissingExtraError as error:
                yield Check("weights", ok=False, detail=f"{name}: not installed", remedy=str(error))
            except InputError as error:
                yield Check("weights", ok=False, detail=str(error), remedy="correct the model's path")
        elif model.provider == "vllm":
            yield _engine(project, name)


def _engine(project: Project, name: str) -> Check:
    from promptlabel.pipeline.voting.asking import connect_models

    try:
        connect_models(project, [name])
    except InputError as error:
        return Check("vllm", ok=False, detail=str(error), remedy="correct the model's paths")
    return Check("vllm", ok=True, detail=f"{name}: weights, vocabulary and interpreter are there")


def _disk(project: Project) -> Check:
    free = shutil.disk_usage(project.root).free
    enough = free >= _FREE_BYTES
    remedy = None if enough else f"free at least {(_FREE_BYTES - free) >> 20} MiB"
    return Check("disk", enough, f"{free >> 20:,} MiB free", remedy)


def _store(project: Project, *, repair: bool) -> Iterator[Check]:
    try:
        files = store_files(project)
        if files is None:
            yield from _shared(project)
            return
        path, journal = files
        if not path.exists() and not journal.exists():
            yield Check("store", ok=True, detail="none yet; the first ingest makes it")
        elif repair:
            yield from _repaired(path, journal)
        else:
            yield from _verified(project, path, journal)
    except StoreHeldError as error:
        yield from _lent(project, error, repair=repair)
    except StoreDamagedError as error:
        yield Check("store", ok=False, detail=str(error), remedy=_REPAIR)
    except (StoreError, InputError) as error:
        yield Check("store", ok=False, detail=str(error), remedy="do what the message says")


def _shared(project: Project) -> Iterator[Check]:
    """Whether the shared store opens; its soundness is PostgreSQL's business."""
    from promptlabel.store.postgres.postgres_store import PostgresStore

    with open_store(project) as store:
        if not isinstance(store, PostgresStore):
            raise TypeError("a shared store is a PostgresStore")
        put_back = f"{store.recovered} journal entries put back on opening"
        detail = f"{store.address}, {store.server}; {store.count_traces():,} traces; {put_back}"
        rest = _past(project, store)
    yield Check("store", ok=True, detail=detail)
    yield from rest


def _lent(project: Project, held: StoreHeldError, *, repair: bool) -> Iterator[Check]:
    """What can be asked of a store through the process that lends it, which is not what its files hold."""
    try:
        if repair:
            raise held
        with open_store(project) as store:
            detail = f"lent by the process of a page; {store.count_traces():,} traces; files are looked at without it"
            rest = _past(project, store)
    except StoreError as error:
        yield Check("store", ok=False, detail=str(error), remedy="do what the message says")
        return
    yield Check("store", ok=True, detail=detail)
    yield from rest


def _past(project: Project, store: Store) -> tuple[Check, ...]:
    """What people did and what was forgotten, read while the store is open."""
    return (_history(store), *_forgotten(project, store))


def _forgotten(project: Project, store: Store) -> Iterator[Check]:
    """What was forgotten, whether all of it was cleaned up here, and which exports still hold some."""
    from promptlabel.pipeline.forgetting.holdings import copies
    from promptlabel.pipeline.forgetting.local_files import uncleaned

    known = [one for one in store.forgettings() if not one.remembered]
    if known:
        traces = sum(one.traces for one in known)
        detail = f"{traces:,} {'trace' if traces == 1 else 'traces'}"
        left = uncleaned(project, store)
        undone = "; this machine is not clean of them yet" if left else ""
        remedy = "run `promptlabel forget`" if left else None
        yield Check("forgotten", not left, detail + undone, remedy)
    held = [one.path for one in copies(Workspace(project, store))]
    if held:
        remedy = "delete them, or export them again"
        yield Check("copies of what was forgotten", ok=False, detail=", ".join(held), remedy=remedy)


def _verified(project: Project, path: Path, journal: Path) -> Iterator[Check]:
    with DuckDBStore(path, journal) as store:
        agree(store, project)
        found = store.verify()
        rest = _past(project, store)
    yield Check("store", ok=True, detail=f"opens; {store.recovered} journal entries put back on opening")
    yield from _findings(found)
    yield from rest


def _history(store: Store) -> Check:
    broken = first_broken(store.deeds())
    detail = f"changed at entry {broken.number}" if broken else "every entry follows from those before it"
    remedy = "compare with a backup: `promptlabel history` shows the entries" if broken else None
    return Check("history", ok=broken is None, detail=detail, remedy=remedy)


def _repaired(path: Path, journal: Path) -> Iterator[Check]:
    salvaged = salvage(path, journal)
    with salvaged.store as store:
        after = store.verify()
    wrong = (f"{check.name}: {check.detail}" for check in _findings(salvaged.found) if not check.ok)
    yield Check("repair", ok=True, detail="; ".join((*salvaged.set_aside, *wrong)) or "nothing to repair")
    if salvaged.found.lost:
        yield _lost(salvaged.found.lost)
    yield from _findings(after)


def _findings(found: Verification) -> Iterator[Check]:
    damaged = ", ".join(f"{line.file}:{line.number}" for line in found.damaged)
    yield _check("journal checksums", damaged, "every line is as it was written")
    broken = ", ".join(map(str, found.broken))
    yield _check("ledger chain", broken and f"broken at batch {broken}", "unbroken")
    unbalanced = ", ".join(f"{table} {rows:+d} rows" for table, rows in found.unbalanced.items())
    yield _check("ledger sums", unbalanced, "the tables hold what was committed")
    yield _check("store has what the journal has", _lacks(found.store_lacks), "yes")
    yield _check("journal has what the store has", _lacks(found.journal_lacks), "yes")
    if found.lost:
        yield _lost(found.lost)


def _check(name: str, fault: str, sound: str) -> Check:
    return Check(name, ok=not fault, detail=fault or sound, remedy=_REPAIR if fault else None)


def _lacks(rows: Mapping[str, int]) -> str:
    return f"lacks {_counts(rows)}" if rows else ""


def _counts(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {table}" for table, count in rows.items())


def _lost(rows: Mapping[str, int]) -> Check:
    ingested = ", ".join(table for table in rows if table not in ("votes", "deeds"))
    steps = [f"ingest the files with these {ingested} again"] if ingested else []
    steps += ["run `promptlabel vote` for the votes of code rules"] if "votes" in rows else []
    steps += ["take the history from a backup, if there is one"] if "deeds" in rows else []
    return Check(
        "lost commits", ok=False, detail=f"lost: {_counts(rows)}", remedy=f"{', '.join(steps)}; {_SETTLE}"
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
