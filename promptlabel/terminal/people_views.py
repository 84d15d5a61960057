"""What maintainers read of the people who review."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
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


def history(report: Any) -> None:
    """Nothing; who did what is printed, and whether the chain of entries holds."""
    table = table_of(">", "when (UTC)", "who", "from", "what", "task", "outcome", "details")
    for entry in report.entries:
        when = entry["at"].astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        what = [entry[name] or "" for name in ("person", "host", "verb", "task", "outcome")]
        table.add_row(f"{entry['number']}", when, *map(escape, what), escape(_details(entry["details"])))
    if report.entries:
        screen.print(table)
    if report.matching > len(report.entries):
        say(f"the latest {len(report.entries)} of {report.matching:,}; -n shows more")
    say(*_soundness(report))


def _details(details: Mapping[str, Any]) -> str:
    values = {
        name: ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for name, value in details.items()
    }
    return "; ".join(f"{name} {value}" for name, value in values.items())


def _soundness(report: Any) -> Iterator[str]:
    if report.first_broken is not None:
        yield f"[red]entry {report.first_broken} does not follow from those before it: the history was changed there[/]"
    elif report.seal is None:
        yield "nothing is recorded yet"
    else:
        entries = (
            "1 entry follows" if report.total == 1 else f"{report.total:,} entries follow, each from the last"
        )
        yield f"{entries}; the last seal is {report.seal}"
    if report.holds is not None:
        yield (
            "the seal is in it"
            if report.holds
            else "[red]the seal is not in it: entries were taken out or changed[/]"
        )


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
