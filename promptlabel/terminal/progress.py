"""A progress bar for long verbs, on stderr, with rate, time left, failures and money."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from promptlabel.records import Vote

_REDRAW: Final = 0.1

_stderr = Console(stderr=True, highlight=False)


class VoteProgress:
    """A bar of votes; it stays silent where stderr is no terminal, or JSON was asked for."""

    def __init__(self, as_json: bool) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=_stderr,
            disable=as_json or not _stderr.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("votes", total=None, rate="", note="")
        self._cast = 0
        self._faults = 0
        self._usd = 0.0
        self._drawn = 0.0

    def begin(self, votes: int) -> None:
        """Nothing; the bar's length is known."""
        self._bar.update(self._task, total=votes)

    def cast(self, vote: Vote, usd: float) -> None:
        """Nothing; the vote is counted, and the bar moves if it has not done so for a tenth of a second."""
        self._cast += 1
        self._faults += vote.status in ("malformed", "error")
        self._usd += usd
        if time.monotonic() - self._drawn > _REDRAW:
            self._drawn = time.monotonic()
            self._bar.update(self._task, completed=self._cast, rate=self._rate(), note=self._note())

    def note(self, line: str) -> None:
        """Nothing; the line stands on stderr, above the bar."""
        self._bar.console.print(line, soft_wrap=True, markup=False)

    def _rate(self) -> str:
        speed = self._bar.tasks[0].speed
        return f"{speed:,.0f}/s" if speed else ""

    def _note(self) -> str:
        money = f"${self._usd:.4f}" if self._usd else ""
        faults = f"[red]{self._faults} failed[/]" if self._faults else ""
        return "  ".join(part for part in (money, faults) if part)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
