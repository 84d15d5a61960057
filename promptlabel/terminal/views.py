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
    outside = [row.outside for row in report.traces if row.outside is not None]
    if outside:
        share = _share(sum(outside) / len(outside))
        _say(f"[dim]{share} of the model's probability fell on none of the answers, on average[/]")
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
_HOW_MANY_VOTES: Final = {
    "gold": "{0:.1f} independent votes, by their errors on gold",
    "agreement": "{0:.1f} independent votes at most, by how they agree; errors that all share show on gold only",
}


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
        _say(f"{len(report.rules)} rules amount to {how.format(report.n_eff)}")
    if len(report.n_eff_by_family) > 1 and how:
        _say("; ".join(f"{family}: {votes:.1f}" for family, votes in report.n_eff_by_family.items()))
    for pair in report.redundant[:_SHOWN]:
        _say(f"{pair.rule} and {pair.repeats} err together (correlation {pair.error_correlation:.2f})")


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
    if report.backlog and report.backlog.grows:
        _say(f"[yellow]{_growing(report.backlog)}[/]")
    table = _table("trace", "lane", ">score", ">probability", "why")
    for item in report.items[:_SHOWN]:
        figures = (f"{item.score:.2f}", f"{item.probability:.3f}")
        table.add_row(escape(item.trace_id), item.lane, *figures, escape(item.reason))
    _screen.print(table)
    _rest(report.items)


def _growing(backlog: Any) -> str:
    flow = f"the queue grows faster than it drains: {backlog.queued_per_day:,.1f} traces a day come in, "
    if not backlog.sustainable_share:
        return f"{flow}none was decided lately"
    share = f"routing: {{share: {backlog.sustainable_share:.2g}}}"
    return f"{flow}{backlog.decided_per_day:,.1f} are decided; `{share}` in promptlabel.yaml would be sustainable"


def _rest(items: Iterable[object]) -> None:
    hidden = len(list(items)) - _SHOWN
    if hidden > 0:
        _say(f"[dim]and {hidden:,} more[/]")


def _audit(report: Any) -> None:
    _say(
        f"[bold]{report.task}[/]: accuracy {_interval(report.accuracy)} from {report.n:,} decisions ({report.method})"
    )
    if report.n:
        _say(f"[dim]the mean posterior, {report.posterior:.1%}, is no estimate of it[/]")
        _screen.print(_label_rates(report))
    if len(report.categories) > 1:
        _screen.print(_category_rates(report))
    if report.more and report.more.active:
        width = f"+-{100 * report.more.half_width:.0f} points"
        _say(f"{report.more.active:,} more reviews until {width} ({report.more.random:,} if drawn evenly):")
        _next(f"promptlabel audit --draw {report.more.active}")
    if report.waiting:
        _say(f"{report.waiting:,} of {report.drawn:,} drawn traces wait for review")
    if report.message:
        _say(escape(report.message))


def _label_rates(report: Any) -> Table:
    table = _table("label", ">share", "", ">posterior", ">precision", "", ">recall", "")
    for label, figure in report.balance.items():
        table.add_row(
            escape(label),
            *_rate(figure),
            _share(report.posterior_balance.get(label)),
            *_rate(report.precision[label]),
            *_rate(report.recall[label]),
        )
    return table


def _category_rates(report: Any) -> Table:
    table = _table("category", ">accuracy", "", ">decisions", "by")
    for category, figure in report.categories.items():
        known = (f"{figure.n:,}", figure.method) if figure else ("", "too few decisions")
        table.add_row(escape(category), *_rate(figure), *known)
    return table


def _rate(figure: Any) -> tuple[str, str]:
    if figure is None:
        return "", ""
    return f"{figure.estimate:.1%}", f"{100 * figure.low:.0f}-{100 * figure.high:.0f}"


def _freeze(report: Any) -> None:
    if report.version is None:
        _say(f"[bold]{report.task}[/]: nothing to freeze yet; review some traces first")
    elif report.changed and not report.written:
        _say(f"[bold]{report.task}[/]: would freeze {report.version}; nothing was written")
    else:
        made = f"{report.fresh:,} new" if report.changed else "nothing new, so no new version"
        _say(f"[bold]{report.task}[/] {report.version}: {report.cases:,} cases, {made} ({report.path})")
    if not report.written:
        _say(*(f"  {escape(sentence)}" for sentence in report.diff))
    _refusals(report.refused)
    for cell in report.short:
        _say(f"[yellow]only {_count(cell.cases, 'case')} of {escape(cell.category)} in {cell.month}[/]")
    if report.freshness:
        _freshness(report.freshness)
    if report.refresh:
        _refresh(report)


def _refusals(refused: Iterable[Any]) -> None:
    refused = list(refused)
    for reason, number in Counter(refusal.reason for refusal in refused).items():
        _say(f"{number:,} refused: {_clip(reason)}")
    pairs = [refusal for refusal in refused if refusal.match]
    for refusal in pairs[:_SHOWN]:
        alike = "" if refusal.similarity in (None, 1) else f", {refusal.similarity:.0%} alike"
        _say(f"  {escape(refusal.trace_id)} repeats {_clip(str(refusal.match))}{alike}")
        if alike:
            _say(f"    [dim]{_clip(refusal.text)}[/]", f"    [dim]{_clip(refusal.match_text)}[/]")
    _rest(pairs)


