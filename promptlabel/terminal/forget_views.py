"""What people read of `forget`: what would go and where copies are, and what is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from promptlabel.terminal.printing import SHOWN, counted, say, say_rest, screen, table_of


def agreed(plan: Any, *, silent: bool, yes: bool, dry: bool) -> bool:
    """Whether to go on with the plan, which is shown first unless `silent`, and asked about unless `yes` or `dry` say."""
    if not silent:
        _plan(plan)
    return not dry and (yes or click.confirm("Forget all of this for good?", default=False))


def forget(report: Any) -> None:
    """Nothing; what was forgotten is printed, or that nothing was."""
    if not report.done:
        say("Nothing was forgotten.")
        return
    if report.plan.traces:
        gone = sum(report.plan.rows.values())
        say(f"{counted(report.plan.traces, 'trace')} forgotten, {counted(gone, 'row')} deleted.")
    else:
        say(f"This machine is clean of {counted(report.forgotten, 'forgotten trace')}.")
    _done(report)


def _plan(plan: Any) -> None:
    if plan.rows:
        table = table_of("", ">rows that go")
        for relation, rows in plan.rows.items():
            table.add_row(relation, f"{rows:,}")
        screen.print(table)
        say("What their votes cost stays in the sums.")
    else:
        say("Nothing stored is about them.")
    for name in plan.unknown[:SHOWN]:
        say(f"[dim]{escape(name)}: nothing here; refused from now on[/]")
    say_rest(plan.unknown)
    _evals(plan.evals)
    _exports(plan.exports)


def _evals(held: Any) -> None:
    for one in held:
        say(f"{escape(one.task)}/{one.version} holds {counted(one.cases, 'case')} of them")
    if held:
        say(
            "[dim]score, export and the next freeze leave those cases out; --rewrite-evals takes them out of the files[/]"
        )


def _exports(held: Any) -> None:
    for one in held:
        what = (
            "may hold some of them" if one.traces is None else f"holds {counted(one.traces, 'row')} of them"
        )
        say(f"{escape(_short(one.path))} {what}: delete it, or export it again")


def _short(path: str) -> str:
    full, here = Path(path), Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else path


def _done(report: Any) -> None:
    for one in report.rewritten:
        say(f"{escape(one.task)}/{one.version}: {counted(one.cases, 'case')} taken out; commit it")
    for name in report.cleaned.removed:
        say(f"[dim]{escape(name)} is deleted: nobody can tell whom it is about[/]")
    for name in report.cleaned.waiting:
        say(
            f"[yellow]batch {escape(name)} asks about them: collect it (promptlabel vote), then promptlabel forget again[/]"
        )
    if not report.erased:
        say("[yellow]The store is lent by a running `review`: its file is cleaned when that ends.[/]")
    say(
        "[dim]Commit the folder forgotten/: it has no names in it, and keeps restored backups from undoing this.[/]"
    )
