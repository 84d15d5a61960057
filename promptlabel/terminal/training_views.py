"""What people read of training exports and of simulated cycles of training."""

from __future__ import annotations

from typing import Any, Final

from rich.markup import escape

from promptlabel.terminal.eval_views import refusals, wrote
from promptlabel.terminal.printing import counted, say, screen, table_of

_TRUTH: Final = {
    "gold": "what people decided stands for the truth",
    "posterior": "the label model's likeliest labels stand for the truth, for people decided too few",
}
_SHOWN: Final = (1, 3, 6)
"""The cycles that are shown between the beginning and the end."""


def export(report: Any) -> None:
    """Nothing; where the export is, what was refused and why, is printed."""
    wrote(report)
    refusals(report.refused)
    _first_chains(report.refused)
    if report.refused_path:
        say(f"each is listed in {report.refused_path}")
    if report.training:
        _training(report.training)
    for one in report.reweighted:
        _reweighted(one)
    for one in report.checks:
        _checked(one)


def _first_chains(refused: Any) -> None:
    chains = {one.chain: one for one in reversed(refused) if one.chain}
    for chain, one in list(chains.items())[:3]:
        say(f"  [dim]{escape(one.trace_id)}: {escape(' <- '.join(chain))}[/]")


def _training(made: Any) -> None:
    say(f"people decided {made.human:,} of {made.rows:,} rows ({made.human_share:.1%})")
    for rule, chain in made.set_aside.items():
        say(f"[yellow]set aside: votes of {escape(rule)}[/]: {escape(' <- '.join(chain))}")
    say(f"[dim]a model trained on it says so in promptlabel.yaml: trained_on: {escape(made.name)}[/]")


def _reweighted(one: Any) -> None:
    say(
        f"{one.labelled:.0%} of traces have a label; {one.rows:,} weighted rows are worth {one.ess:,.0f} even ones"
    )
    if one.warning:
        say(f"[yellow]{escape(one.warning)}[/]")


def _checked(one: Any) -> None:
    for leak in one.leaks:
        when = (
            "as of the prediction: it made the label" if leak.is_timed else "is it known at the prediction?"
        )
        say(
            f"[yellow]{escape(leak.feature)} alone tells '{escape(leak.label)}' with AUC {leak.auc:.2f}[/]: {when}"
        )
    if one.split and one.split.is_alarming:
        say(
            f"[yellow]a random split flatters: accuracy {one.split.random:.1%}, {one.split.in_time:.1%} of the "
            "last fifth in time[/]: split by time"
        )


def simulate(made: Any) -> None:
    """Nothing; accuracy over the cycles of each arm is printed."""
    about = f", does '{escape(made.label)}' apply" if made.label else ""
    say(
        f"[bold]{escape(made.task)}[/]{about}: {counted(made.traces, 'trace')}, {made.start} labels to begin with, "
        f"{made.human:.0%} of each cycle reviewed; {_TRUTH[made.truth]}"
    )
    shown = [cycle for cycle in _SHOWN if cycle < made.cycles]
    table = table_of(
        "", ">before", *(f">cycle {cycle}" for cycle in (*shown, made.cycles)), ">change", ">labels by people"
    )
    for arm in made.arms:
        figures = [f"{arm.accuracy[cycle]:.1%}" for cycle in (0, *shown, made.cycles)]
        low, high = 100 * max(arm.change.low, -1), 100 * min(arm.change.high, 1)
        change = f"{100 * arm.change.estimate:+.1f} ({low:+.1f} to {high:+.1f})"
        table.add_row(arm.arm, *figures, change, f"{arm.human:,.0f}")
    screen.print(table)
    for arm in made.arms:
        say(f"[dim]{arm.arm}: {arm.what}[/]")
    say(f"[dim]means of {made.runs} splits; the interval is over the splits, all of the same traces[/]")
