"""`check`: every fault of configuration and rules, offline, and which rules were renamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptlabel.errors import StoreError
from promptlabel.records import RegisteredRule
from promptlabel.rules.loading import Task, load_checked


@dataclass(frozen=True, slots=True)
class Renamed:
    """A rule whose votes are kept under a new name."""

    task: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found to be in order: the tasks, how many rules, and what was renamed since the last vote."""

    tasks: tuple[str, ...]
    rules: int
    renamed: tuple[Renamed, ...]


def check(root: Path, names: Sequence[str] = ()) -> CheckReport:
    """The checked tasks and renamed rules.

    Raises:
        InputError: with every fault of configuration and rules.
    """
    project, tasks = load_checked(root, names)
    renamed: tuple[Renamed, ...] = ()
    if project.store_path.exists():
        from promptlabel.store.opening import open_store  # numpy comes with it

        try:
            with open_store(project) as store:
                renamed = tuple(
                    found
                    for task in tasks
                    for found in renamed_rules(
                        store.registered_rules(task.name), task.registered(project.settings.models)
                    )
                )
        except StoreError:
            renamed = ()  # the rules can be checked while a run or the review page holds the store
    return CheckReport(
        tasks=tuple(task.name for task in tasks), rules=sum(_count(task) for task in tasks), renamed=renamed
    )


def renamed_rules(before: Sequence[RegisteredRule], now: Sequence[RegisteredRule]) -> list[Renamed]:
    """Rules of `now` that mean what a rule of `before` meant whose name is gone."""
    names_now = {rule.rule for rule in now}
    gone = {rule.rule_hash: rule.rule for rule in before if rule.rule not in names_now}
    names_before = {rule.rule for rule in before}
    fresh = {rule.rule: rule for rule in now if rule.rule not in names_before and rule.rule_hash in gone}
    return [Renamed(rule.task, gone[rule.rule_hash], rule.rule) for rule in fresh.values()]


def _count(task: Task) -> int:
    return len(task.rules)
