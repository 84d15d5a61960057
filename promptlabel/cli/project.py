"""A project: made, filled, run as a whole, looked after."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from promptlabel.cli.options import (
    json_option,
    limit_option,
    log_option,
    on_project,
    on_votes,
    progress_option,
    show,
)

if TYPE_CHECKING:
    from promptlabel.terminal.progress import Way


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
def init(folder: Path, as_json: bool) -> None:
    """Make a new project folder, ready to run."""
    from promptlabel.pipeline.init import init

    show("init", init(folder), as_json)


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--mapping", type=click.Path(path_type=Path), help="A YAML file that says where rows have which field."
)
@click.option(
    "--watch",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Then whatever comes into this folder, until Ctrl-C.",
)
@click.option("--remember", is_flag=True, help="Take in again what was forgotten and is in the files.")
@on_project
def ingest(
    files: tuple[Path, ...],
    mapping: Path | None,
    folder: Path | None,
    remember: bool,
    project: Path,
    as_json: bool,
) -> None:
    """Read traces, events and gold into the store; patterns such as 'logs/*.jsonl' name several files."""
    from promptlabel.pipeline.forgetting.remembering import remember_those_in
    from promptlabel.pipeline.ingest import ingest
    from promptlabel.pipeline.workspace import open_project

    if not files and folder is None:
        raise click.UsageError("name files, or a folder with --watch")

    def take(paths: tuple[Path, ...]) -> None:
        with open_project(project) as workspace:
            if remember:
                remember_those_in(workspace, paths, mapping)
            show("ingest", ingest(workspace.store, paths, mapping), as_json)

    if files:
        take(files)
    if folder is not None:
        _take_arrivals(folder, take, as_json)


def _take_arrivals(folder: Path, take: Callable[[tuple[Path, ...]], None], as_json: bool) -> None:
    """Nothing, after Ctrl-C; a faulty file is shown, and taken once it has changed."""
    from promptlabel.pipeline.arrivals import watch
    from promptlabel.terminal.showing import show_error, show_watched

    show_watched(folder)
    try:
        for path, error in watch(folder, lambda path: take((path,))):
            if error is None:
                show_watched(path, taken=True)
            else:
                show_error(error, as_json)
    except KeyboardInterrupt:
        return


@click.command()
@click.option(
    "--since", "moment", metavar="WHEN", help="Vote on later traces only: 2026-11-01, or 7d, 24h, 30m ago."
)
@click.option(
    "--min",
    "floors",
    multiple=True,
    metavar="SHARE",
    help="Stop unless the label model reaches this; see gate.",
)
@click.option(
    "--then",
    "steps",
    multiple=True,
    type=click.Choice(["forget", "freeze", "export", "report"]),
    help="Done at the end, in this order; forget: what is older than `retention`.",
)
@limit_option
@progress_option
@log_option
@on_votes
def run(
    moment: str | None,
    floors: tuple[str, ...],
    steps: tuple[str, ...],
    limit: int | None,
    way: Way,
    project: Path,
    tasks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Vote, fit and queue in one go, safe to start twice."""
    from promptlabel.pipeline.evaluating.gate import Floor
    from promptlabel.pipeline.run import Wishes, run
    from promptlabel.pipeline.since import since
    from promptlabel.terminal.progress import showing_progress

    wishes = Wishes(since(moment), limit, tuple(map(Floor.parse, floors)), steps)
    with showing_progress(way, as_json=as_json) as progress:
        result = run(project, tasks, wishes=wishes, progress=progress)
    show("run", result, as_json)
    sys.exit(result.exit_code)


@click.command()
@click.option("--repair", is_flag=True, help="Rebuild what the journal holds and the store lacks.")
@on_project
def doctor(repair: bool, project: Path, as_json: bool) -> None:
    """Check store, journal and environment."""
    from promptlabel.pipeline.doctor import doctor

    result = doctor(project, repair=repair)
    show("doctor", result, as_json)
    sys.exit(result.exit_code)


@click.command()
@click.argument("target", metavar="STORE")
@on_project
def move(target: str, project: Path, as_json: bool) -> None:
    """Carry the project's store to another home: postgresql://USER@HOST/DATABASE, or the path of a DuckDB file."""
    from promptlabel.pipeline.move import move

    show("move", move(project, target), as_json)


@click.command()
@click.option("--trace", "traces", multiple=True, metavar="ID", help="This trace.")
@click.option(
    "--user", "users", multiple=True, metavar="ID", help="All of this person, and what comes later."
)
@click.option("--session", "sessions", multiple=True, metavar="ID", help="All of this conversation.")
@click.option("--before", metavar="WHEN", help="All that is older: 2026-01-01, or 400d ago.")
@click.option("--retention", is_flag=True, help="All that is older than `retention` of promptlabel.yaml.")
@click.option("--rewrite-evals", is_flag=True, help="Take the cases out of frozen eval versions too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would go.")
@on_project
def forget(
    traces: tuple[str, ...],
    users: tuple[str, ...],
    sessions: tuple[str, ...],
    before: str | None,
    retention: bool,
    rewrite_evals: bool,
    yes: bool,
    dry: bool,
    project: Path,
    as_json: bool,
) -> None:
    """Delete everything about a person or a trace, and refuse it from then on.

    Without anybody named, what an earlier forgetting left undone on this machine is done.
    """
    from promptlabel.pipeline.forgetting.forget import Wish, forget
    from promptlabel.pipeline.since import since
    from promptlabel.store.contract import Whom
    from promptlabel.terminal.forget_views import agreed

    if as_json and not (yes or dry):
        raise click.UsageError("with --json give --yes, or --dry-run first")
    whom = Whom(traces, users, sessions, since(before, option="--before"))
    named = retention or whom != Whom()
    wish = Wish(whom, retention, rewrite_evals)
    show(
        "forget",
        forget(
            project,
            wish,
            lambda plan: agreed(plan, silent=as_json or not named, yes=yes or not named, dry=dry),
        ),
        as_json,
    )
