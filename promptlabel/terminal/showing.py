"""What people read of a verb's result, or with `--json` one object on stdout instead."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import orjson
from rich.console import Console
from rich.markup import escape

from promptlabel.errors import InputError, PromptlabelError
from promptlabel.terminal.views import VIEWS

_errors = Console(stderr=True, highlight=False)


def show(verb: str, result: object, as_json: bool) -> None:
    """Nothing; prints the result of the verb, results of several tasks one after the other."""
    if as_json:
        _write_json(_one_object(result))
        return
    for item in result if isinstance(result, Sequence) else (result,):
        VIEWS[verb](item)


def show_error(error: PromptlabelError, as_json: bool) -> None:
    """Nothing; prints every fault on stderr, and as JSON on stdout when that was asked for."""
    faults = error.faults if isinstance(error, InputError) else ()
    if as_json:
        _write_json({"error": str(error), "faults": faults})
    lines = [str(fault) for fault in faults] or [str(error)]
    for line in lines:
        _errors.print(f"[red]error:[/] {escape(line)}", soft_wrap=True)
    if len(lines) > 1:
        _errors.print(f"{len(lines)} faults; nothing was changed")


def _write_json(body: object) -> None:
    sys.stdout.write(orjson.dumps(body, default=dict, option=orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")


def _one_object(result: object) -> object:
    """One task's result as it is; of several, the lists joined, and each task's result under its name."""
    if not isinstance(result, Sequence):
        return result
    if len(result) == 1:
        return result[0]
    joined: dict[str, list[object]] = {}
    for item in result:
        for field in fields(item):
            value = getattr(item, field.name)
            if isinstance(value, list | tuple):
                joined.setdefault(field.name, []).extend(value)
    return {**joined, "tasks": {item.task: item for item in result}}


def show_waiting() -> None:
    """Nothing; says that the next save is waited for."""
    _errors.print("[dim]waiting for the next save; Ctrl-C ends[/]")


def show_watched(path: Path, *, taken: bool = False) -> None:
    """Nothing; says on stderr that a folder is watched, or that a file in it was taken."""
    _errors.print(
        f"[dim]{'took' if taken else 'watching'} {escape(str(path))}{'' if taken else '; Ctrl-C ends'}[/]"
    )
