"""Includes and macros from the task's own folder, written into the template that uses them before it is compiled.

Nothing is looked up by name while a prompt is rendered, and what an included file says is part of the rule's meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from jinja2 import TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

from promptlabel.errors import nearest

Partials: TypeAlias = tuple[tuple[str, str], ...]
"""Names and texts of the files of a task's folder that prompts may include, in order of name."""

Parse: TypeAlias = Callable[[str], nodes.Template]

PREFIX: Final = "_"

MAX_INCLUDED: Final = 200_000
"""Characters that a template may include, all its files together and as often as it includes them."""


def partial_files(folder: Path) -> list[Path]:
    """The files of a task's folder that prompts may include: their names begin with ``_`` and end with ``.jinja``."""
    return sorted(path for path in folder.glob(f"{PREFIX}*.jinja") if path.is_file())


def inlined(tree: nodes.Template, partials: Partials, parse: Parse) -> nodes.Template:
    """The tree, which is changed, with each file it includes and each macro it imports in place of the statement.

    Raises:
        TemplateSyntaxError: no such file or macro, or files that include one another, at the line of the statement.
    """
    found = _Inliner(dict(partials), parse, (), [0]).visit(tree)
    assert isinstance(found, nodes.Template)  # noqa: S101  (a template is visited, not replaced)
    return found


class _Inliner(NodeTransformer):
    def __init__(
        self, partials: Mapping[str, str], parse: Parse, within: tuple[str, ...], included: list[int]
    ) -> None:
        self._partials = partials
        self._parse = parse
        self._within = within
        self._included = included

    def visit_Include(self, node: nodes.Include) -> list[nodes.Node]:  # noqa: N802  (Jinja's naming)
        return self._body(node, "include")

    def visit_FromImport(self, node: nodes.FromImport) -> list[nodes.Node]:  # noqa: N802  (Jinja's naming)
        body = [part for part in self._body(node, "import") if isinstance(part, nodes.Macro)]
        known = [macro.name for macro in body]
        aliases: list[nodes.Node] = []
        for wanted in node.names:
            name, alias = (wanted, wanted) if isinstance(wanted, str) else wanted
            if name not in known:
                raise TemplateSyntaxError(f"no macro is named '{name}'{nearest(name, known)}", node.lineno)
            if alias != name:
                aliases.append(
                    nodes.Assign(nodes.Name(alias, "store"), nodes.Name(name, "load"), lineno=node.lineno)
                )
        return [*body, *aliases]

    def _body(self, node: nodes.Include | nodes.FromImport, what: str) -> list[nodes.Node]:
        name = node.template.value if isinstance(node.template, nodes.Const) else None
        if not isinstance(name, str):
            raise TemplateSyntaxError(f"{what} takes the name of a file in quotation marks", node.lineno)
        if name not in self._partials:
            hint = nearest(name, self._partials) or f" (it would be {PREFIX}NAME.jinja beside the rule)"
            raise TemplateSyntaxError(f"the task's folder has no '{name}' to {what}{hint}", node.lineno)
        if name in self._within:
            raise TemplateSyntaxError(f"'{name}' includes itself", node.lineno)
        self._included[0] += len(self._partials[name])
        if self._included[0] > MAX_INCLUDED:
            raise TemplateSyntaxError(f"includes more than {MAX_INCLUDED:,} characters", node.lineno)
        inner = _Inliner(self._partials, self._parse, (*self._within, name), self._included)
        try:
            return list(_moved(inner.visit(self._parse(self._partials[name])), node.lineno))
        except TemplateSyntaxError as error:
            where = "" if self._within else f"{name}, line {error.lineno}: "
            raise TemplateSyntaxError(f"{where}{error.message}", node.lineno) from None


def _moved(tree: nodes.Template, line: int) -> Iterator[nodes.Node]:
    """The parts of another file, as if they stood on the line that includes them."""
    for node in tree.find_all(nodes.Node):
        node.lineno = line
    yield from tree.body
