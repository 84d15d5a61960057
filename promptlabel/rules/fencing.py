"""What a trace says, set apart from what the rule says: delimiters that nobody can guess, and marked lines.

The delimiter is a keyed hash of the text it encloses: the same text in the same project is fenced alike, so that
answers are paid for once, and whoever writes a text knows neither the key nor, therefore, its delimiter. After
"spotlighting" (Hines et al. 2024, arXiv 2403.14720).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from jinja2 import nodes, pass_context
from jinja2.runtime import Context

FENCE: Final = "_fence"
TRACE_NAMES: Final = frozenset(("trace", "text"))

_MARK: Final = "| "
_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Fence:
    """How text of traces is set apart: `key` is the project's secret, `mark` puts a sign before every line as well."""

    key: bytes
    mark: bool = False

    def around(self, text: str) -> str:
        """The text between its delimiters; blank text as it is."""
        if not text.strip():
            return text
        delimiter = self.delimiter(text)
        inner = "\n".join(_MARK + line for line in text.splitlines()) if self.mark else text
        return f"<data-{delimiter}>\n{inner}\n</data-{delimiter}>"

    def delimiter(self, text: str) -> str:
        """16 hexadecimal digits (64 bits) of the text's keyed hash."""
        content = text.encode("utf-8", "surrogatepass")
        return blake2b(content, key=self.key, digest_size=_BYTES).hexdigest()


@pass_context
def fenced(context: Context, text: object) -> str:
    """The filter that fences what a part of a template made of a trace, where the rendering has a fence."""
    fence: Fence | None = context[FENCE]
    return str(text) if fence is None else fence.around(str(text))


def fence_traces(tree: nodes.Template) -> None:
    """Nothing; the largest parts of the template that show a trace are passed through the filter `FENCE`.

    A part is an output, or a whole loop or condition in which a trace's text is output.
    """
    names = _names_of_traces(tree)
    tree.body = [_fenced(node, names) for node in tree.body]


def _fenced(node: nodes.Node, names: frozenset[str]) -> nodes.Node:
    if isinstance(node, nodes.Output):
        node.nodes = [_through_fence(part) if _uses(part, names) else part for part in node.nodes]
        return node
    if isinstance(node, nodes.Macro) or not _shows(node, names):
        return node
    if isinstance(node, nodes.If) and node.find(nodes.Assign) is not None:
        return _fenced_inside(node, names)  # a block around it would hide what it sets
    block = nodes.Filter(None, FENCE, [], [], None, None, lineno=node.lineno)
    return nodes.FilterBlock([node], block, lineno=node.lineno)


def _fenced_inside(node: nodes.If, names: frozenset[str]) -> nodes.If:
    node.body = [_fenced(part, names) for part in node.body]
    node.else_ = [_fenced(part, names) for part in node.else_]
    for branch in node.elif_:
        _fenced_inside(branch, names)
    return node


def _through_fence(value: nodes.Expr) -> nodes.Expr:
    return nodes.Filter(value, FENCE, [], [], None, None, lineno=value.lineno)


def _shows(node: nodes.Node, names: frozenset[str]) -> bool:
    """Whether the trace's text is output somewhere inside."""
    return any(_uses(part, names) for output in node.find_all(nodes.Output) for part in output.nodes)


def _uses(node: nodes.Node, names: frozenset[str]) -> bool:
    found: Iterable[nodes.Node] = [node] if isinstance(node, nodes.Name) else node.find_all(nodes.Name)
    return any(isinstance(name, nodes.Name) and name.name in names for name in found)


def _names_of_traces(tree: nodes.Template) -> frozenset[str]:
    """The variables, loop variables and macros that may hold or show what a trace says."""
    names = TRACE_NAMES
    while True:
        more = names | {name for node in tree.find_all(nodes.Node) for name in _given(node, names)}
        if more == names:
            return names
        names = more


def _given(node: nodes.Node, names: frozenset[str]) -> Iterator[str]:
    if (isinstance(node, nodes.For) and _uses(node.iter, names)) or (
        isinstance(node, nodes.Assign) and _uses(node.node, names)
    ):
        yield from _targets(node.target)
    elif isinstance(node, nodes.With):
        for target, value in zip(node.targets, node.values, strict=True):
            if _uses(value, names):
                yield from _targets(target)
    elif isinstance(node, nodes.Macro) and _shows(node, names):
        yield node.name


def _targets(target: nodes.Node) -> Iterator[str]:
    if isinstance(target, nodes.Name):
        yield target.name
    for name in target.find_all(nodes.Name):
        yield name.name
