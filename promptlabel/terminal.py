"""What people read: tables, progress and errors; with `--json`, one object on stdout instead."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import TracebackType
from typing import Any, Self, cast

import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from promptlabel.errors import InputError, PromptlabelError
from promptlabel.records import Status

_screen = Console()
_errors = Console(stderr=True)


def show(verb: str, result: object, as_json: bool) -> None:
    """Nothing; prints the result of the verb, results of several tasks one after the other."""
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(_one_object(result), option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
        return
    for item in result if isinstance(result, Sequence) else (result,):
        _VIEWS[verb](item)


def show_error(error: PromptlabelError, as_json: bool) -> None:
    """Nothing; prints every fault on stderr, and as JSON on stdout when that was asked for."""
    faults = error.faults if isinstance(error, InputError) else ()
    if as_json:
        body = {"error": str(error), "faults": faults}
        sys.stdout.buffer.write(orjson.dumps(body) + b"\n")
    lines = [str(fault) for fault in faults] or [str(error)]
    for line in lines:
        _errors.print(f"[red]error:[/] {escape(line)}", soft_wrap=True)
    if len(lines) > 1:
        _errors.print(f"{len(lines)} faults; nothing was changed")


def _one_object(result: object) -> object:
    """One task's result as it is; of several, the lists joined and each task's result under its name."""
    if not isinstance(result, Sequence):
        return result
    if len(result) == 1:
        return result[0]
    joined: dict[str, Any] = {}
    for item in result:
        for field in fields(item):
            value = getattr(item, field.name)
            if isinstance(value, list | tuple):
                joined[field.name] = [*joined.get(field.name, ()), *value]
    return {**joined, "tasks": {item.task: item for item in result}}
