"""How a long run goes, on stderr: a bar for people, a JSON line a second for machines."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, Literal, TextIO

import orjson
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from promptlabel.pipeline.voting.progress import Progress, Snapshot
from promptlabel.records import Vote

Way = Literal["auto", "bar", "json", "none"]

_REDRAWS_A_SECOND: Final = 8
_SECONDS_A_LINE: Final = 1.0
_CAUSES_SHOWN: Final = 4


@contextmanager
def showing_progress(way: Way, *, as_json: bool) -> Iterator[Progress]:
    """A progress that is shown while inside; `auto` is a bar where stderr is a terminal and no JSON is asked for."""
    console = Console(stderr=True, highlight=False)
    progress = Progress(note=lambda text: console.print(text, soft_wrap=True, markup=False))
    if way == "json":
        progress.note = lambda text: _print(orjson.dumps({"event": "note", "text": text}), sys.stderr)
        with every(_SECONDS_A_LINE, lambda done: _print_line(progress, sys.stderr, done=done)):
            yield progress
    elif way == "bar" or (way == "auto" and console.is_terminal and not as_json):
        with Live(
            console=console,
            get_renderable=lambda: render(progress.snapshot()),
            refresh_per_second=_REDRAWS_A_SECOND,
            transient=True,
            redirect_stdout=False,
        ):
            yield progress
    else:
        yield progress


@contextmanager
def answers_as_they_come() -> Iterator[Callable[[Vote], None]]:
    """What is to be told of each answer; where stderr is a terminal, the newest is shown while inside."""
    console, heard = Console(stderr=True, highlight=False), 0
    with console.status("asking") as status:

        def hear(vote: Vote) -> None:
            nonlocal heard
            heard += 1
            status.update(f"{heard:,} answered; {escape(vote.trace_id)}: {escape(vote.label or vote.status)}")

        yield hear


def render(now: Snapshot) -> Group:
    """The bar: votes, rate and time left in its first line; requests, money and failures in its second."""
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        Text("votes"),
        ProgressBar(total=max(now.total, 1), completed=now.votes, width=40),
        Text(f"{now.votes:,}/{now.total:,}"),
        Text(f"{now.rate:,.0f}/s", style="cyan"),
        Text(_left(now)),
    )
    return Group(bar, Text("  ".join(_notes(now)), style="dim", no_wrap=True, overflow="ellipsis"))


def line(now: Snapshot, *, done: bool) -> bytes:
    """The snapshot as one JSON object, without a line's end."""
    rounded = {
        "seconds": round(now.seconds, 3),
        "rate": round(now.rate, 2),
        "usd": round(now.usd, 9),
        "projected_usd": round(now.projected_usd, 9),
        "seconds_left": None if now.seconds_left is None else round(now.seconds_left, 1),
    }
    fields = {name: rounded.get(name, getattr(now, name)) for name in Snapshot.__slots__}
    return orjson.dumps({"event": "done" if done else "progress", **fields})


@contextmanager
def every(seconds: float, tell: Callable[[bool], None]) -> Iterator[None]:
    """While inside, `tell(False)` is called so often by a thread; when that ends, `tell(True)` once."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(seconds):
            tell(False)

    thread = threading.Thread(target=go_on, name="promptlabel-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        tell(True)


def _print_line(progress: Progress, out: TextIO, *, done: bool) -> None:
    _print(line(progress.snapshot(), done=done), out)


def _print(line: bytes, out: TextIO) -> None:
    out.write(line.decode() + "\n")
    out.flush()


def _left(now: Snapshot) -> str:
    return "" if now.seconds_left is None else f"{timedelta(seconds=round(now.seconds_left))} left"


def _notes(now: Snapshot) -> Iterator[str]:
    if now.calls:
        yield f"{now.calls:,} calls, {now.in_flight} in flight"
    if now.usd:
        yield f"${now.usd:.4f} of about ${now.projected_usd:.2f}"
    if now.errors:
        yield f"tried again: {_by_cause(now.errors)}"
    if now.dead_letters:
        yield f"failed: {_by_cause(now.dead_letters)}"


def _by_cause(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda one: -one[1])
    shown = [f"{cause} {count:,}" for cause, count in ordered[:_CAUSES_SHOWN]]
    return ", ".join(shown) + (", ..." if len(ordered) > _CAUSES_SHOWN else "")
