"""What is wrong with a template before it is rendered: operations not offered, names and fields that do not exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard

from jinja2 import Environment, nodes

from promptlabel.errors import nearest

VARIABLES: Final = ("trace", "text", "labels", "guidelines", "examples")
TRACE_FIELDS: Final = ("trace_id", "input", "output", "messages", "transcript", "category", "metadata")
PAIR_FIELDS: Final = ("first", "second")
"""What a pairwise task compares, in the order asked about; part of `trace` where they are named."""
MESSAGE_FIELDS: Final = ("role", "content", "timestamp")

_NOT_OFFERED: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Import: "import",
    nodes.Extends: "extends",
    nodes.Block: "block",
    nodes.CallBlock: "call",
    nodes.FilterBlock: "filter",
    nodes.AssignBlock: "set ... endset",
}


@dataclass(frozen=True, slots=True, order=True)
class TemplateFault:
    """One thing wrong with a template, its line in the template, from 1, and the word there that is wrong."""

    line: int
    message: str
    word: str = ""


def all_under(roots: Iterable[nodes.Node]) -> Iterator[nodes.Node]:
    """Every node, parents before children."""
    pending = list(roots)
    while pending:
        node = pending.pop()
        yield node
        pending.extend(node.iter_child_nodes())


def unknown_operations(tree: Iterable[nodes.Node], sandbox: Environment) -> Iterator[TemplateFault]:
    """Statements, filters and tests that are not offered."""
    for node in tree:
        if type(node) in _NOT_OFFERED:
            word = _NOT_OFFERED[type(node)]
            yield TemplateFault(node.lineno, f"'{word}' is not offered in prompts", word.split()[0])
        elif isinstance(node, nodes.Filter) and node.name not in _offered(sandbox.filters):
            hint = nearest(node.name, _offered(sandbox.filters))
            yield TemplateFault(node.lineno, f"no filter is named '{node.name}'{hint}", node.name)
        elif isinstance(node, nodes.Test) and node.name not in sandbox.tests:
            hint = nearest(node.name, sandbox.tests)
            yield TemplateFault(node.lineno, f"no test is named '{node.name}'{hint}", node.name)
        elif isinstance(node, nodes.For) and node.recursive:
            yield TemplateFault(node.lineno, "'for ... recursive' is not offered in prompts", "recursive")
        elif is_name(node, "self"):
            yield TemplateFault(node.lineno, f"'self' is not defined{nearest('self', VARIABLES)}", "self")


def _offered(filters: Iterable[str]) -> list[str]:
    return [name for name in filters if not name.startswith("_")]


def unknown_fields(tree: Sequence[nodes.Node]) -> Iterator[TemplateFault]:
    """Fields that traces and their messages do not have."""
    for name, line in fields_of("trace", tree):
        if name not in (*TRACE_FIELDS, *PAIR_FIELDS):
            yield TemplateFault(line, f"'trace' has no '{name}'{nearest(name, TRACE_FIELDS)}", name)
    for loop in tree:
        if isinstance(loop, nodes.For) and isinstance(loop.target, nodes.Name) and _is_messages(loop.iter):
            for name, line in fields_of(loop.target.name, all_under(loop.body)):
                if name not in MESSAGE_FIELDS:
                    message = f"a message has no '{name}'{nearest(name, MESSAGE_FIELDS)}"
                    yield TemplateFault(line, message, name)


def unknown_variables(
    tree: Sequence[nodes.Node], undeclared: Iterable[str], known: Iterable[str]
) -> Iterator[TemplateFault]:
    """Names of `undeclared` that nobody gives."""
    for name in set(undeclared).difference(known):
        line = min(node.lineno for node in tree if is_name(node, name) and node.ctx == "load")
        yield TemplateFault(line, f"'{name}' is not defined{_suggestion(name, known)}", name)


def _suggestion(name: str, known: Iterable[str]) -> str:
    if name in (*TRACE_FIELDS, *PAIR_FIELDS):
        return f" (did you mean 'trace.{name}'?)"
    return nearest(name, known)


def _is_messages(node: nodes.Node) -> bool:
    """Whether the expression is `trace.messages`, filtered or sliced."""
    while isinstance(node, nodes.Filter | nodes.Getitem) and node.node is not None:
        node = node.node
    return isinstance(node, nodes.Getattr) and is_name(node.node, "trace") and node.attr == "messages"


def is_name(node: nodes.Node, name: str) -> TypeGuard[nodes.Name]:
    """Whether the node is the variable of that name."""
    return isinstance(node, nodes.Name) and node.name == name


def fields_of(variable: str, tree: Iterable[nodes.Node]) -> Iterator[tuple[str, int]]:
    """Each ``variable.field`` and ``variable["field"]`` with its line."""
    for node in tree:
        if isinstance(node, nodes.Getattr) and is_name(node.node, variable):
            yield node.attr, node.lineno
        elif (
            isinstance(node, nodes.Getitem)
            and is_name(node.node, variable)
            and isinstance(node.arg, nodes.Const)
        ):
            yield str(node.arg.value), node.lineno
