"""The Jinja of prompts: no globals, no way to reach or change objects, no way to make much out of little."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from jinja2 import StrictUndefined, Template, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_OUTPUT: Final = 1_000_000
MAX_STEPS: Final = 100_000
"""Rounds that all loops of one rendering may take together."""

COUNTED: Final = "_counted"
STEPS: Final = "_steps"
_MAX_FACTOR: Final = 1_000_000

_FILTER_NAMES: Final = """
    abs capitalize count d default dictsort first float groupby int items join last length list lower map max min
    reject rejectattr replace reverse select selectattr sort string striptags sum title tojson trim truncate
    unique upper wordcount
"""
_STRING_METHODS: Final = """
    capitalize casefold count endswith find index isalnum isalpha isdigit islower isnumeric isspace istitle
    isupper lower lstrip partition removeprefix removesuffix rfind rindex rpartition rsplit rstrip split
    splitlines startswith strip swapcase title upper
"""
_METHODS: Final[Mapping[type, frozenset[str]]] = {
    str: frozenset(_STRING_METHODS.split()),
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
}


class _BoundedGenerator(CodeGenerator):
    """Sends ``~`` through the environment, as the sandbox does for the other operators."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802  (Jinja's naming)
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment for templates that experts write and that meet whatever users of a product typed."""

    code_generator_class = _BoundedGenerator
    intercepted_binops = frozenset(["*", "**", "+", "%"])

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in _FILTER_NAMES.split()}
        self.filters |= {"join": _join, "replace": _replace, "tojson": _to_json, COUNTED: _counted}

    def compiled(self, source: str) -> Template:
        """The template, the rounds of its loops counted by the iterator in the variable `STEPS`."""
        tree = self.parse(source)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(
                loop.iter, COUNTED, [], [], None, None, lineno=loop.lineno, environment=self
            )
        template = self.from_string(tree)
        template.globals = dict(template.globals)  # a chain of maps otherwise, copied at every rendering
        return template

    def getattr(self, obj: object, attribute: str) -> object:
        """A key of a mapping before its methods: prompts are about data."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Whether a template may use the attribute: of data only methods that read, of `loop` what is public."""
        if isinstance(obj, LoopContext):
            return super().is_safe_attribute(obj, attr, value)
        return attr in _METHODS.get(type(obj), ())

    def wrap_str_format(self, value: object) -> None:
        """None always: `str.format` is not offered, its widths make gigabytes of one digit."""

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        """The result of an operator, unless it could be out of all proportion.

        Raises:
            SecurityError: it could.
        """
        if operator == "**" or (operator == "*" and not (_is_factor(left) and _is_factor(right))):
            raise SecurityError(
                f"'{operator}' is not offered here, but for * with numbers up to {_MAX_FACTOR:,}"
            )
        if operator == "%" and isinstance(left, str):
            raise SecurityError("'%' does not format text here: join with ~")
        if operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
            _refuse_over_cap(len(left) + len(right), "+")
        return super().call_binop(context, operator, left, right)

    def joined(self, parts: Iterable[object]) -> str:
        """The parts as one text: what ``~`` means."""
        return _join(parts)


def _is_factor(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= _MAX_FACTOR


def _refuse_over_cap(length: int, what: str) -> None:
    if length > MAX_OUTPUT:
        raise SecurityError(f"{what} makes more than {MAX_OUTPUT:,} characters")


@pass_context
def _counted(context: Context, values: Iterable[object]) -> Iterator[object]:
    steps: Iterator[int] = context[STEPS]
    for value in values:
        if next(steps) >= MAX_STEPS:
            raise SecurityError(f"loops more than {MAX_STEPS:,} times")
        yield value


def _join(values: Iterable[object], separator: str = "") -> str:
    parts = [str(value) for value in values]
    _refuse_over_cap(sum(map(len, parts)) + len(separator) * len(parts), "joining")
    return separator.join(parts)


def _replace(value: object, old: str, new: str) -> str:
    text = str(value)
    _refuse_over_cap(len(text) + text.count(old) * len(new), "replace")
    return text.replace(old, new)


def _to_json(value: object) -> str:
    """Plain JSON; Jinja's own escapes ``<`` for web pages, which no model needs."""
    return json.dumps(value, ensure_ascii=False)
