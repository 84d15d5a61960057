"""YAML as people mean it: no aliases, no tags, no repeated keys, `yes` is a word, every value has a position."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Annotated, Final, Protocol, TypeAlias, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from promptlabel.errors import Fault, InputError, nearest, raise_if_any
from promptlabel.records import JsonValue

Keys: TypeAlias = tuple[str | int, ...]
Position: TypeAlias = tuple[int, int]

MAX_TEXT: Final = 1_000_000
MAX_DEPTH: Final = 40
MAX_FAULTS: Final = 100

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML text: plain JSON values, and where each of them stands."""

    data: JsonValue
    file: str
    _positions: Mapping[Keys, Position] = field(default_factory=dict)
    _first_lines: Mapping[Keys, int] = field(default_factory=dict)

    def position(self, path: Keys) -> Position | None:
        """Line and column, from 1, of the key or list item at `path`; None where there is none."""
        return self._positions.get(path)

    def nearest_position(self, path: Keys) -> Position | None:
        """The position of `path`, or of the innermost value around it that has one."""
        known = (self._positions.get(path[:length]) for length in range(len(path), -1, -1))
        return next((position for position in known if position is not None), None)

    def first_line(self, path: Keys) -> int:
        """The line on which the text at `path` begins: for a block scalar the line after its ``|``."""
        return self._first_lines.get(path, 1)

    def fault(self, message: str, path: Keys = ()) -> Fault:
        """A fault of the value at `path`."""
        line, column = self.nearest_position(path) or (None, None)
        return Fault(message, self.file, line, column, dotted(path))


def read_text(path: Path) -> str:
    """The text of a UTF-8 file.

    Raises:
        InputError: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(Fault(f"not UTF-8 text (byte {error.start})", str(path))) from None
    except OSError as error:
        raise InputError(Fault(f"cannot be read: {error.strerror}", str(path))) from None


def load_yaml(text: str, file: str, is_text: Callable[[Keys], bool] = lambda _: False) -> Document:
    """The document in `text`; numbers, booleans and nulls are those of YAML 1.2, every key is text as written.

    Args:
        text: at most 1,000,000 characters, nested at most 40 deep.
        file: the name that faults carry.
        is_text: whether the value at a path is text, kept as written even if it looks like ``1.10`` or ``true``.

    Raises:
        InputError: syntax errors, aliases, tags, repeated keys, unprintable characters, several documents,
            too much text or depth; all of those found.
    """
    text = text.removeprefix("\ufeff")
    raise_if_any(text_faults(text, file))
    return _Reader(file, is_text).read(text)


def text_faults(text: str, file: str) -> list[Fault]:
    """What makes a text unfit before it is parsed: its size, NUL and other control bytes, lone surrogates."""
    if len(text) > MAX_TEXT:
        return [Fault(f"longer than {MAX_TEXT:,} characters", file)]
    found = _UNPRINTABLE.search(text)
    if found is None:
        return []
    before = text[: found.start()]
    line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
    return [Fault(f"character U+{ord(found.group()):04X} is not allowed in text", file, line, column)]


def dotted(path: Keys) -> str | None:
    """The path as people write it, such as ``examples[0].vote``; None for the whole document."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".") or None


# --- from parser events to plain values


class _Mark(Protocol):
    line: int
    column: int


@dataclass(slots=True)
class _Frame:
    """A mapping or a list that is being filled."""

    values: dict[str, JsonValue] | list[JsonValue]
    path: Keys
    key: str | None = None

    @property
    def awaits_key(self) -> bool:
        return isinstance(self.values, dict) and self.key is None


