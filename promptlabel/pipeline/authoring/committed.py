"""A rule as git last committed it, beside the rule as it is."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from promptlabel.errors import Fault, InputError, fail
from promptlabel.pipeline.secret import project_secret
from promptlabel.pipeline.workspace import Workspace
from promptlabel.rules.heuristic import CodeRule, Heuristic
from promptlabel.rules.loading import HEURISTICS_FILE, Task, load_tasks
from promptlabel.rules.prompt import PromptRule
from promptlabel.settings import Project

_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Committed:
    """The committed version of a rule, the commit's short name, and how the file differs from it."""

    rule: PromptRule | CodeRule
    revision: str
    lines: Sequence[str]


def committed_rule(workspace: Workspace, task: Task, rule: PromptRule | CodeRule) -> Committed:
    """The rule of that name in the last commit, its task's files as they were then.

    Where a heuristic is compared, the `heuristics.py` of the commit is run: trusted code, like the one in the folder.

    Raises:
        InputError: there is no git, no commit, or no such rule in it.
    """
    folder, is_python = workspace.project.rules / task.name, isinstance(rule, Heuristic)
    revision = _git(folder, "rev-parse", "--short", "HEAD").strip()
    with TemporaryDirectory() as temporary:
        copy = Path(temporary) / "rules" / task.name
        copy.mkdir(parents=True)
        for name in _git(folder, "ls-tree", "--name-only", "HEAD", "./").splitlines():
            if (name != HEURISTICS_FILE or is_python) and not (folder / name).is_dir():
                (copy / name).write_text(_git(folder, "show", f"HEAD:./{name}"), encoding="utf-8")
        before = _loaded(Project(Path(temporary), workspace.project.settings), task, workspace)
        found = next((one for one in before.rules if one.name == rule.name), None)
        if found is None:
            fail(Fault(f"is in no commit (HEAD is {revision}): nothing to compare with", key=rule.name))
        difference = _difference_of_code if is_python else _difference
        return Committed(found, revision, difference(copy, folder, rule.name))


def _loaded(project: Project, task: Task, workspace: Workspace) -> Task:
    try:
        (found,) = load_tasks(project, (task.name,))
    except InputError as error:
        raise InputError(f"the committed version of task {task.name} is faulty: {error.faults[0]}") from None
    return found.with_secret(project_secret(workspace.project))


def _difference(before: Path, now: Path, rule: str) -> list[str]:
    """The lines of a unified diff of the rule's file, whichever of its two forms it had."""
    old, new = _file_of(before, rule), _file_of(now, rule)
    if old is None or new is None:
        return []
    was, is_now = (path.read_text(encoding="utf-8").splitlines() for path in (old, new))
    return list(unified_diff(was, is_now, old.name, new.name, lineterm="", n=1))


def _difference_of_code(before: Path, now: Path, rule: str) -> list[str]:
    """The lines of a unified diff of the rule's function."""
    was, is_now = (_function(folder / HEURISTICS_FILE, rule) for folder in (before, now))
    return list(unified_diff(was, is_now, HEURISTICS_FILE, HEURISTICS_FILE, lineterm="", n=1))


def _function(path: Path, name: str) -> list[str]:
    """The lines of a function with its decorators; of a rule that is no function, those of the whole file."""
    text = path.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return text.splitlines()[first - 1 : node.end_lineno]
    return text.splitlines()


def _file_of(folder: Path, rule: str) -> Path | None:
    return next(
        (path for path in map(folder.joinpath, (f"{rule}.yaml", f"{rule}.jinja")) if path.is_file()), None
    )


def _git(folder: Path, *arguments: str) -> str:
    program = which("git")
    if program is None:
        fail(Fault("git is not installed: there is no committed version to compare with"))
    done = subprocess.run(  # noqa: S603  (fixed arguments)
        [program, "-C", str(folder), *arguments], capture_output=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
        fail(Fault(f"no committed version to compare with: {reason[-1]}", file=str(folder)))
    return done.stdout.decode("utf-8", errors="replace")
