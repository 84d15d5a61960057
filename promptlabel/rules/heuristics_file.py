"""`heuristics.py`: run as a private module, searched for rules, and checked before any trace is seen."""

from __future__ import annotations

import ast
import importlib.abc
import importlib.util
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from promptlabel.errors import Fault, InputError, nearest
from promptlabel.label_sets import NONE
from promptlabel.rules.heuristic import Heuristic, HeuristicFunction, SnorkelFunction, is_snorkel_function
from promptlabel.strict_yaml import read_text


def load_heuristics(
    path: Path, task: str, labels: Sequence[str] | None, *, is_set: bool = False
) -> tuple[list[Heuristic], list[Fault]]:
    """The rules of a `heuristics.py` in the order they are defined, and what is wrong with the file.

    The file is trusted code and is run. Nothing is written beside it and `sys.path` stays as it is.
    Without labels (their file is faulty) what the functions return is not checked. With `is_set` several may apply.
    """
    try:
        text = read_text(path)
        tree = ast.parse(text, str(path))
        module = _run(path, text, task)
    except InputError as error:
        return [], list(error.faults)
    except (Exception, SystemExit) as error:  # noqa: BLE001  the file is a user's program and may raise anything
        return [], [_import_fault(error, path)]
    rules = [Heuristic(task, tuple(labels or ()), source, is_set) for source in _sources(module)]
    faults = [*_repeated_names(tree, path), *_lost_sources(rules, path)]
    return rules, [
        *faults,
        *(_unknown_labels(tree, path, [*labels, *([NONE] if is_set else [])]) if labels else ()),
    ]


class _TextLoader(importlib.abc.ExecutionLoader):
    """Runs text as a module; having no cache, it leaves no bytecode in the user's folder."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text

    def get_filename(self, fullname: str) -> str:  # noqa: ARG002  (the protocol's signature)
        return str(self._path)

    def get_source(self, fullname: str) -> str:  # noqa: ARG002  (the protocol's signature)
        return self._text


def _run(path: Path, text: str, task: str) -> ModuleType:
    loader = _TextLoader(path, text)
    spec = importlib.util.spec_from_loader(f"_promptlabel_heuristics_{task}", loader)
    assert spec is not None  # noqa: S101  (it is None only without a loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def _sources(module: ModuleType) -> Iterator[HeuristicFunction | SnorkelFunction]:
    """Each rule once, whatever number of names it has in the module."""
    seen: set[int] = set()
    for value in vars(module).values():
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, HeuristicFunction) or is_snorkel_function(value):
            yield value


def _import_fault(error: BaseException, path: Path) -> Fault:
    """The exception at the line of the file from which it came."""
    message = f"cannot be imported: {type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return Fault(f"cannot be imported: {error.msg}", str(path), error.lineno, error.offset)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return Fault(message, str(path), lines[-1] if lines else None)


def _repeated_names(tree: ast.Module, path: Path) -> Iterator[Fault]:
    """A second function of a name would silently replace the first."""
    first: dict[str, int] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and first.setdefault(node.name, node.lineno) != node.lineno:
            message = f"defined twice (first on line {first[node.name]}): only the last one would vote"
            yield Fault(message, str(path), node.lineno, key=node.name)


def _unknown_labels(tree: ast.Module, path: Path, labels: Sequence[str]) -> Iterator[Fault]:
    """Words that a marked function returns and that are no labels."""
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and any(map(_marks_a_rule, function.decorator_list)):
            for word, line in _returned_words(function):
                if word not in labels:
                    yield Fault(
                        f"'{word}' is not a label{nearest(word, labels)}", str(path), line, key=function.name
                    )


def _marks_a_rule(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    return name == "heuristic"


def _returned_words(function: ast.FunctionDef) -> Iterator[tuple[str, int]]:
    """The literal texts a function returns itself and their lines, functions inside it left out."""
    pending: list[ast.AST] = [*function.body]
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.Return) and node.value is not None:
            yield from _literal_words(node.value)
        elif not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))


def _literal_words(value: ast.expr) -> Iterator[tuple[str, int]]:
    if isinstance(value, ast.IfExp):
        yield from _literal_words(value.body)
        yield from _literal_words(value.orelse)
    elif isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value, value.lineno


def _lost_sources(rules: Sequence[Heuristic], path: Path) -> Iterator[Fault]:
    """Rules whose code cannot be read, so that a change of it would go unnoticed."""
    for rule in rules:
        try:
            rule.rule_hash  # noqa: B018  (computed now, while the file is as it was run)
        except (OSError, TypeError, SyntaxError) as error:
            yield Fault(f"its source cannot be read: {error}", str(path), key=rule.name)
