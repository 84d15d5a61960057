"""A prompt's template: what it refers to, what is wrong with it, what it means, and its text for given values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from jinja2 import Template, TemplateAssertionError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.parser import Parser

from promptlabel.rules.fencing import FENCE, Fence, fence_traces, fenced
from promptlabel.rules.partials import Partials, inlined
from promptlabel.rules.sandbox import MAX_OUTPUT, METER, Meter, Sandbox
from promptlabel.rules.template_checks import (
    PAIR_FIELDS,
    TRACE_FIELDS,
    VARIABLES,
    TemplateFault,
    all_under,
    fields_of,
    is_name,
    unknown_fields,
    unknown_operations,
    unknown_variables,
)

MAX_SOURCE: Final = 50_000

_SANDBOX: Final = Sandbox()
_SANDBOX.filters[FENCE] = fenced


@lru_cache(maxsize=2048)
def prompt_template(source: str, partials: Partials = ()) -> PromptTemplate:
    """The template of a prompt; of equal prompts the same, so that each is parsed and compiled once."""
    return PromptTemplate(source, partials)


@dataclass(frozen=True)
class PromptTemplate:
    """A template over `VARIABLES`; surrounding blank space is no part of it."""

    source: str
    partials: Partials = ()

    @cached_property
    def tree(self) -> nodes.Template:
        """The syntax tree, files of the task's folder included.

        Raises:
            TemplateSyntaxError: there is none.
        """
        return self._parsed()

    def _parsed(self) -> nodes.Template:
        if len(self.source) > MAX_SOURCE:
            raise TemplateSyntaxError(f"is longer than {MAX_SOURCE:,} characters", 1)
        return inlined(_SANDBOX.parse(self.source.strip()), self.partials, _SANDBOX.parse)

    @cached_property
    def variables(self) -> frozenset[str]:
        """The names it needs from outside."""
        return frozenset(meta.find_undeclared_variables(self.tree))

    @cached_property
    def trace_fields(self) -> tuple[str, ...]:
        """The fields of `trace` it may read: those it names, or all where it uses `trace` as a whole."""
        found = [name for name, _ in fields_of("trace", self._nodes)]
        uses = sum(is_name(node, "trace") for node in self._nodes)
        named = tuple(name for name in (*TRACE_FIELDS, *PAIR_FIELDS) if name in found)
        return tuple(dict.fromkeys((*TRACE_FIELDS, *named))) if uses > len(found) else named

    @cached_property
    def meaning(self) -> str:
        """A text that is equal for templates that render equally but for comments and spacing inside tags."""
        for node in self._nodes:
            if isinstance(node, nodes.Output):
                node.nodes = list(_with_merged_text(node.nodes))
        return repr(self.tree)

    def faults(self, known: Iterable[str] = VARIABLES) -> list[TemplateFault]:
        """Syntax errors, statements and filters that are not offered, names and fields that do not exist."""
        skipped = self.source[: len(self.source) - len(self.source.lstrip())].count("\n")
        return [
            TemplateFault(fault.line + skipped, fault.message, fault.word)
            for fault in self._found(tuple(known))
        ]

    def _found(self, known: tuple[str, ...]) -> list[TemplateFault]:
        try:
            found = [*unknown_operations(self._nodes, _SANDBOX), *unknown_fields(self._nodes)]
        except TemplateSyntaxError as error:
            return [TemplateFault(error.lineno, error.message or "not a template")]
        except RecursionError:
            return [TemplateFault(1, "nested too deeply")]
        with suppress(TemplateAssertionError):  # an unknown filter, found above, hides the names
            found += unknown_variables(self._nodes, self.variables, known)
        return sorted(set(found))

    @cached_property
    def _nodes(self) -> tuple[nodes.Node, ...]:
        return tuple(all_under([self.tree]))

    @cached_property
    def _compiled(self) -> Template:
        tree = self._parsed()
        fence_traces(tree)
        return _SANDBOX.compiled(tree)

    def render(self, values: Mapping[str, object], fence: Fence | None = None) -> str:
        """The prompt, what traces say in it set apart by the fence, if there is one.

        Raises:
            SecurityError: it does what the sandbox forbids, or is longer than 1,000,000 characters.
            Exception: whatever the template's own code raises.
        """
        context = self._compiled.new_context({**values, METER: Meter(), FENCE: fence})
        return "".join(_capped(self._compiled.root_render_func(context)))


@dataclass(frozen=True)
class Condition(PromptTemplate):
    """An expression, in the language of templates, that holds or does not."""

    def _parsed(self) -> nodes.Template:
        if len(self.source) > MAX_SOURCE:
            raise TemplateSyntaxError(f"is longer than {MAX_SOURCE:,} characters", 1)
        parser = Parser(_SANDBOX, self.source.strip(), state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            raise TemplateSyntaxError("goes on after the expression", parser.stream.current.lineno)
        result = nodes.Assign(nodes.Name(_RESULT, "store"), expression, lineno=1)
        return nodes.Template([result], lineno=1).set_environment(_SANDBOX)  # type: ignore[return-value]

    def holds(self, values: Mapping[str, object]) -> bool:
        """Whether the expression is true of the values; one that needs what is not there does not hold.

        Raises:
            Exception: whatever else the expression raises.
        """
        context = self._compiled.new_context({**values, METER: Meter(), FENCE: None})
        try:
            for _ in self._compiled.root_render_func(context):
                pass
            return bool(context.vars[_RESULT])
        except UndefinedError:
            return False


_RESULT: Final = "result"


def _capped(chunks: Iterable[str]) -> Iterator[str]:
    length = 0
    for chunk in chunks:
        length += len(chunk)
        if length > MAX_OUTPUT:
            raise SecurityError(f"the prompt is longer than {MAX_OUTPUT:,} characters")
        yield chunk


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
