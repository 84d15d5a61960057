"""What Python code does, as JSON, apart from how it is written down."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import CodeType, FunctionType
from typing import Any, Final

from promptlabel.records import JsonValue

_SCALARS: Final = (str, int, float, bool, bytes, complex, type(None))


def function_meaning(function: Callable[..., Any], seen: frozenset[int] = frozenset()) -> JsonValue:
    """The function's code, and the meaning of the constants and functions of its module that the code names.

    Comments, formatting, docstrings, decorators and the function's own name are left out.

    Raises:
        OSError: the source cannot be found.
    """
    plain = inspect.unwrap(function)
    if not isinstance(plain, FunctionType) or id(plain) in seen:
        return _qualified_name(plain)
    tree = ast.parse(textwrap.dedent(inspect.getsource(plain)))
    within = seen | {id(plain)}
    named = {
        name: _named_meaning(value, plain, within) for name, value in sorted(_named_values(plain).items())
    }
    return [_normal_code(tree, plain.__name__), named]


def constant_meaning(value: object) -> JsonValue:
    """The value of a constant, containers and compiled patterns included; of any other object its type's name."""
    if isinstance(value, _SCALARS):
        return repr(value)
    if isinstance(value, re.Pattern):
        return ["pattern", repr(value.pattern), value.flags]
    if isinstance(value, Mapping):
        return ["mapping", *([repr(key), constant_meaning(item)] for key, item in value.items())]
    if isinstance(value, AbstractSet):
        return ["set", *sorted(map(repr, value))]
    if isinstance(value, Sequence):
        return [constant_meaning(item) for item in value]
    return _qualified_name(value)


def _named_meaning(value: object, user: FunctionType, seen: frozenset[int]) -> JsonValue:
    function = getattr(value, "function", value)  # a rule may call another rule
    if isinstance(function, FunctionType) and function.__globals__ is user.__globals__:
        return function_meaning(function, seen)
    return constant_meaning(value)


def _named_values(function: FunctionType) -> dict[str, object]:
    """The globals and closed-over variables that the function's code names."""
    names = set(_names_in(function.__code__))
    found = {name: value for name, value in function.__globals__.items() if name in names}
    return found | dict(inspect.getclosurevars(function).nonlocals)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _normal_code(tree: ast.Module, name: str) -> str:
    """The source of the function of that name, or of the lambda's line, in one layout."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            node.decorator_list, node.name = [], "_"
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
            return ast.unparse(node)
    return ast.unparse(tree)


def _qualified_name(value: object) -> str:
    named = value if hasattr(value, "__name__") else type(value)
    return str(getattr(named, "__qualname__", None) or getattr(named, "__name__", ""))
