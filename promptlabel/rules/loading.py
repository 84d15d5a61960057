"""The rules folder: every task, its prompt rules and its heuristics, or every fault in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from promptlabel.errors import Fault, InputError, nearest, raise_if_any
from promptlabel.records import RegisteredRule
from promptlabel.rules.declarative import DeclarativeRule
from promptlabel.rules.heuristic import CodeRule, Heuristic
from promptlabel.rules.heuristics_file import load_heuristics
from promptlabel.rules.partials import PREFIX, Partials, partial_files
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.rule_file import read_rule, read_task
from promptlabel.rules.spec import TaskSpec
from promptlabel.settings import CONFIGURATION_FILE, ModelSettings, Project, load_project
from promptlabel.strict_yaml import read_text

TASK_FILE: Final = "task.yaml"
HEURISTICS_FILE: Final = "heuristics.py"
CODE_MODEL: Final = "code"

_RULE_ENDINGS: Final = (".yaml", ".jinja")
_MISTAKEN_ENDINGS: Final[Mapping[str, str]] = {".yml": ".yaml", ".j2": ".jinja", ".jinja2": ".jinja"}
RULE_NAME: Final = re.compile(r"\w[\w.-]*")
"""What a rule may be called."""


@dataclass(frozen=True, eq=False)
class Task:
    """A labelling task and its active rules, each kind in order of name."""

    spec: TaskSpec
    prompts: tuple[PromptRule, ...]
    heuristics: tuple[CodeRule, ...]

    @property
    def name(self) -> str:
        """The name of the task and of its folder."""
        return self.spec.task

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order in which arrays number them."""
        return tuple(self.spec.labels)

    @property
    def rules(self) -> tuple[PromptRule | CodeRule, ...]:
        """All rules in order of name."""
        return tuple(sorted((*self.prompts, *self.heuristics), key=lambda rule: rule.name))

    def with_secret(self, secret: bytes) -> Task:
        """The task whose prompts set apart what traces say by delimiters made from the secret."""
        return replace(self, prompts=tuple(replace(prompt, secret=secret) for prompt in self.prompts))

    def registered(self, models: Mapping[str, ModelSettings]) -> tuple[RegisteredRule, ...]:
        """The rules as the store knows them: one for each model of a prompt rule, ``code`` for a heuristic."""
        return tuple(entry for rule in self.rules for entry in _registered(rule, models))


def _registered(rule: PromptRule | CodeRule, models: Mapping[str, ModelSettings]) -> Iterator[RegisteredRule]:
    if not isinstance(rule, PromptRule):
        yield RegisteredRule(rule.task, rule.name, rule.kind, CODE_MODEL, rule.rule_hash, "")
        return
    for name in rule.models:
        identity = models[name].identity
        yield RegisteredRule(rule.task, rule.name, rule.kind, name, rule.rule_hash, identity)


def load_tasks(project: Project, names: Sequence[str] = ()) -> tuple[Task, ...]:
    """The tasks of a project in order of name, or those named; `heuristics.py` files are run.

    Raises:
        InputError: every fault of every file of these tasks, and every name that no task has.
    """
    tasks, faults = _read_tasks(project.rules, names, project.settings.models)
    raise_if_any(faults)
    return tasks


def load_checked(root: Path, names: Sequence[str] = ()) -> tuple[Project, tuple[Task, ...]]:
    """The project in `root` and its tasks, or those named.

    Raises:
        InputError: every fault of the configuration and of the rules together.
    """
    try:
        project = load_project(root)
    except InputError as error:
        configured = (root / CONFIGURATION_FILE).exists()
        _, faults = _read_tasks(root / "rules", names, None) if configured else ((), [])
        raise InputError((*error.faults, *faults)) from None
    return project, load_tasks(project, names)


def _read_tasks(
    rules: Path, names: Sequence[str], models: Iterable[str] | None
) -> tuple[tuple[Task, ...], list[Fault]]:
    folders = task_folders(rules)
    faults = list(_name_faults(rules, folders, names))
    tasks = []
    for name, folder in folders.items():
        if not names or name in names:
            task, found = _load_task(folder, models)
            faults += found
            tasks += [task] if task else []
    return tuple(tasks), faults


