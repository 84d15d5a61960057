"""One view a verb: its result as the tables and sentences that people read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_WIDTH_OF_A_FILE: Final = 120
"""Columns of what is not printed to a terminal."""

_screen = Console(highlight=False)
if not _screen.is_terminal:
    _screen.width = _WIDTH_OF_A_FILE

_SHOWN: Final = 12
"""Rows of a long list that are shown; the rest is counted."""


def _say(*lines: str) -> None:
    for line in lines:
        _screen.print(line, soft_wrap=True)


def _next(*commands: str) -> None:
    _say("", *(f"  [bold]{command}[/]" for command in commands))


def _table(*columns: str, title: str = "") -> Table:
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        numeric = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if numeric else "left", overflow="fold")
    return table


def _share(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.1%}"


def _money(usd: float) -> str:
    return f"${usd:,.4f}" if usd else "free"


def _interval(figure: Mapping[str, float | None]) -> str:
    estimate, low, high = figure["estimate"], figure["low"], figure["high"]
    if estimate is None or low is None or high is None:
        return "unknown"
    return f"{estimate:.1%} ({low:.1%} to {high:.1%})"


def _clip(text: str, width: int = 90) -> str:
    flat = " ".join(text.split())
    return escape(flat if len(flat) <= width else flat[: width - 1] + "…")


def _init(report: Any) -> None:
    _say(f"Made {report.path} with {len(report.files)} files. Next:")
    _next(f"cd {report.path}", "promptlabel ingest sample.jsonl", "promptlabel preview asks_again")


def _ingest(report: Any) -> None:
    table = _table("", ">new", ">there already")
    for kind in ("traces", "events", "gold"):
        added = getattr(report, kind)
        table.add_row(kind, f"{added.added:,}", f"{added.present:,}")
    _screen.print(table)


def _check(report: Any) -> None:
    _say(f"{report.rules} rules in {_count(len(report.tasks), 'task')}, no faults: {', '.join(report.tasks)}")
    for rule in report.renamed:
        _say(f"{rule.task}/{rule.old} is now called {rule.new}; it keeps its votes")
    for run in getattr(report, "runs", ()):
        _examples(run.examples, f"{run.rule}: ")
    if hasattr(report, "runs"):
        _say(f"{report.passed:,} examples as expected, {report.failed:,} not")
        _stopped(report)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _preview(report: Any) -> None:
    if report.traces and report.traces[0].prompt:
        _say("[dim]the prompt of the first trace:[/]", escape(report.traces[0].prompt), "")
    columns = ["trace", "model", "answer", "vote", ">confidence", "gold", "others disagree"]
    table = _table(*columns, *(["before"] if report.diff else []))
    for row in report.traces:
        table.add_row(*_preview_cells(row), *([_before(row)] if report.diff else []))
    _screen.print(table)
    if any(row.distribution for row in report.traces):
        _say("[dim]votes weigh all answers of the rule so far, and can differ from the likeliest answer[/]")
    _examples(report.examples)
    if report.diff:
        _preview_diff(report)
    _stopped(report)


def _preview_cells(row: Any) -> list[str]:
    confidence = "" if row.confidence is None else f"{row.confidence:.2f}"
    answer = _clip(row.answer or row.cause or "", 40)
    vote = _colored_vote(row.vote or row.status, row.gold)
    return [escape(row.trace_id), row.model, answer, vote, confidence, row.gold or "", _dissent(row)]


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
        _say(f"[{color}]{escape(line)}[/]")
    of = _count(len(report.traces), "vote")
    _say(f"{report.diff.changed:,} of {of} differ from those of {report.diff.revision}")


def _examples(examples: Iterable[Any], prefix: str = "") -> None:
    for example in examples:
        mark = (
            "[green]as expected[/]" if example.passed else f"[red]votes {example.vote or example.status}[/]"
        )
        _say(f"{escape(prefix)}example {example.number}, {example.expected}: {mark}")


def _stopped(report: Any) -> None:
    if report.stopped:
        _say(f"[yellow]stopped: {report.stopped}: {escape(report.message)}[/]")


def _colored_vote(vote: str, gold: str | None) -> str:
    if gold is None or vote in ("abstain", "malformed", "error"):
        return escape(vote)
    return f"[{'green' if vote == gold else 'red'}]{escape(vote)}[/]"


def _plan(report: Any) -> None:
    table = _table("task", "rule", "model", ">calls", ">cached", ">tokens in", ">tokens out", ">cost")
    for row in report.rules:
        figures = (row.calls, row.cached, row.input_tokens, row.output_tokens)
        table.add_row(row.task, row.rule, row.model, *(f"{figure:,}" for figure in figures), _money(row.usd))
    _screen.print(table)
    _say(f"{report.calls:,} calls, {_money(report.usd)}")
    if not report.fits:
        left = [f"${report.usd_left:,.4f}"] if report.usd_left is not None else []
        left += [f"{report.calls_left:,} calls"] if report.calls_left is not None else []
        _say(f"[yellow]The budget has {' and '.join(left)} left: a vote stops there and can be resumed.[/]")


def _vote(report: Any) -> None:
    cast = report.votes + report.abstains + report.malformed + report.errors
    rate = f", {cast / report.seconds:,.0f}/s" if report.seconds > 0 and cast else ""
    _say(f"{report.votes:,} votes and {report.abstains:,} abstains in {report.seconds:.1f} s{rate}")
    asked = f"{_count(report.calls, 'call')}, {report.cached:,} cached"
    _say(
        f"{asked}, {report.tokens['input']:,} tokens in, {report.tokens['output']:,} out, {_money(report.usd)}"
    )
    if report.dead_letters:
        _say(f"[red]{_count(report.dead_letters, 'dead letter')} wait; to ask again: promptlabel retry[/]")
        for cause, number in report.causes.items():
            _say(f"  {number:,} {_clip(cause)}")
    if report.stopped:
        _say(f"[yellow]stopped: {report.stopped}: {escape(report.message)}[/]")


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
_HOW_MANY_VOTES: Final = {"gold": "from their errors on gold", "agreement": "from how they agree"}


def _analyze(report: Any) -> None:
    several = len({row.model for row in report.rules if row.kind == "prompt"}) > 1
    table = _table(*_RULE_COLUMNS, title=report.task)
    for row in report.rules:
        name = f"{row.rule} ({row.model})" if several and row.kind == "prompt" else row.rule
        shares = (_share(value) for value in (row.coverage, row.overlap, row.conflict, row.accuracy))
        advice = "" if row.advice == "unknown" else row.advice
        table.add_row(name, row.kind, f"{row.votes:,}", *shares, _ends(row), _money(row.usd), advice)
    _screen.print(table)
    how = _HOW_MANY_VOTES.get(report.n_eff_source)
    if how:
        _say(f"{len(report.rules)} rules amount to {report.n_eff:.1f} independent votes, {how}")


def _explain(report: Any) -> None:
    _say(
        f"[bold]{escape(report.rule)}[/]: {escape(report.description)}" if report.description else report.rule
    )
    for one in report.models:
        if len(report.models) > 1:
            _say("", f"asked of [bold]{escape(one.figures.model)}[/]")
        _explain_one(one)


def _explain_one(one: Any) -> None:
    row = one.figures
    right = (
        "no gold yet" if row.accuracy is None else f"right {_share(row.accuracy)} ({_ends(row)}) of the time"
    )
    _say(f"{_count(row.votes, 'vote')} on {_share(row.coverage)} of the traces; {right}; {_money(row.usd)}")
    for said in one.labels:
        judged = (
            "" if said.precision is None else f", right {_share(said.precision)} of {said.judged:,} judged"
        )
        _say(f"  {escape(said.label)}: {_count(said.votes, 'vote')}{judged}")
    _say(f"alone on {one.alone_total:,} traces; tips the majority on {one.decisive_total:,}")
    for other in one.repeats:
        _say(f"says the same as {escape(other.rule)} on {_share(other.agreement)} of {other.shared:,} traces")
    _shown_traces("where it is wrong, the surest first", one.wrong, one.wrong_total)
    _shown_traces("where it alone speaks", one.alone, one.alone_total)
    _say("", *(f"[yellow]→[/] {escape(text)}" for text in one.suggestions))


def _shown_traces(title: str, traces: Any, total: int) -> None:
    if not traces:
        return
    table = _table("trace", "says", "gold", ">sure", "the end of it", title=f"{title} ({total:,})")
    for trace in traces:
        sure = "" if trace.confidence is None else f"{trace.confidence:.2f}"
        words = _clip(trace.text[-160:], 160)
        table.add_row(escape(trace.trace_id), escape(trace.vote), escape(trace.gold or ""), sure, words)
    _say("")
    _screen.print(table)


def _suggest(report: Any) -> None:
    source = "gold" if report.source == "gold" else "what most rules say"
    _say(
        f"[bold]{report.task}[/]: {_count(len(report.proposals), 'proposal')} from {report.labelled:,} traces, by {source}"
    )
    for one in report.proposals:
        right = (
            "never judged"
            if one.accuracy is None
            else f"right {_share(one.accuracy)} ({100 * one.low:.0f}-{100 * one.high:.0f}) of {one.judged:,} unseen"
        )
        _say(
            "",
            f"[bold]{escape(one.path)}[/] votes {escape(one.label)} on {_share(one.coverage)} of the traces, {right}",
        )
        _say(f"  {one.way}: {escape(', '.join(one.conditions))}")
        if one.on_disputed is not None:
            _say(f"  it votes on {_share(one.on_disputed)} of the traces on which rules disagree")
        if one.refused:
            _say(f"  [dim]the model did not confirm: {escape(', '.join(one.refused))}[/]")
    if report.proposals:
        _say(
            "",
            f"{_count(report.calls, 'call')}, {_money(report.usd)}. None is active: read them, and move what is good to rules/{report.task}/",
        )
    _stopped(report)


def _ends(row: Any) -> str:
    return "" if row.accuracy is None else f"{100 * row.accuracy_low:.0f}-{100 * row.accuracy_high:.0f}"


def _fit(report: Any) -> None:
    shares = ", ".join(f"{label} {share:.1%}" for label, share in report.shares.items())
    _say(
        f"[bold]{report.task}[/]: {report.chosen} on {report.traces:,} traces with {report.gold:,} gold labels"
    )
    _say(f"mean posterior: {shares}")
    if report.report.get("reason"):
        _say(f"why: {escape(str(report.report['reason']))}")


def _queue(report: Any) -> None:
    lanes = ", ".join(f"{lane} {number:,}" for lane, number in report.lanes.items())
    _say(f"[bold]{report.task}[/]: {len(report.items):,} traces to review ({lanes or 'none'})")
    table = _table("trace", "lane", ">score", ">probability", "why")
    for item in report.items[:_SHOWN]:
        figures = (f"{item.score:.2f}", f"{item.probability:.3f}")
        table.add_row(escape(item.trace_id), item.lane, *figures, escape(item.reason))
    _screen.print(table)
    _rest(report.items)


def _rest(items: Iterable[object]) -> None:
    hidden = len(list(items)) - _SHOWN
    if hidden > 0:
        _say(f"[dim]and {hidden:,} more[/]")


def _audit(report: Any) -> None:
    _say(
        f"[bold]{report.task}[/]: accuracy {_interval(report.accuracy)} from {report.n:,} decisions ({report.method})"
    )
    for label, figure in report.balance.items():
        _say(f"  share of {label}: {figure.estimate:.1%} ({figure.low:.1%} to {figure.high:.1%})")
    if report.message:
        _say(escape(report.message))


def _freeze(report: Any) -> None:
    if report.version is None:
        _say(f"[bold]{report.task}[/]: nothing to freeze yet; review some traces first")
    else:
        made = f"{report.fresh:,} new" if report.changed else "nothing new, so no new version"
        _say(f"[bold]{report.task}[/] {report.version}: {report.cases:,} cases, {made} ({report.path})")
    for reason, number in Counter(refusal.reason for refusal in report.refused).items():
        _say(f"{number:,} refused: {_clip(reason)}")
    pairs = [refusal for refusal in report.refused if refusal.match]
    for refusal in pairs[:_SHOWN]:
        _say(f"  {escape(refusal.trace_id)} is {_clip(str(refusal.match))}")
    _rest(pairs)


def _file(report: Any) -> None:
    _say(f"wrote {report.path} ({report.rows:,} rows)")


def _report(report: Any) -> None:
    _file(report)
    for task in report.figures.tasks:
        if task.comparison:
            _say(f"[bold]{task.task}[/], accuracy on {task.comparison.basis}:")
            _screen.print(_scores(task.comparison.scores))


def _scores(scores: Iterable[Any]) -> Table:
    table = _table("", ">accuracy", "interval", ">macro-F1")
    for score in scores:
        accuracy = score.accuracy
        table.add_row(
            score.name,
            _share(accuracy.estimate),
            f"{100 * accuracy.low:.1f}-{100 * accuracy.high:.1f}",
            f"{score.macro_f1:.3f}",
        )
    return table


def _run(report: Any) -> None:
    _vote(report.vote)
    for item in report.fit:
        _fit(item)
    for item in report.queue:
        _queue(item)


def _doctor(report: Any) -> None:
    for item in report.checks:
        mark = "[green]ok[/]" if item.ok else "[red]fault[/]"
        _say(f"{mark}  {item.name}: {escape(item.detail)}")
        if not item.ok and item.remedy:
            _say(f"      {escape(item.remedy)}")


VIEWS: Final[Mapping[str, Callable[[Any], None]]] = {
    "init": _init,
    "ingest": _ingest,
    "check": _check,
    "preview": _preview,
    "plan": _plan,
    "vote": _vote,
    "analyze": _analyze,
    "explain": _explain,
    "suggest": _suggest,
    "fit": _fit,
    "queue": _queue,
    "audit": _audit,
    "freeze": _freeze,
    "export": _file,
    "report": _report,
    "run": _run,
    "doctor": _doctor,
}
