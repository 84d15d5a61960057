"""A prompt's template: what it refers to, what is wrong with it, what it means, and its text for given values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count
from typing import Final, TypeGuard

from jinja2 import Template, TemplateAssertionError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError

from promptlabel.errors import nearest
from promptlabel.rules.sandbox import MAX_OUTPUT, STEPS, Sandbox

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


@lru_cache(maxsize=2048)
def prompt_template(source: str) -> PromptTemplate:
    """The template of a prompt; of equal prompts the same, so that each is parsed and compiled once."""
    return PromptTemplate(source)


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
        found = [name for name, _ in _fields_of("trace", self._nodes)]
        uses = sum(_is_name(node, "trace") for node in self._nodes)
        return TRACE_FIELDS if uses > len(found) else tuple(name for name in TRACE_FIELDS if name in found)

    @cached_property
    def meaning(self) -> str:
        """A text that is equal for templates that render equally but for comments and spacing inside tags."""
        for node in self._nodes:
            if isinstance(node, nodes.Output):
                node.nodes = list(_with_merged_text(node.nodes))
        return repr(self.tree)

    def faults(self) -> list[TemplateFault]:
        """Syntax errors, statements and filters that are not offered, names and fields that do not exist."""
        skipped = self.source[: len(self.source) - len(self.source.lstrip())].count("\n")
        return [TemplateFault(message, line + skipped) for line, message in self._found()]

    def _found(self) -> list[tuple[int, str]]:
        try:
            found = [*_unknown_operations(self._nodes), *_unknown_fields(self._nodes)]
        except TemplateSyntaxError as error:
            return [(error.lineno, error.message or "not a template")]
        except RecursionError:
            return [(1, "nested too deeply")]
        with suppress(TemplateAssertionError):  # an unknown filter, found above, hides the names
            found += self._unknown_variables()
        return sorted(found)

    def _unknown_variables(self) -> Iterator[tuple[int, str]]:
        for name in self.variables.difference(VARIABLES):
            line = min(node.lineno for node in self._nodes if _is_name(node, name) and node.ctx == "load")
            yield line, f"'{name}' is not defined{_suggestion(name)}"

    @cached_property
    def _nodes(self) -> tuple[nodes.Node, ...]:
        return tuple(_all_under([self.tree]))

    @cached_property
    def _compiled(self) -> Template:
        return _SANDBOX.compiled(self.source.strip())

    def render(self, values: Mapping[str, object]) -> str:
        """The prompt.

        Raises:
            SecurityError: it does what the sandbox forbids, or is longer than 1,000,000 characters.
            Exception: whatever the template's own code raises.
        """
        context = self._compiled.new_context({**values, STEPS: count()})
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


def _all_under(roots: Iterable[nodes.Node]) -> Iterator[nodes.Node]:
    """Every node, parents before children."""
    pending = list(roots)
    while pending:
        node = pending.pop()
        yield node
        pending.extend(node.iter_child_nodes())


def _unknown_operations(tree: Iterable[nodes.Node]) -> Iterator[tuple[int, str]]:
    for node in tree:
        if type(node) in _NOT_OFFERED:
            yield node.lineno, f"'{_NOT_OFFERED[type(node)]}' is not offered in prompts"
        elif isinstance(node, nodes.Filter) and node.name not in _SANDBOX.filters:
            yield node.lineno, f"no filter is named '{node.name}'{nearest(node.name, _SANDBOX.filters)}"
        elif isinstance(node, nodes.Test) and node.name not in _SANDBOX.tests:
            yield node.lineno, f"no test is named '{node.name}'{nearest(node.name, _SANDBOX.tests)}"
        elif isinstance(node, nodes.For) and node.recursive:
            yield node.lineno, "'for ... recursive' is not offered in prompts"
        elif _is_name(node, "self"):
            yield node.lineno, f"'self' is not defined{nearest('self', VARIABLES)}"


def _unknown_fields(tree: Sequence[nodes.Node]) -> Iterator[tuple[int, str]]:
    for name, line in _fields_of("trace", tree):
        if name not in TRACE_FIELDS:
            yield line, f"'trace' has no '{name}'{nearest(name, TRACE_FIELDS)}"
    for loop in tree:
        if isinstance(loop, nodes.For) and isinstance(loop.target, nodes.Name) and _is_messages(loop.iter):
            for name, line in _fields_of(loop.target.name, _all_under(loop.body)):
                if name not in MESSAGE_FIELDS:
                    yield line, f"a message has no '{name}'{nearest(name, MESSAGE_FIELDS)}"


def _is_messages(node: nodes.Node) -> bool:
    """Whether the expression is `trace.messages`, filtered or sliced."""
    while isinstance(node, nodes.Filter | nodes.Getitem) and node.node is not None:
        node = node.node
    return isinstance(node, nodes.Getattr) and _is_name(node.node, "trace") and node.attr == "messages"


def _is_name(node: nodes.Node, name: str) -> TypeGuard[nodes.Name]:
    return isinstance(node, nodes.Name) and node.name == name


def _fields_of(variable: str, tree: Iterable[nodes.Node]) -> Iterator[tuple[str, int]]:
    """Each ``variable.field`` and ``variable["field"]`` with its line."""
    for node in tree:
        if isinstance(node, nodes.Getattr) and _is_name(node.node, variable):
            yield node.attr, node.lineno
        elif (
            isinstance(node, nodes.Getitem)
            and _is_name(node.node, variable)
            and isinstance(node.arg, nodes.Const)
        ):
            yield str(node.arg.value), node.lineno