def task_folders(rules: Path) -> dict[str, Path]:
    """The tasks' folders by name, in order of name."""
    if not rules.is_dir():
        return {}
    folders = sorted(path for path in rules.iterdir() if path.is_dir())
    return {path.name: path for path in folders if not path.name.startswith((".", "_"))}


def _name_faults(rules: Path, folders: Iterable[str], names: Iterable[str]) -> Iterator[Fault]:
    if not folders:
        yield Fault(f"holds no task: write {rules / 'TASK' / TASK_FILE}", str(rules))
        return
    for name in names:
        if name not in folders:
            yield Fault(f"no task is named '{name}'{nearest(name, folders)}", str(rules))


def _load_task(folder: Path, models: Iterable[str] | None) -> tuple[Task | None, list[Fault]]:
    spec, faults = _read_task_of(folder)
    faults += _file_name_faults(folder)
    partials, found = read_partials(folder)
    faults += found
    rules: list[PromptRule | DeclarativeRule] = []
    for path in rule_files(folder):
        rule, found = read_rule(path, spec, models, partials)
        faults += found
        rules += [rule] if rule and rule.spec.active else []
    heuristics, found = _read_heuristics_of(folder, spec)
    faults += [*found, *_repeated_rules(folder, heuristics)]
    if spec is None:
        return None, faults
    prompts = [rule for rule in rules if isinstance(rule, PromptRule)]
    code: list[CodeRule] = [*heuristics, *(rule for rule in rules if isinstance(rule, DeclarativeRule))]
    return Task(spec, tuple(sorted(prompts, key=_name_of)), tuple(sorted(code, key=_name_of))), faults


def read_partials(folder: Path) -> tuple[Partials, list[Fault]]:
    """The files of a task's folder that prompts may include, and what is wrong with them."""
    found: list[tuple[str, str]] = []
    faults: list[Fault] = []
    for path in partial_files(folder):
        try:
            found.append((path.name, read_text(path)))
        except InputError as error:
            faults += error.faults
    return tuple(found), faults


def _name_of(rule: PromptRule | CodeRule) -> str:
    return rule.name


def _read_task_of(folder: Path) -> tuple[TaskSpec | None, list[Fault]]:
    path = folder / TASK_FILE
    if path.is_file():
        return read_task(path)
    return None, [Fault("is missing: it names the task and its labels", str(path))]


def _read_heuristics_of(folder: Path, spec: TaskSpec | None) -> tuple[list[Heuristic], list[Fault]]:
    path = folder / HEURISTICS_FILE
    if not path.is_file():
        return [], []
    is_set = spec is not None and spec.kind == "several"
    return load_heuristics(path, folder.name, tuple(spec.labels) if spec else None, is_set=is_set)


def rule_files(folder: Path) -> list[Path]:
    """The rule files of a task's folder, in order of name."""
    files = (path for path in sorted(folder.iterdir()) if path.suffix in _RULE_ENDINGS and path.is_file())
    return [path for path in files if path.name != TASK_FILE and not path.name.startswith((".", PREFIX))]


def _file_name_faults(folder: Path) -> Iterator[Fault]:
    for path in sorted(folder.iterdir()):
        if path.suffix in _MISTAKEN_ENDINGS:
            right = path.with_suffix(_MISTAKEN_ENDINGS[path.suffix]).name
            yield Fault(f"would be overlooked: rename it to {right}", str(path))
    for path in rule_files(folder):
        if not RULE_NAME.fullmatch(path.stem):
            yield Fault("a rule's name has letters, digits, _, - and . only", str(path))


def _repeated_rules(folder: Path, heuristics: Iterable[Heuristic]) -> Iterator[Fault]:
    owners: dict[str, str] = {}
    named = [(path.stem, path.name) for path in rule_files(folder)]
    for name, file in [*named, *((rule.name, HEURISTICS_FILE) for rule in heuristics)]:
        if name in owners:
            yield Fault(f"a rule named '{name}' is in {owners[name]} already", str(folder / file))
        owners.setdefault(name, file)