class _Reader:
    """Builds one document from parser events, so that nothing is expanded, constructed or recursed into."""

    def __init__(self, file: str, is_text: Callable[[Keys], bool]) -> None:
        self._file = file
        self._is_text = is_text
        self._faults: list[Fault] = []
        self._frames: list[_Frame] = []
        self._documents = 0
        self._data: JsonValue = None
        self._positions: dict[Keys, Position] = {}
        self._first_lines: dict[Keys, int] = {}

    def read(self, text: str) -> Document:
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            self._refuse(_syntax_message(error), _position(error.problem_mark or error.context_mark))
        raise_if_any(self._faults)
        return Document(self._data, self._file, self._positions, self._first_lines)

    def _take(self, event: yaml.Event) -> None:
        position = _position(event.start_mark)
        match event:
            case yaml.AliasEvent():
                self._refuse("aliases (*name) are not allowed: write the value out", position)
                self._place(None, position)
            case yaml.ScalarEvent():
                self._refuse_tag(event, position)
                self._take_scalar(event, position)
            case yaml.CollectionStartEvent():
                self._refuse_tag(event, position)
                self._open({} if isinstance(event, yaml.MappingStartEvent) else [], position)
            case yaml.CollectionEndEvent():
                self._frames.pop()
            case yaml.DocumentStartEvent():
                self._count_document(position)

    def _refuse(self, message: str, position: Position) -> None:
        self._faults.append(Fault(message, self._file, *position, dotted(self._here())))
        if len(self._faults) >= MAX_FAULTS:
            raise InputError(self._faults)

    def _stop(self, message: str, position: Position) -> None:
        self._refuse(message, position)
        raise InputError(self._faults)

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, position: Position) -> None:
        if event.tag is not None:
            self._refuse(f"tags ({event.tag}) are not allowed", position)

    def _count_document(self, position: Position) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop("a second document (---) is not allowed: one file is one document", position)

    def _take_scalar(self, event: yaml.ScalarEvent, position: Position) -> None:
        if _UNPRINTABLE.search(event.value):
            self._refuse("an escape stands for a character that is not allowed in text", position)
        frame = self._frames[-1] if self._frames else None
        if frame is not None and frame.awaits_key:
            self._take_key(frame, event.value, position)
            return
        path, (line, _) = self._here(), position
        value = _plain_value(event.value) if event.implicit[0] else event.value
        if value is not None and self._is_text(path):
            value = event.value
        self._first_lines[path] = line + 1 if event.style in ("|", ">") else line
        self._place(value, position)

    def _take_key(self, frame: _Frame, key: str, position: Position) -> None:
        frame.key = key
        if key in frame.values:
            first_line, _ = self._positions[self._here()]
            self._refuse(f"key written twice (first on line {first_line})", position)
        self._positions[self._here()] = position

    def _open(self, values: dict[str, JsonValue] | list[JsonValue], position: Position) -> None:
        if self._frames and self._frames[-1].awaits_key:
            self._stop("a key must be text, not a list or a mapping", position)
        if len(self._frames) >= MAX_DEPTH:
            self._stop(f"nested deeper than {MAX_DEPTH} levels", position)
        path = self._here()
        self._place(values, position)
        self._frames.append(_Frame(values, path))

    def _here(self) -> Keys:
        """The path of the value that comes next."""
        if not self._frames:
            return ()
        frame = self._frames[-1]
        if isinstance(frame.values, list):
            return (*frame.path, len(frame.values))
        return frame.path if frame.key is None else (*frame.path, frame.key)

    def _place(self, value: JsonValue, position: Position) -> None:
        self._positions.setdefault(self._here(), position)
        if not self._frames:
            self._data = value
            return
        frame = self._frames[-1]
        if isinstance(frame.values, list):
            frame.values.append(value)
        elif frame.key is not None:
            frame.values[frame.key] = value
            frame.key = None


def _position(mark: _Mark | None) -> Position:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _plain_value(text: str) -> JsonValue:
    """The value of an unquoted scalar; numbers that JSON cannot hold stay text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "not YAML"
    if "mapping values are not allowed" in problem:
        return f"{problem} (put text that holds a colon in quotes)"
    return problem


# --- from pydantic's errors to faults


class StrictModel(BaseModel):
    """What a file written by people is validated as: no unknown keys, no silent conversions, no changes later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def faults_of(error: ValidationError, document: Document, model: type[BaseModel]) -> list[Fault]:
    """A fault for each error of validating `document.data` as `model`, with its position and what would be right."""
    return [_fault_of(details, document, model) for details in error.errors()]


def _fault_of(details: ErrorDetails, document: Document, model: type[BaseModel]) -> Fault:
    path = tuple(part for part in details["loc"] if part != "[key]")
    if details["type"] == "extra_forbidden":
        return document.fault(f"unknown key{nearest(str(path[-1]), _keys_at(model, path[:-1]))}", path)
    return document.fault(_message_of(details), path)


def _message_of(details: ErrorDetails) -> str:
    if details["type"] == "missing":
        return "is missing"
    if details["type"] == "value_error":
        return details["msg"].removeprefix("Value error, ")
    hint = details["msg"].replace("Input should be", "should be").replace("valid dictionary", "mapping")
    hint = re.sub(r" or instance of \w+|valid (?=mapping)", "", hint)
    return f"{hint}, not {_shown(details['input'])}"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    if value is None:
        return "empty"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys_at(model: type[BaseModel], path: Keys) -> Iterable[str]:
    """The keys that the model knows at `path`."""
    annotation: object = model
    for part in path:
        annotation = _inner(annotation, part)
    found = _model_in(annotation)
    return found.model_fields if found else ()


def _inner(annotation: object, part: str | int) -> object:
    """The type of the value under `part` of a value of type `annotation`."""
    found = _model_in(annotation)
    if found is not None:
        known = found.model_fields.get(str(part))
        return known.annotation if known else None
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    return arguments[-1] if arguments else None


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model that the annotation is, or holds as an alternative."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return next(filter(None, map(_model_in, get_args(annotation))), None)
    return None
