"""What eval maintainers read: audits, versions, scores, gates, certificates, reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.markup import escape
from rich.table import Table

from promptlabel.terminal.printing import (
    SHOWN,
    clipped,
    counted,
    percent,
    say,
    say_next,
    say_rest,
    screen,
    table_of,
    with_ends,
    with_interval,
)


def audit(report: Any) -> None:
    """Nothing; the audited rates are printed."""
    say(
        f"[bold]{report.task}[/]: accuracy {with_interval(report.accuracy)} from {report.n:,} decisions ({report.method})"
    )
    if report.n:
        say(f"[dim]the mean posterior, {report.posterior:.1%}, is no estimate of it[/]")
        screen.print(_label_rates(report))
    if len(report.categories) > 1:
        screen.print(_category_rates(report))
    if report.more and report.more.active:
        width = f"+-{100 * report.more.half_width:.0f} points"
        say(f"{report.more.active:,} more reviews until {width} ({report.more.random:,} if drawn evenly):")
        say_next(f"promptlabel audit --draw {report.more.active}")
    if report.waiting:
        say(f"{report.waiting:,} of {report.drawn:,} drawn traces wait for review")
    if report.message:
        say(escape(report.message))


def _label_rates(report: Any) -> Table:
    table = table_of("label", ">share", "", ">posterior", ">precision", "", ">recall", "")
    for label, figure in report.balance.items():
        table.add_row(
            escape(label),
            *with_ends(figure),
            percent(report.posterior_balance.get(label)),
            *with_ends(report.precision[label]),
            *with_ends(report.recall[label]),
        )
    return table


def _category_rates(report: Any) -> Table:
    table = table_of("category", ">accuracy", "", ">decisions", "by")
    for category, figure in report.categories.items():
        known = (f"{figure.n:,}", figure.method) if figure else ("", "too few decisions")
        table.add_row(escape(category), *with_ends(figure), *known)
    return table


def freeze(report: Any) -> None:
    """Nothing; the new version is printed, with what was refused."""
    if report.version is None:
        say(f"[bold]{report.task}[/]: nothing to freeze yet; review some traces first")
    elif report.changed and not report.written:
        say(f"[bold]{report.task}[/]: would freeze {report.version}; nothing was written")
    else:
        made = f"{report.fresh:,} new" if report.changed else "nothing new, so no new version"
        say(f"[bold]{report.task}[/] {report.version}: {report.cases:,} cases, {made} ({report.path})")
    if not report.written:
        say(*(f"  {escape(sentence)}" for sentence in report.diff))
    refusals(report.refused)
    for cell in report.short:
        say(f"[yellow]only {counted(cell.cases, 'case')} of {escape(cell.category)} in {cell.month}[/]")
    if report.freshness:
        _freshness(report.freshness)
    if report.refresh:
        _refresh(report)


def refusals(refused: Iterable[Any]) -> None:
    """Nothing; how many were refused for what reason is printed, and what duplicates repeat."""
    refused = list(refused)
    for reason, number in Counter(refusal.reason for refusal in refused).items():
        say(f"{number:,} refused: {clipped(reason)}")
    pairs = [refusal for refusal in refused if refusal.match]
    for refusal in pairs[:SHOWN]:
        alike = "" if refusal.similarity in (None, 1) else f", {refusal.similarity:.0%} alike"
        say(f"  {escape(refusal.trace_id)} repeats {clipped(str(refusal.match))}{alike}")
        if alike:
            say(f"    [dim]{clipped(refusal.text)}[/]", f"    [dim]{clipped(refusal.match_text)}[/]")
    say_rest(pairs)


def _freshness(fresh: Any) -> None:
    age = "" if fresh.median_age_days is None else f"median age {fresh.median_age_days:.0f} days; "
    stale = f"[yellow]trails production in {', '.join(fresh.trails_in)}[/]" if fresh.trails_in else "keeps up"
    say(f"{age}against {fresh.recent:,} recent traces it {stale}")
    table = table_of("", ">excess divergence", ">p", ">PSI")
    for name in ("category", "length", "model", "topic"):
        found = getattr(fresh, name)
        if found is not None:
            table.add_row(name, f"{found.excess:.4f} bits", f"{found.p_value:.3f}", f"{found.psi:.2f}")
    screen.print(table)
    if fresh.new_topics:
        missing = [name for name in fresh.new_topics if name not in fresh.covered]
        lacks = f"; it lacks {', '.join(missing)}" if missing else ""
        say(f"it covers {len(fresh.covered)} of {counted(len(fresh.new_topics), 'new topic')}{escape(lacks)}")


def _refresh(report: Any) -> None:
    found = report.refresh
    say(
        f"{counted(len(found.trace_ids), 'review')} would bring the divergence from {found.before:.3f} "
        f"to {found.after:.3f} bits ({found.at_random:.3f} if drawn at random)"
    )
    table = table_of("category", "topic", ">reviews", ">of")
    for cell in found.wanted[:SHOWN]:
        table.add_row(escape(cell.category), escape(cell.topic), f"{cell.reviews:,}", f"{cell.available:,}")
    screen.print(table)
    say_rest(found.wanted)
    if report.queued:
        say(f"{report.queued:,} of them wait in the queue now")
    elif found.trace_ids:
        say_next(f"promptlabel freeze --refresh {len(found.trace_ids)} --queue")


def score(report: Any) -> None:
    """Nothing; the scores are printed."""
    say(f"[bold]{report.task}[/] {report.version}: {counted(report.cases, 'case')}")
    lead = {one.first: one.difference for one in report.differences}
    is_set = any(one.sets for one in report.labelers)
    table = table_of(
        "labeler",
        ">sets right" if is_set else ">accuracy",
        "",
        ">weighted",
        *((">Jaccard", ">labels right") if is_set else ()),
        ">says",
        ">macro-F1",
        f"against {report.baseline}",
    )
    for one in report.labelers:
        figures = _score_cells(one) if _speaks_of_all(one) else _said_alone(one)
        table.add_row(escape(one.name), *figures, _lead(lead.get(one.name) if _speaks_of_all(one) else None))
    screen.print(table)
    if is_set:
        say("[dim]sets right: of those who speak of every label; the others are judged label by label[/]")
        screen.print(_label_scores(report.labelers))
    for one in report.labelers:
        _score_remarks(one)


def _speaks_of_all(one: Any) -> bool:
    return one.sets is None or all(label.coverage for label in one.sets.labels.values())


def _score_cells(one: Any) -> list[str]:
    weighted = percent(one.weighted.estimate) if one.weighted else ""
    sets = [percent(one.sets.jaccard.estimate), percent(one.sets.label_accuracy.estimate)] if one.sets else []
    said = [percent(one.score.coverage), f"{one.score.macro_f1:.3f}"]
    return [*with_ends(one.score.accuracy), weighted, *sets, *said]


def _said_alone(one: Any) -> list[str]:
    """Of who is silent about some label in every case: how much is said."""
    return ["", "", "", "", "", percent(one.score.coverage), ""]


def _label_scores(labelers: Iterable[Any]) -> Table:
    """Of each label those who speak of it, the best first."""
    table = table_of("label", ">cases", "labeler", ">precision", "", ">recall", "", ">F1", "")
    rows = [(name, found, one.name) for one in labelers for name, found in one.sets.labels.items()]
    spoken = [row for row in rows if row[1].coverage]
    for label in dict.fromkeys(name for name, *_ in spoken):
        own = [(found, who) for name, found, who in spoken if name == label]
        own.sort(key=lambda pair: -(pair[0].f1.estimate if pair[0].f1 else 0))
        for place, (found, who) in enumerate(own):
            whose = [escape(label), f"{found.n:,}"] if place == 0 else ["", ""]
            ends = [*with_ends(found.precision), *with_ends(found.recall), *with_ends(found.f1)]
            table.add_row(*whose, escape(who), *ends)
    return table


def _score_remarks(one: Any) -> None:
    if one.ordered is not None:
        kappa = "" if one.ordered.kappa is None else f", quadratic-weighted agreement {one.ordered.kappa:.2f}"
        say(f"{escape(one.name)}: off by {one.ordered.distance:.2f} labels on average{kappa}")
    if one.gap and one.gap.is_real:
        gap = f"{100 * one.gap.gap.estimate:.0f} points ({100 * one.gap.gap.low:.0f} to {100 * one.gap.gap.high:.0f})"
        say(f"{escape(one.name)} is worse on {escape(one.gap.worst)} than on {escape(one.gap.best)}: {gap}")


def _lead(difference: Any) -> str:
    if difference is None:
        return ""
    ends = f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}"
    return f"{100 * difference.estimate:+.1f} points ({ends})"


def gate(report: Any) -> None:
    """Nothing; whether the gate is passed is printed."""
    mark = "[green]passes[/]" if report.passed else "[red]fails[/]"
    say(f"[bold]{report.task}[/] {report.version}: {escape(report.labeler)} {mark}")
    for check in report.checks:
        say(f"  {'' if check.passed else '[red]'}{escape(check.reason)}{'' if check.passed else '[/]'}")


def certify(report: Any) -> None:
    """Nothing; who may stand in for a reviewer is printed."""
    if report.message:
        say(f"[bold]{report.task}[/]: {escape(report.message)}")
    for name, verdict in report.verdicts.items():
        may = "[green]may stand in[/]" if verdict.passed else "[yellow]may not stand in[/]"
        say(
            f"[bold]{report.task}[/]: {escape(name)} {may} for a reviewer: it wins against "
            f"{verdict.winning_rate:.0%} of {counted(len(verdict.people), 'reviewer')} "
            f"(epsilon {verdict.epsilon:g}, {report.items:,} traces)"
        )
        table = table_of("reviewer", ">traces", ">labeler as good", ">reviewer as good", ">p", "")
        for one in verdict.people:
            shares = (percent(one.labeler), percent(one.person), f"{one.p_value:.4f}")
            table.add_row(escape(one.reviewer), f"{one.items:,}", *shares, "won" if one.won else "")
        screen.print(table)
        for sentence in verdict.assumptions:
            say(f"[yellow]{escape(sentence)}[/]")


def _scores(scores: Iterable[Any]) -> Table:
    table = table_of("", ">accuracy", "interval", ">macro-F1")
    for score in scores:
        accuracy = score.accuracy
        table.add_row(
            score.name,
            percent(accuracy.estimate),
            f"{100 * accuracy.low:.1f}-{100 * accuracy.high:.1f}",
            f"{score.macro_f1:.3f}",
        )
    return table


def report_page(report: Any) -> None:
    """Nothing; where the report is, and its figures, are printed."""
    wrote(report)
    for task in report.figures.tasks:
        if task.comparison:
            say(f"[bold]{task.task}[/], accuracy on {task.comparison.basis}:")
            screen.print(_scores(task.comparison.scores))


def wrote(report: Any) -> None:
    """Nothing; where the file is, and how many rows it has, is printed."""
    say(f"wrote {report.path} ({report.rows:,} rows)")
