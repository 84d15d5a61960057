"""What all views print with: one screen, tables, shares, money, intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_WIDTH_OF_A_FILE: Final = 120
"""Columns of what is not printed to a terminal."""

screen = Console(highlight=False)
if not screen.is_terminal:
    screen.width = _WIDTH_OF_A_FILE

SHOWN: Final = 12
"""Rows of a long list that are shown; the rest is counted."""


def say(*lines: str) -> None:
    """Nothing; the lines are printed, as long as they are."""
    for line in lines:
        screen.print(line, soft_wrap=True)


def say_next(*commands: str) -> None:
    """Nothing; the commands that come next are printed."""
    say("", *(f"  [bold]{command}[/]" for command in commands))


def table_of(*columns: str, title: str = "") -> Table:
    """A table without lines; a column whose name begins with ``>`` is ranged right."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        numeric = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if numeric else "left", overflow="fold")
    return table


def percent(value: float | None) -> str:
    """The share in per cent, empty where there is none."""
    return "" if value is None or value != value else f"{value:.1%}"


def dollars(usd: float) -> str:
    """The money, or that it is free."""
    return f"${usd:,.4f}" if usd else "free"


def with_interval(figure: Mapping[str, float | None]) -> str:
    """The estimate in per cent with its interval."""
    estimate, low, high = figure["estimate"], figure["low"], figure["high"]
    if estimate is None or low is None or high is None:
        return "unknown"
    return f"{estimate:.1%} ({low:.1%} to {high:.1%})"


def clipped(text: str, width: int = 90) -> str:
    """The text on one line of at most so many characters, safe to print."""
    flat = " ".join(text.split())
    return escape(flat if len(flat) <= width else flat[: width - 1] + "…")


def counted(number: int, noun: str) -> str:
    """The number and the noun in its number."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def say_rest(items: Iterable[object]) -> None:
    """Nothing; how many are not shown is printed."""
    hidden = len(list(items)) - SHOWN
    if hidden > 0:
        say(f"[dim]and {hidden:,} more[/]")


def ends_of(row: Any) -> str:
    """The ends of a rule's interval of accuracy."""
    return "" if row.accuracy is None else f"{100 * row.accuracy_low:.0f}-{100 * row.accuracy_high:.0f}"


def with_ends(figure: Any) -> tuple[str, str]:
    """A rate and its interval, in two cells."""
    if figure is None:
        return "", ""
    return f"{figure.estimate:.1%}", f"{100 * figure.low:.0f}-{100 * figure.high:.0f}"


def say_stopped(report: Any) -> None:
    """Nothing; why a run ended early is printed, if it did."""
    if report.stopped:
        say(f"[yellow]stopped: {report.stopped}: {escape(report.message)}[/]")
