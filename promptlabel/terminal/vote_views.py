"""What engineers read of a run: plans, votes, what rules are worth, fits, the queue."""

from __future__ import annotations

from typing import Any, Final

from rich.markup import escape

from promptlabel.terminal.eval_views import gate
from promptlabel.terminal.printing import (
    SHOWN,
    clipped,
    counted,
    dollars,
    ends_of,
    percent,
    say,
    say_rest,
    screen,
    table_of,
)


def plan(report: Any) -> None:
    """Nothing; what a run would cost is printed."""
    table = table_of("task", "rule", "model", ">calls", ">cached", ">tokens in", ">tokens out", ">cost")
    for row in report.rules:
        figures = (row.calls, row.cached, row.input_tokens, row.output_tokens)
        table.add_row(row.task, row.rule, row.model, *(f"{figure:,}" for figure in figures), dollars(row.usd))
    screen.print(table)
    say(f"{report.calls:,} calls, {dollars(report.usd)}")
    if not report.fits:
        left = [f"${report.usd_left:,.4f}"] if report.usd_left is not None else []
        left += [f"{report.calls_left:,} calls"] if report.calls_left is not None else []
        say(f"[yellow]The budget has {' and '.join(left)} left: a vote stops there and can be resumed.[/]")


def vote(report: Any) -> None:
    """Nothing; what a run did is printed."""
    cast = report.votes + report.abstains + report.malformed + report.errors
    rate = f", {cast / report.seconds:,.0f}/s" if report.seconds > 0 and cast else ""
    say(f"{report.votes:,} votes and {report.abstains:,} abstains in {report.seconds:.1f} s{rate}")
    asked = f"{counted(report.calls, 'call')}, {report.cached:,} cached"
    say(
        f"{asked}, {report.tokens['input']:,} tokens in, {report.tokens['output']:,} out, {dollars(report.usd)}"
    )
    if report.dead_letters:
        say(f"[red]{counted(report.dead_letters, 'dead letter')} wait; to ask again: promptlabel retry[/]")
        for cause, number in report.causes.items():
            say(f"  {number:,} {clipped(cause)}")
    if report.stopped:
        say(f"[yellow]stopped: {report.stopped}: {escape(report.message)}[/]")


_RULE_COLUMNS: Final = (
    "rule",
    "kind",
    ">votes",
    ">cover",
    ">overlap",
    ">conflict",
    ">accuracy",
    "",
    ">cost",
    "advice",
)

_HOW_MANY_VOTES: Final = {
    "gold": "{0:.1f} independent votes, by their errors on gold",
    "agreement": "{0:.1f} independent votes at most, by how they agree; errors that all share show on gold only",
}


def analyze(report: Any) -> None:
    """Nothing; what each rule does is printed."""
    several = len({row.model for row in report.rules if row.kind == "prompt"}) > 1
    table = table_of(*_RULE_COLUMNS, title=report.task)
    for row in report.rules:
        name = f"{row.rule} ({row.model})" if several and row.kind == "prompt" else row.rule
        shares = (percent(value) for value in (row.coverage, row.overlap, row.conflict, row.accuracy))
        advice = "" if row.advice == "unknown" else row.advice
        table.add_row(name, row.kind, f"{row.votes:,}", *shares, ends_of(row), dollars(row.usd), advice)
    screen.print(table)
    if report.unit != "traces":
        say(f"[dim]votes and shares are of {report.unit}[/]")
    for row in report.rules:
        _say_kind(row)
    how = _HOW_MANY_VOTES.get(report.n_eff_source)
    if how:
        say(f"{counted(len(report.rules), 'rule')} amount to {how.format(report.n_eff)}")
    if len(report.n_eff_by_family) > 1 and how:
        say("; ".join(f"{family}: {votes:.1f}" for family, votes in report.n_eff_by_family.items()))
    for pair in report.redundant[:SHOWN]:
        say(f"{pair.rule} and {pair.repeats} err together (correlation {pair.error_correlation:.2f})")


def _say_kind(row: Any) -> None:
    """What a rule of a pairwise or an ordered task is told besides."""
    bias = row.position
    if bias is not None and bias.flips is not None:
        say(
            f"{escape(row.rule)} ({escape(row.model)}): {percent(bias.flips)} of {bias.pairs:,} pairs flip with the order,"
            f" {percent(bias.first_share)} of the answers choose the output shown first; a vote counts both orders"
        )
    if row.ordered is not None:
        kappa = "" if row.ordered.kappa is None else f", quadratic-weighted agreement {row.ordered.kappa:.2f}"
        say(f"{escape(row.rule)}: off by {row.ordered.distance:.2f} labels on average{kappa}")


def fit(report: Any) -> None:
    """Nothing; what the label model chose is printed."""
    shares = ", ".join(f"{label} {share:.1%}" for label, share in report.shares.items())
    say(
        f"[bold]{report.task}[/]: {report.chosen} on {report.traces:,} traces with {report.gold:,} gold labels"
    )
    say(f"mean posterior: {shares}")
    if report.report.get("reason"):
        say(f"why: {escape(str(report.report['reason']))}")
    judged = report.report.get("calibration", {})
    if "mean_distance" in judged:
        kappa = judged["quadratic_kappa"]
        agreement = "" if kappa is None else f", quadratic-weighted agreement {kappa:.2f}"
        say(f"on unseen gold: off by {judged['mean_distance']:.2f} labels on average{agreement}")


def queue(report: Any) -> None:
    """Nothing; what people should review is printed."""
    lanes = ", ".join(f"{lane} {number:,}" for lane, number in report.lanes.items())
    say(f"[bold]{report.task}[/]: {len(report.items):,} traces to review ({lanes or 'none'})")
    if report.backlog and report.backlog.grows:
        say(f"[yellow]{_growing(report.backlog)}[/]")
    table = table_of("trace", "lane", ">score", ">probability", "why")
    for item in report.items[:SHOWN]:
        figures = (f"{item.score:.2f}", f"{item.probability:.3f}")
        table.add_row(escape(item.trace_id), item.lane, *figures, escape(item.reason))
    screen.print(table)
    say_rest(report.items)


def _growing(backlog: Any) -> str:
    flow = f"the queue grows faster than it drains: {backlog.queued_per_day:,.1f} traces a day come in, "
    if not backlog.sustainable_share:
        return f"{flow}none was decided lately"
    share = f"routing: {{share: {backlog.sustainable_share:.2g}}}"
    return f"{flow}{backlog.decided_per_day:,.1f} are decided; `{share}` in promptlabel.yaml would be sustainable"


def run(report: Any) -> None:
    """Nothing; vote, fit, gates and queue are printed, and what was written."""
    vote(report.vote)
    for item in report.fit:
        fit(item)
    for item in report.gates:
        gate(item)
    for item in report.queue:
        queue(item)
    for path in report.written:
        say(f"wrote {path}")
    if report.stopped == "gate":
        say(f"[red]stopped: gate: {escape(report.message)}[/]")
