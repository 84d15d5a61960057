"""Every error a user can meet, each with where it is and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn


class PromptlabelError(Exception):
    """Base of all errors meant for the user; `exit_code` is what the command line returns."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in the input: where, what, and what would be right."""

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        position = [str(part) for part in (self.file, self.line, self.column) if part is not None]
        return ": ".join(part for part in (":".join(position), self.key, self.message) if part)


class InputError(PromptlabelError):
    """The input or the configuration is wrong; carries every fault found, not the first alone."""

    exit_code = 2

    def __init__(self, faults: Iterable[Fault] | Fault | str) -> None:
        if isinstance(faults, str):
            faults = Fault(faults)
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class StoppedError(PromptlabelError):
    """A guard stopped the work before anything was written."""


class StoreError(PromptlabelError):
    """The store cannot be opened, read or written; the message says how to mend it."""


class StoreDamagedError(StoreError):
    """A file of the store or a line of its journal does not hold what was written to it."""


class StoreHeldError(StoreError):
    """Another process holds the store; `pid` is its process number where it is known."""

    def __init__(self, path: str, pid: int | None) -> None:
        self.pid = pid
        holder = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{path} is held by {holder}: wait for it to end, or stop it (kill {pid or 'PID'}), and run this again"
        )


class AlreadyRunningError(PromptlabelError):
    """A run of the project is under way; nothing was done, and the next start will do it (75: EX_TEMPFAIL of sysexits)."""

    exit_code = 75

    def __init__(self, holder: str) -> None:
        super().__init__(f"already running, so this start did nothing: {holder}")


class MissingExtraError(InputError):
    """An optional library is not installed; the message holds the one command that installs it."""

    def __init__(self, what: str, command: str) -> None:
        super().__init__(f"{what} is not installed; run: {command}")


class ModelError(PromptlabelError):
    """A model gave no usable answer.

    Attributes:
        cause: a short stable word kept in the ledger and the dead letters, such as ``rate_limit``.
        permanent: whether asking again is pointless for every question of this model (bad key, no credit).
        retry_after: seconds the server asked to wait, or None.
    """

    def __init__(
        self, message: str, *, cause: str, permanent: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.permanent = permanent
        self.retry_after = retry_after


def raise_if_any(faults: Iterable[Fault]) -> None:
    """Nothing when there are no faults, else an InputError that lists them all."""
    found = tuple(faults)
    if found:
        fail(found)


def fail(faults: Iterable[Fault] | Fault | str) -> NoReturn:
    """Raise an InputError; for places where an expression must not return."""
    raise InputError(faults)


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the known name most like `name`, or the list of all names."""
    names = sorted(known)
    match = difflib.get_close_matches(name, names, n=1)
    if match:
        return f" (did you mean '{match[0]}'?)"
    return f" (known: {', '.join(names)})" if names else ""
