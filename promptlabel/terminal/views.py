"""One view a verb: its result as the tables and sentences that people read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rich.markup import escape

from promptlabel.terminal.eval_views import audit, certify, freeze, gate, report_page, score
from promptlabel.terminal.forget_views import forget
from promptlabel.terminal.people_views import history, reviewers
from promptlabel.terminal.printing import (
    counted,
    say,
    say_next,
    screen,
    table_of,
)
from promptlabel.terminal.rule_views import check, explain, preview, suggest
from promptlabel.terminal.training_views import export, simulate
from promptlabel.terminal.vote_views import analyze, fit, plan, queue, run, vote


def _init(report: Any) -> None:
    say(f"Made {report.path} with {len(report.files)} files. Next:")
    say_next(f"cd {report.path}", "promptlabel ingest sample.jsonl", "promptlabel preview asks_again")


def _ingest(report: Any) -> None:
    table = table_of("", ">new", ">there already")
    for kind in ("traces", "events", "gold", "reviews"):
        counts = getattr(report, kind)
        if kind != "reviews" or counts.added or counts.present:
            table.add_row(kind, f"{counts.added:,}", f"{counts.present:,}")
    screen.print(table)
    if report.forgotten:
        say(
            f"{counted(report.forgotten, 'row')} about what was forgotten stayed out;"
            " `promptlabel ingest --remember` takes in what was forgotten."
        )


def _doctor(report: Any) -> None:
    for item in report.checks:
        mark = "[green]ok[/]" if item.ok else "[red]fault[/]"
        say(f"{mark}  {item.name}: {escape(item.detail)}")
        if not item.ok and item.remedy:
            say(f"      {escape(item.remedy)}")


def _move(report: Any) -> None:
    table = table_of("", ">rows", "SHA-256, in both")
    for relation, found in report.relations.items():
        if found.rows:
            table.add_row(relation, f"{found.rows:,}", found.digest[:16])
    screen.print(table)
    say(
        f"The project's store is now {escape(report.target)}; nothing changed on the way, and {escape(report.source)}"
    )
    say("is left as it was.")


VIEWS: Final[Mapping[str, Callable[[Any], None]]] = {
    "init": _init,
    "ingest": _ingest,
    "check": check,
    "preview": preview,
    "plan": plan,
    "vote": vote,
    "analyze": analyze,
    "explain": explain,
    "suggest": suggest,
    "fit": fit,
    "queue": queue,
    "reviewers": reviewers,
    "history": history,
    "audit": audit,
    "freeze": freeze,
    "score": score,
    "gate": gate,
    "certify": certify,
    "export": export,
    "simulate": simulate,
    "report": report_page,
    "run": run,
    "doctor": _doctor,
    "move": _move,
    "forget": forget,
}
