"""What experts read of their rules: faults, previews, explanations, suggestions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.markup import escape

from promptlabel.label_sets import NONE, set_members
from promptlabel.terminal.printing import (
    clipped,
    counted,
    dollars,
    ends_of,
    percent,
    say,
    say_stopped,
    screen,
    table_of,
)


def check(report: Any) -> None:
    """Nothing; every fault is printed, or that there is none."""
    say(
        f"{counted(report.rules, 'rule')} in {counted(len(report.tasks), 'task')}, no faults: {', '.join(report.tasks)}"
    )
    for rule in report.renamed:
        say(f"{rule.task}/{rule.old} is now called {rule.new}; it keeps its votes")
    for run in getattr(report, "runs", ()):
        _examples(run.examples, f"{run.rule}: ")
    if hasattr(report, "runs"):
        say(f"{counted(report.passed, 'example')} as expected, {report.failed:,} not")
        say_stopped(report)


def preview(report: Any) -> None:
    """Nothing; the rule on each trace is printed."""
    if report.traces and report.traces[0].prompt:
        say("[dim]the prompt of the first trace:[/]", escape(report.traces[0].prompt), "")
    several = len({row.model for row in report.traces}) > 1
    columns = [
        "trace",
        *(["model"] if several else []),
        "answer",
        "vote",
        "likely",
        "gold",
        "others disagree",
    ]
    table = table_of(*columns, *(["before"] if report.diff else []))
    for row in report.traces:
        table.add_row(*_preview_cells(row, several), *([_before(row)] if report.diff else []))
    screen.print(table)
    _tallies(report.labels)
    if any(row.swapped is not None for row in report.traces):
        say("[dim]a vote joins the answers to both orders: what the model likes about a place cancels[/]")
    elif any(row.distribution and row.prompt for row in report.traces):
        say("[dim]votes weigh all answers of the rule so far, and can differ from the likeliest answer[/]")
    outside = [row.outside for row in report.traces if row.outside is not None]
    if outside:
        share = percent(sum(outside) / len(outside))
        say(f"[dim]{share} of the model's probability fell on none of the answers, on average[/]")
    _examples(report.examples)
    if report.diff:
        _preview_diff(report)
    say_stopped(report)


def _preview_cells(row: Any, several: bool) -> list[str]:
    answer = clipped(row.answer or row.cause or "", 40)
    if row.swapped is not None:
        answer = f"{answer}; swapped: {clipped(row.swapped, 40)}"
    model = [row.model] if several else []
    return [escape(row.trace_id), *model, answer, _colored_vote(row), _likely(row), _gold(row), _dissent(row)]


def _likely(row: Any) -> str:
    """The probability of every label, the likeliest first; without a distribution, of the vote."""
    if row.distribution is None:
        return "" if row.confidence is None else f"{row.confidence:.2f}"
    shares = sorted(row.distribution.items(), key=lambda item: -item[1])
    return ", ".join(f"{escape(label)} {share:.2f}" for label, share in shares)


def _dissent(row: Any) -> str:
    """Of the other rules that voted, those of another opinion."""
    if not row.others or row.vote is None:
        return ""
    names = ", ".join(escape(name) for name in row.disagrees)
    return f"{len(row.disagrees)} of {len(row.others)}" + (f": {names}" if names else "")


def _before(row: Any) -> str:
    if row.before is None or row.before == (row.vote or row.status):
        return f"[dim]{escape(row.before or '')}[/]"
    return f"[yellow]{escape(row.before)}[/]"


def _preview_diff(report: Any) -> None:
    colors = {"+": "green", "-": "red"}
    for line in report.diff.lines[2:]:
        color = colors.get(line[:1], "dim")
        say(f"[{color}]{escape(line)}[/]")
    of = counted(len(report.traces), "vote")
    say(f"{report.diff.changed:,} of {of} differ from those of {report.diff.revision}")


def _examples(examples: Iterable[Any], prefix: str = "") -> None:
    for example in examples:
        mark = (
            "[green]as expected[/]" if example.passed else f"[red]votes {example.vote or example.status}[/]"
        )
        say(f"{escape(prefix)}example {example.number}, {example.expected}: {mark}")


def _colored_vote(row: Any) -> str:
    vote = escape(row.vote or row.status)
    return vote if row.right is None else f"[{'green' if row.right else 'red'}]{vote}[/]"


def _gold(row: Any) -> str:
    """What people decided; of a set, dimmed the labels that the vote says nothing of, red those that it denies."""
    if row.gold is None or not row.speaks_of or row.gold == NONE:
        return escape(row.gold or "")
    return ", ".join(_gold_label(label, row) for label in set_members(row.gold))


def _gold_label(label: str, row: Any) -> str:
    if label not in row.speaks_of:
        return f"[dim]{escape(label)}[/]"
    return escape(label) if label in set_members(row.vote) else f"[red]{escape(label)}[/]"


def _tallies(tallies: Any) -> None:
    """Nothing; how right the votes are about each label is printed, where several may apply."""
    if not any(
        one.applies_right + one.applies_wrong + one.denied_right + one.denied_wrong for one in tallies
    ):
        return
    table = table_of("label", ">said, right", ">wrong", ">denied, right", ">wrong", ">silent")
    for one in tallies:
        counts = (one.applies_right, one.applies_wrong, one.denied_right, one.denied_wrong, one.silent)
        table.add_row(escape(one.label), *(f"{count:,}" for count in counts))
    say("[dim]against gold, label by label:[/]")
    screen.print(table)


def explain(report: Any) -> None:
    """Nothing; where the rule is right and wrong, and what to do, is printed."""
    say(
        f"[bold]{escape(report.rule)}[/]: {escape(report.description)}" if report.description else report.rule
    )
    for one in report.models:
        if len(report.models) > 1:
            say("", f"asked of [bold]{escape(one.figures.model)}[/]")
        _explain_one(one, report.unit)


def _explain_one(one: Any, unit: str) -> None:
    row = one.figures
    right = (
        "no gold yet"
        if row.accuracy is None
        else f"right {percent(row.accuracy)} ({ends_of(row)}) of the time"
    )
    say(f"{counted(row.votes, 'vote')} on {percent(row.coverage)} of the {unit}; {right}; {dollars(row.usd)}")
    for said in one.labels:
        judged = (
            "" if said.precision is None else f", right {percent(said.precision)} of {said.judged:,} judged"
        )
        say(f"  {escape(said.label)}: {counted(said.votes, 'vote')}{judged}")
    say(f"alone on {one.alone_total:,} traces; tips the majority on {one.decisive_total:,}")
    for other in one.repeats:
        say(f"says the same as {escape(other.rule)} on {percent(other.agreement)} of {other.shared:,} {unit}")
    _shown_traces("where it is wrong, the surest first", one.wrong, one.wrong_total)
    _shown_traces("where it alone speaks", one.alone, one.alone_total)
    say("", *(f"[yellow]→[/] {escape(text)}" for text in one.suggestions))


def _shown_traces(title: str, traces: Any, total: int) -> None:
    if not traces:
        return
    table = table_of("trace", "says", "gold", ">sure", "the end of it", title=f"{title} ({total:,})")
    for trace in traces:
        sure = "" if trace.confidence is None else f"{trace.confidence:.2f}"
        words = clipped(trace.text[-160:], 160)
        table.add_row(escape(trace.trace_id), escape(trace.vote), escape(trace.gold or ""), sure, words)
    say("")
    screen.print(table)


def suggest(report: Any) -> None:
    """Nothing; the proposals are printed with what was measured of them."""
    source = "gold" if report.source == "gold" else "what most rules say"
    say(
        f"[bold]{report.task}[/]: {counted(len(report.proposals), 'proposal')} from {report.labelled:,} traces, by {source}"
    )
    for one in report.proposals:
        right = (
            "never judged"
            if one.accuracy is None
            else f"right {percent(one.accuracy)} ({100 * one.low:.0f}-{100 * one.high:.0f}) of {one.judged:,} unseen"
        )
        say(
            "",
            f"[bold]{escape(one.path)}[/] says {escape(one.label)} on {percent(one.coverage)} of the traces, {right}",
        )
        say(f"  {one.way}: {escape(', '.join(one.conditions))}")
        if one.on_disputed is not None:
            say(f"  it votes on {percent(one.on_disputed)} of the traces on which rules disagree")
        if one.refused:
            say(f"  [dim]the model did not confirm: {escape(', '.join(one.refused))}[/]")
    if report.proposals:
        say(
            "",
            f"{counted(report.calls, 'call')}, {dollars(report.usd)}. None is active: read them, and move what is good to rules/{report.task}/",
        )
    say_stopped(report)
