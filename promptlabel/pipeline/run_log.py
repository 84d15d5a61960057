"""What a run does, a JSON line an event, where that is asked for; each with the run, the shard and who works on it.

No line has a word of a prompt, an answer or a trace: errors are told by their kinds alone.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar
from uuid import uuid4

import orjson

from promptlabel.errors import Fault, fail
from promptlabel.records import Attempt
from promptlabel.rules.loading import Task

LOG: Final = "PROMPTLABEL_LOG"
"""The environment variable that asks for lines: ``json`` on stderr, or ``json:PATH``."""
STDERR: Final = "-"

_Given = ParamSpec("_Given")
_Report = TypeVar("_Report")
_KIND: Final = re.compile(r"[A-Za-z_][\w.]*")

_logger = logging.getLogger("promptlabel.run")
_logger.addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Run:
    """What all lines of a run have in common; it goes with every shard to whoever works on it.

    Attributes:
        id: 16 hexadecimal digits.
        target: where lines go: a file, ``-`` for stderr, None for nowhere.
        shard: which part of the traces, such as ``3/16``; None outside of shards.
    """

    id: str
    target: str | None = None
    shard: str | None = None


_run: ContextVar[Run | None] = ContextVar("promptlabel_run", default=None)


def this_run() -> Run:
    """The run under way, or a new one that is known to nobody else."""
    return _run.get() or _new_run()


def span_attributes() -> dict[str, str]:
    """What spans say of the run and the shard under way."""
    run = _run.get()
    if run is None:
        return {}
    return {"promptlabel.run_id": run.id} | ({"promptlabel.shard": run.shard} if run.shard else {})


def target_of(environment: Mapping[str, str]) -> str | None:
    """Where the environment asks lines to go.

    Raises:
        InputError: if it asks for something else than JSON.
    """
    asked = environment.get(LOG)
    if not asked:
        return None
    form, _, path = asked.partition(":")
    if form != "json":
        fail(Fault(f"is '{asked}': write json, for lines on stderr, or json:PATH", key=LOG))
    return str(Path(path).resolve()) if path not in ("", STDERR) else STDERR


def log(event: str, level: int = logging.INFO, /, **fields: object) -> None:
    """Nothing; the event is a line, where lines are asked for."""
    if _run.get() is not None and _logger.isEnabledFor(level):
        _logger.log(level, event, extra={"fields": fields, "run": _run.get()})


def is_listened_to() -> bool:
    """Whether somebody asked for lines."""
    return _logger.isEnabledFor(logging.WARNING) and _run.get() is not None


def log_attempt(attempt: Attempt) -> None:
    """Nothing; a request that failed is a line."""
    if attempt.cause != "ok":
        log(
            "request.failed",
            logging.WARNING,
            task=attempt.task,
            rule=attempt.rule,
            model=attempt.model,
            request=attempt.request,
            cause=kind_of_error(attempt.cause),
            seconds=round(attempt.seconds, 3),
        )


def kind_of_error(cause: str) -> str:
    """The word that a cause begins with: what follows, as in ``ValueError('...')``, may be from a trace."""
    found = _KIND.match(cause)
    return found[0] if found else "unknown"


def logged(
    verb: str, told: Callable[[_Report], Mapping[str, object]]
) -> Callable[[Callable[_Given, _Report]], Callable[_Given, _Report]]:
    """For a verb of the pipeline: its begin and end are lines, the end with what `told` says of its report.

    A verb within another belongs to that one's run.
    """

    def around(work: Callable[_Given, _Report]) -> Callable[_Given, _Report]:
        @wraps(work)
        def doing(*given: _Given.args, **named: _Given.kwargs) -> _Report:
            task = next((one.name for one in given if isinstance(one, Task)), None)
            with _within(_run.get() or _new_run()), _told(verb, {"task": task} if task else {}) as fields:
                report = work(*given, **named)
                fields.update(told(report))
            return report

        return doing

    return around


@contextmanager
def shard(run: Run, name: str, **fields: object) -> Iterator[dict[str, object]]:
    """A block that works on a shard, here or wherever it was sent; it writes into what it gets how that ended."""
    with _within(replace(run, shard=name)), _told("shard", fields) as told:
        yield told


@contextmanager
def _within(run: Run) -> Iterator[None]:
    if run.target is not None:
        _listen(run.target)
    token = _run.set(run)
    try:
        yield
    finally:
        _run.reset(token)


@contextmanager
def _told(
    what: str, fields: Mapping[str, object], clock: Callable[[], float] = time.perf_counter
) -> Iterator[dict[str, object]]:
    began, ended = clock(), dict(fields)
    log(f"{what}.start", **fields)
    try:
        yield ended
    except BaseException as error:
        failed = {**ended, "error": type(error).__name__, "seconds": round(clock() - began, 3)}
        log(f"{what}.failed", logging.ERROR, **failed)
        raise
    log(f"{what}.end", **ended, seconds=round(clock() - began, 3))


def _new_run() -> Run:
    return Run(uuid4().hex[:16], target_of(os.environ))


def _listen(target: str) -> None:
    """Nothing; lines of this process go to the target, once."""
    if _OfTarget(target) not in (kind for handler in _logger.handlers for kind in handler.filters):
        _logger.addHandler(_lines_to(target))
        _logger.setLevel(logging.INFO)


def _lines_to(target: str) -> logging.Handler:
    handler: logging.Handler
    if target == STDERR:
        handler = _ToStderr()
    else:
        try:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            handler = logging.FileHandler(target)
        except OSError as error:
            fail(Fault(f"{target} cannot be written: {error.strerror}", key=LOG))
    handler.setFormatter(_Json())
    handler.addFilter(_OfTarget(target))
    return handler


@dataclass(frozen=True)
class _OfTarget:
    """Lets through the lines of runs that ask for this target."""

    target: str

    def filter(self, record: logging.LogRecord) -> bool:
        run: Run | None = vars(record).get("run")
        return run is not None and run.target == self.target


class _ToStderr(logging.StreamHandler[Any]):
    """To whatever stderr is when a line comes."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _Json(logging.Formatter):
    """One JSON object a line; a line is written whole, so that processes may share a file."""

    def format(self, record: logging.LogRecord) -> str:
        run: Run | None = vars(record).get("run")
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "run_id": run.id if run else None,
            "shard": run.shard if run else None,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            **vars(record).get("fields", {}),
        }
        return orjson.dumps(line, default=str).decode()
