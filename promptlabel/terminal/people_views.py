"""What maintainers read of the people who review."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from promptlabel.terminal.printing import counted, percent, say, screen, table_of


def reviewers(report: Any) -> None:
    """Nothing; how far people agree, and what is known of each, is printed."""
    say(f"[bold]{escape(report.task)}[/]: {counted(len(report.reviewers), 'reviewer')}")
    if not report.reviewers:
        say("nobody has reviewed yet; run: promptlabel review")
        return
    _agreement(report)
    table = table_of(
        "reviewer", ">labels", ">skipped", ">seconds", ">under 2 s", ">probes right", "", ">misled", "",
        ">changed",
    )  # fmt: skip
    for row in report.reviewers:
        table.add_row(*_cells(row))
    screen.print(table)
    for row in report.reviewers:
        if row.counts.confusion:
            say(f"{escape(row.reviewer)}, settled → said: {escape(_confusion(row.counts.confusion))}")
    for warning in report.warnings:
        say(f"[yellow]{escape(warning)}[/]")


def _agreement(report: Any) -> None:
    if not report.agreement.items:
        say("no trace was labelled blind by two; `review: {reviewers: 2, share: 0.1}` asks for it")
        return
    table = table_of("agreement", ">traces", ">raw", "", ">alpha", "", ">AC1", "")
    named = [("all labels", report.agreement), *report.by_label.items()]
    named += [(f"{pair.first} and {pair.second}", pair.agreement) for pair in report.pairs]
    for name, found in named:
        figures = (cell for one in (found.raw, found.alpha, found.ac1) for cell in _figure(one))
        table.add_row(escape(name), f"{found.items:,}", *figures)
    screen.print(table)


def _figure(interval: Any) -> tuple[str, str]:
    if interval.estimate != interval.estimate:
        return "", ""
    return f"{interval.estimate:.2f}", f"{interval.low:.2f} to {interval.high:.2f}"


def _cells(row: Any) -> list[str]:
    counts = row.counts
    right = f"{counts.probes_right} of {counts.probes}" if counts.probes else ""
    misled = f"{counts.followed} of {counts.suggested}" if counts.suggested else ""
    return [
        escape(row.reviewer),
        f"{counts.labelled:,}",
        f"{counts.skipped:,}",
        "" if counts.seconds is None else f"{counts.seconds:.1f}",
        percent(row.fast_share),
        right,
        _ends(row.accuracy),
        misled,
        _ends(row.over_reliance),
        f"{counts.changed:,}",
    ]


def _ends(estimate: Any) -> str:
    return "" if estimate is None else f"{100 * estimate.low:.0f} to {100 * estimate.high:.0f}"


def _confusion(confusion: Any) -> str:
    return "; ".join(
        f"{settled} → " + ", ".join(f"{said} {count}" for said, count in given.items())
        for settled, given in confusion.items()
    )