def _freshness(fresh: Any) -> None:
    age = "" if fresh.median_age_days is None else f"median age {fresh.median_age_days:.0f} days; "
    stale = f"[yellow]trails production in {', '.join(fresh.trails_in)}[/]" if fresh.trails_in else "keeps up"
    _say(f"{age}against {fresh.recent:,} recent traces it {stale}")
    table = _table("", ">excess divergence", ">p", ">PSI")
    for name in ("category", "length", "model", "topic"):
        found = getattr(fresh, name)
        if found is not None:
            table.add_row(name, f"{found.excess:.4f} bits", f"{found.p_value:.3f}", f"{found.psi:.2f}")
    _screen.print(table)
    if fresh.new_topics:
        missing = [name for name in fresh.new_topics if name not in fresh.covered]
        lacks = f"; it lacks {', '.join(missing)}" if missing else ""
        _say(f"it covers {len(fresh.covered)} of {_count(len(fresh.new_topics), 'new topic')}{escape(lacks)}")


def _refresh(report: Any) -> None:
    found = report.refresh
    _say(
        f"{_count(len(found.trace_ids), 'review')} would bring the divergence from {found.before:.3f} "
        f"to {found.after:.3f} bits ({found.at_random:.3f} if drawn at random)"
    )
    table = _table("category", "topic", ">reviews", ">of")
    for cell in found.wanted[:_SHOWN]:
        table.add_row(escape(cell.category), escape(cell.topic), f"{cell.reviews:,}", f"{cell.available:,}")
    _screen.print(table)
    _rest(found.wanted)
    if report.queued:
        _say(f"{report.queued:,} of them wait in the queue now")
    elif found.trace_ids:
        _next(f"promptlabel freeze --refresh {len(found.trace_ids)} --queue")


def _score(report: Any) -> None:
    _say(f"[bold]{report.task}[/] {report.version}: {_count(report.cases, 'case')}")
    lead = {one.first: one.difference for one in report.differences}
    table = _table(
        "labeler", ">accuracy", "", ">weighted", ">says", ">macro-F1", f"against {report.baseline}"
    )
    for one in report.labelers:
        weighted = _share(one.weighted.estimate) if one.weighted else ""
        figures = (weighted, _share(one.score.coverage), f"{one.score.macro_f1:.3f}")
        table.add_row(escape(one.name), *_rate(one.score.accuracy), *figures, _lead(lead.get(one.name)))
    _screen.print(table)
    for one in report.labelers:
        if one.gap and one.gap.is_real:
            gap = f"{100 * one.gap.gap.estimate:.0f} points ({100 * one.gap.gap.low:.0f} to {100 * one.gap.gap.high:.0f})"
            _say(
                f"{escape(one.name)} is worse on {escape(one.gap.worst)} than on {escape(one.gap.best)}: {gap}"
            )


def _lead(difference: Any) -> str:
    if difference is None:
        return ""
    ends = f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}"
    return f"{100 * difference.estimate:+.1f} points ({ends})"


def _gate(report: Any) -> None:
    mark = "[green]passes[/]" if report.passed else "[red]fails[/]"
    _say(f"[bold]{report.task}[/] {report.version}: {escape(report.labeler)} {mark}")
    for check in report.checks:
        _say(f"  {'' if check.passed else '[red]'}{escape(check.reason)}{'' if check.passed else '[/]'}")


def _certify(report: Any) -> None:
    if report.message:
        _say(f"[bold]{report.task}[/]: {escape(report.message)}")
    for name, verdict in report.verdicts.items():
        may = "[green]may stand in[/]" if verdict.passed else "[yellow]may not stand in[/]"
        _say(
            f"[bold]{report.task}[/]: {escape(name)} {may} for a reviewer: it wins against "
            f"{verdict.winning_rate:.0%} of {_count(len(verdict.people), 'reviewer')} "
            f"(epsilon {verdict.epsilon:g}, {report.items:,} traces)"
        )
        table = _table("reviewer", ">traces", ">labeler as good", ">reviewer as good", ">p", "")
        for one in verdict.people:
            shares = (_share(one.labeler), _share(one.person), f"{one.p_value:.4f}")
            table.add_row(escape(one.reviewer), f"{one.items:,}", *shares, "won" if one.won else "")
        _screen.print(table)
        for sentence in verdict.assumptions:
            _say(f"[yellow]{escape(sentence)}[/]")


def _file(report: Any) -> None:
    _say(f"wrote {report.path} ({report.rows:,} rows)")


def _export(report: Any) -> None:
    _file(report)
    _refusals(report.refused)


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
    "score": _score,
    "gate": _gate,
    "certify": _certify,
    "export": _export,
    "report": _report,
    "run": _run,
    "doctor": _doctor,
}
