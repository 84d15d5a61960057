"""`move`: carries a project's store to another home, and proves by digest that nothing changed on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, cast

from promptlabel.errors import InputError, PromptlabelError
from promptlabel.pipeline.files import write_bytes
from promptlabel.pipeline.recording import at_the_prompt
from promptlabel.records import JsonValue
from promptlabel.settings import CONFIGURATION_FILE, Project, load_project
from promptlabel.store.contract import Store
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.store.moving import Movable, Print, carry, fingerprints
from promptlabel.store.opening import kind_of, open_home

_STORE_LINE: Final = re.compile(r"(?m)^store:[^\n]*$")


@dataclass(frozen=True, slots=True)
class MoveReport:
    """What was carried, by relation, each with the digest that both homes now have."""

    source: str
    target: str
    relations: Mapping[str, Print]


def move(root: Path, target: str) -> MoveReport:
    """What was carried; the configuration names the new home, and the old one is left as it was.

    Raises:
        InputError: if the target is where the project is, or holds something already.
        StoreError: if one of the two cannot be opened.
        PromptlabelError: if the two differ afterwards; the configuration then still names the old one.
    """
    project = load_project(root)
    source, actor = project.settings.store, at_the_prompt(project.settings)
    _require_new(project, target)
    with open_home(source, project) as old, open_home(target, project) as new:
        before, there = fingerprints(cast("Movable", old)), fingerprints(cast("Movable", new))
        held = [relation for relation, found in there.items() if found.rows]
        if held:
            raise InputError(f"{target} is not empty (it has {', '.join(held)}): give an empty one")
        carry(cast("Movable", old), cast("Movable", new))
        if isinstance(new, DuckDBStore):
            new.repair()  # its journal hears of the paid votes, so that it could be rebuilt from it
        after = fingerprints(cast("Movable", new))
        _require_equal(before, after)
        new.add_deed(actor.deed("move", details=_told(old, new, after)))
    _name_in_configuration(project, target)
    return MoveReport(source, target, after)


def _told(old: Store, new: Store, carried: Mapping[str, Print]) -> Mapping[str, JsonValue]:
    return {"from": _place(old), "to": _place(new), "rows": sum(one.rows for one in carried.values())}


def _place(home: Store) -> str:
    """Where a store is, without the password that its address may hold."""
    return str(home.path if isinstance(home, DuckDBStore) else cast("Any", home).address)


def _require_new(project: Project, target: str) -> None:
    source = project.settings.store
    if source == target:
        raise InputError(f"the project's store is {target} already")
    if kind_of(target) is not None:
        return
    if kind_of(source) is None:
        raise InputError(
            f"both are DuckDB files: move {source} itself, and name its new path in {CONFIGURATION_FILE}"
        )
    if (project.root / target).exists():
        raise InputError(f"{target} is there already: give the path of a new file")
    _set_journal_aside(project)


def _set_journal_aside(project: Project) -> None:
    """Nothing; a new embedded store would take what an old one's journal says, and it is kept beside."""
    journal = project.state / "journal"
    if journal.exists():
        journal.rename(
            next(aside for n in count(1) if not (aside := project.state / f"journal.{n}").exists())
        )


def _require_equal(before: Mapping[str, Print], after: Mapping[str, Print]) -> None:
    wrong = [relation for relation, found in before.items() if after[relation] != found]
    if wrong:
        counts = ", ".join(f"{name}: {before[name].rows} rows became {after[name].rows}" for name in wrong)
        raise PromptlabelError(f"the two stores differ ({counts}); the project keeps the old one")


def _name_in_configuration(project: Project, target: str) -> None:
    path = project.root / CONFIGURATION_FILE
    text = path.read_text("utf-8")
    line = f'store: "{target}"'
    changed, times = _STORE_LINE.subn(lambda _: line, text, count=1)
    write_bytes(path, (changed if times else f"{line}\n{text}").encode())
