"""The Jinja of prompts: no globals, no way to reach or change objects, no way to make much out of little."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, cast

from jinja2 import StrictUndefined, Template, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_OUTPUT: Final = 1_000_000
MAX_STEPS: Final = 100_000
"""Rounds that all loops, and calls of macros, of one rendering may take together."""

MAX_SECONDS: Final = 0.5
"""Processor time of one rendering; an ordinary one takes a thousandth of a second."""

_ROUNDS_A_LOOK: Final = 32
"""Rounds between two looks at the clock, which takes longer than an ordinary round."""

COUNTED: Final = "_counted"
METER: Final = "_meter"
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
_TAG: Final = re.compile(r"<[^<>]*>")
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


class Meter:
    """What one rendering has used up: rounds, characters written anywhere, processor time.

    Raises:
        SecurityError: from each of its methods, where a rendering takes more than any prompt needs.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._written = 0
        self._ends: float | None = None

    def step(self, characters: int = 0) -> None:
        """Nothing; one more round of a loop, in which so many literal characters are written."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise SecurityError(f"loops more than {MAX_STEPS:,} times")
        self.write(characters)
        if self._steps % _ROUNDS_A_LOOK == 0:
            self.check_time()

    def write(self, characters: int) -> None:
        """Nothing; so many more characters are written, into the prompt or into what a macro returns."""
        self._written += characters
        if self._written > 4 * MAX_OUTPUT:
            raise SecurityError(f"writes more than {4 * MAX_OUTPUT:,} characters")

    def check_time(self) -> None:
        """Nothing, while there is processor time left; it runs from the first check on."""
        now = time.thread_time()
        if self._ends is None:
            self._ends = now + MAX_SECONDS
        if now > self._ends:
            raise SecurityError(f"takes longer than {MAX_SECONDS:g} s")


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment for templates that experts write and that meet whatever users of a product typed."""

    code_generator_class = _BoundedGenerator
    intercepted_binops = frozenset(["*", "**", "+", "%"])

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,
            finalize=_written,
        )
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in _FILTER_NAMES.split()}
        self.filters |= {"join": _join, "replace": _replace, "striptags": _strip_tags, "sum": _sum}
        self.filters |= {"tojson": _to_json, COUNTED: _counted}

    def compiled(self, tree: nodes.Template) -> Template:
        """The template of a tree, which is changed: the `Meter` in the variable `METER` counts what it does."""
        for macro in tree.find_all(nodes.Macro):
            once: nodes.Expr = nodes.List([nodes.Const(0)])
            macro.body = [nodes.For(nodes.Name(COUNTED, "store"), once, macro.body, [], None, False)]
        for loop in tree.find_all(nodes.For):
            literal = sum(len(text.data) for text in loop.find_all(nodes.TemplateData))
            loop.iter = self.filtered(loop.iter, COUNTED, nodes.Const(literal))
        for node in tree.find_all(nodes.Node):
            node.set_environment(self)
        template = self.from_string(tree)
        template.globals = dict(template.globals)  # a chain of maps otherwise, copied at every rendering
        return template

    def filtered(self, value: nodes.Node, name: str, *arguments: nodes.Expr) -> nodes.Filter:
        """The expression that passes a value through a filter."""
        return nodes.Filter(
            cast("nodes.Expr", value),
            name,
            list(arguments),
            [],
            None,
            None,
            lineno=value.lineno,
            environment=self,
        )

    def call(
        self, context: Context, function: Callable[..., object], /, *values: object, **named: object
    ) -> object:
        """What a method of data, or a macro, returns."""
        meter: Meter = context.parent[METER]
        meter.check_time()
        return super().call(context, function, *values, **named)

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
def _counted(context: Context, values: Iterable[object], literal: int) -> Iterator[object]:
    meter: Meter = context.parent[METER]
    for value in values:
        meter.step(literal)
        yield value


@pass_context
def _written(context: Context, value: object) -> str:
    text = value if type(value) is str else str(value)
    meter: Meter = context.parent[METER]
    meter.write(len(text))
    return text


def _strip_tags(value: object) -> str:
    """The text without tags; Jinja's own takes quadratic time on comments."""
    return " ".join(_TAG.sub("", str(value)).split())


def _sum(values: Iterable[object], attribute: str | None = None, start: float = 0) -> float:
    """The sum of numbers; Jinja's own also joins lists, in quadratic time."""
    total = start
    for value in values:
        number = value[attribute] if attribute is not None and isinstance(value, dict) else value
        if not isinstance(number, int | float):
            raise SecurityError("sum adds numbers only")
        total += number
    return total


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
