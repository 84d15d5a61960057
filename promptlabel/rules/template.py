"""A prompt's template: what it refers to, what is wrong with it, what it means, and its text for given values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from jinja2 import Template, TemplateAssertionError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError

from promptlabel.errors import nearest
from promptlabel.rules.sandbox import MAX_OUTPUT, Sandbox

VARIABLES: Final = ("trace", "labels", "guidelines", "examples")
TRACE_FIELDS: Final = ("trace_id", "input", "output", "messages", "transcript", "category", "metadata")
MESSAGE_FIELDS: Final = ("role", "content", "timestamp")

_SANDBOX: Final = Sandbox()
_NOT_OFFERED: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.Block: "block",
    nodes.Macro: "macro",
    nodes.CallBlock: "call",
    nodes.FilterBlock: "filter",
    nodes.AssignBlock: "set ... endset",
}


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """One thing wrong with a template, and its line in the template, from 1."""

    message: str
    line: int


@dataclass(frozen=True)
class PromptTemplate:
    """A template over `VARIABLES`; surrounding blank space is no part of it."""

    source: str

    @cached_property
    def tree(self) -> nodes.Template:
        """The syntax tree.

        Raises:
            TemplateSyntaxError: there is none.
        """
        return _SANDBOX.parse(self.source.strip())

    @cached_property
    def variables(self) -> frozenset[str]:
        """The names it needs from outside."""
        return frozenset(meta.find_undeclared_variables(self.tree))

    @cached_property
    def trace_fields(self) -> tuple[str, ...]:
        """The fields of `trace` it may read: those it names, or all where it uses `trace` as a whole."""
        named = {name for name, _ in _fields_of("trace", self.tree)}
        uses = sum(node.name == "trace" for node in self.tree.find_all(nodes.Name))
        if uses > len(list(_fields_of("trace", self.tree))):
            return TRACE_FIELDS
        return tuple(name for name in TRACE_FIELDS if name in named)

    @cached_property
    def meaning(self) -> str:
        """A text that is equal for templates that render equally but for comments and spacing inside tags."""
        for output in self.tree.find_all(nodes.Output):
            output.nodes = list(_with_merged_text(output.nodes))
        return repr(self.tree)

    def faults(self) -> list[TemplateFault]:
        """Syntax errors, statements and filters that are not offered, names and fields that do not exist."""
        skipped = self.source[: len(self.source) - len(self.source.lstrip())].count("\n")
        return [TemplateFault(message, line + skipped) for line, message in self._found()]

    def _found(self) -> list[tuple[int, str]]:
        try:
            found = [*_unknown_operations(self.tree), *_unknown_fields(self.tree)]
        except TemplateSyntaxError as error:
            return [(error.lineno, error.message or "not a template")]
        with suppress(TemplateAssertionError):  # an unknown filter, found above, hides the names
            found += self._unknown_variables()
        return sorted(found)

    def _unknown_variables(self) -> Iterator[tuple[int, str]]:
        unknown = self.variables.difference(VARIABLES)
        for name in unknown:
            line = next(node.lineno for node in self.tree.find_all(nodes.Name) if node.name == name)
            yield line, f"'{name}' is not defined{_suggestion(name)}"

    @cached_property
    def _compiled(self) -> Template:
        return _SANDBOX.from_string(self.tree)

    def render(self, values: Mapping[str, object]) -> str:
        """The prompt.

        Raises:
            SecurityError: it does what the sandbox forbids, or is longer than 1,000,000 characters.
            Exception: whatever the template's own code raises.
        """
        context = self._compiled.new_context(dict(values))
        return "".join(_capped(self._compiled.root_render_func(context)))


def _capped(chunks: Iterable[str]) -> Iterator[str]:
    length = 0
    for chunk in chunks:
        length += len(chunk)
        if length > MAX_OUTPUT:
            raise SecurityError(f"the prompt is longer than {MAX_OUTPUT:,} characters")
        yield chunk


def _suggestion(name: str) -> str:
    if name in TRACE_FIELDS:
        return f" (did you mean 'trace.{name}'?)"
    return nearest(name, VARIABLES)


def _with_merged_text(parts: Iterable[nodes.Expr]) -> Iterator[nodes.Expr]:
    """The parts, pieces of literal text that only a comment kept apart joined."""
    text = ""
    for part in parts:
        if isinstance(part, nodes.TemplateData):
            text += part.data
            continue
        if text:
            yield nodes.TemplateData(text)
        text = ""
        yield part
    if text:
        yield nodes.TemplateData(text)


# --- the static checks, each a generator of (line, message)


def _unknown_operations(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    for node in tree.find_all(tuple(_NOT_OFFERED)):
        yield node.lineno, f"'{_NOT_OFFERED[type(node)]}' is not offered in prompts"
    for kind, known in (nodes.Filter, _SANDBOX.filters), (nodes.Test, _SANDBOX.tests):
        for operation in tree.find_all(kind):
            if operation.name not in known:
                what = kind.__name__.lower()
                yield (
                    operation.lineno,
                    f"no {what} is named '{operation.name}'{nearest(operation.name, known)}",
                )


def _unknown_fields(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    for name, line in _fields_of("trace", tree):
        if name not in TRACE_FIELDS:
            yield line, f"'trace' has no '{name}'{nearest(name, TRACE_FIELDS)}"
    for loop in tree.find_all(nodes.For):
        if isinstance(loop.target, nodes.Name) and _is_messages(loop.iter):
            yield from _unknown_message_fields(loop, loop.target.name)


def _unknown_message_fields(loop: nodes.For, variable: str) -> Iterator[tuple[int, str]]:
    for statement in loop.body:
        for name, line in _fields_of(variable, statement):
            if name not in MESSAGE_FIELDS:
                yield line, f"a message has no '{name}'{nearest(name, MESSAGE_FIELDS)}"


def _is_messages(node: nodes.Node) -> bool:
    """Whether the expression is `trace.messages`, filtered or sliced."""
    while isinstance(node, nodes.Filter | nodes.Getitem) and isinstance(node.node, nodes.Node):
        node = node.node
    return isinstance(node, nodes.Getattr) and _is_name(node.node, "trace") and node.attr == "messages"


def _is_name(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name


def _fields_of(variable: str, tree: nodes.Node) -> Iterator[tuple[str, int]]:
    """Each ``variable.field`` and ``variable["field"]`` with its line."""
    for attribute in tree.find_all(nodes.Getattr):
        if _is_name(attribute.node, variable):
            yield attribute.attr, attribute.lineno
    for item in tree.find_all(nodes.Getitem):
        if _is_name(item.node, variable) and isinstance(item.arg, nodes.Const):
            yield str(item.arg.value), item.lineno
