"""Votes: priced, asked for, turned into labels."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from promptlabel.cli.options import (
    batch_option,
    detach_option,
    limit_option,
    log_option,
    on_votes,
    progress_option,
    rule_option,
    show,
)

if TYPE_CHECKING:
    from promptlabel.labelmodel.fitting import Method
    from promptlabel.pipeline.voting.vote import VoteReport
    from promptlabel.terminal.progress import Way


@click.command()
@rule_option
@limit_option
@click.option("--batch", is_flag=True, help="At the prices of batch files.")
@on_votes
def plan(
    rules: tuple[str, ...],
    limit: int | None,
    batch: bool,
    project: Path,
    tasks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Price a vote in calls, tokens and money."""
    from promptlabel.pipeline.voting.plan import plan
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        show("plan", plan(workspace, rules=rules, limit=limit, batch=batch), as_json)


@click.command()
@rule_option
@limit_option
@progress_option
@batch_option
@detach_option
@log_option
@on_votes
def vote(
    rules: tuple[str, ...],
    limit: int | None,
    way: Way,
    batch: bool,
    detach: bool,
    project: Path,
    tasks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run the rules where votes are missing."""
    from promptlabel.pipeline.voting.vote import vote

    _ask(partial(vote, rules=rules, limit=limit), way, (batch, detach), project, tasks, as_json)


@click.command()
@rule_option
@progress_option
@batch_option
@detach_option
@log_option
@on_votes
def retry(
    rules: tuple[str, ...],
    way: Way,
    batch: bool,
    detach: bool,
    project: Path,
    tasks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Ask again where answers failed."""
    from promptlabel.pipeline.voting.vote import retry

    _ask(partial(retry, rules=rules), way, (batch, detach), project, tasks, as_json)


def _ask(
    verb: Callable[..., VoteReport],
    way: Way,
    in_files: tuple[bool, bool],
    project: Path,
    tasks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Nothing; what the verb asked is shown. `in_files`: whether in batch files, and whether without waiting for them."""
    from promptlabel.pipeline.voting.batching import Batching
    from promptlabel.pipeline.workspace import open_workspace
    from promptlabel.terminal.progress import showing_progress

    batch, detach = in_files
    with (
        open_workspace(project, tasks, lean=True) as workspace,
        showing_progress(way, as_json=as_json) as progress,
    ):
        batching = Batching(submit=batch or detach, wait=not detach, tell=progress.note)
        result = verb(workspace, progress=progress, batching=batching)
    show("vote", result, as_json)
    sys.exit(result.exit_code)


@click.command()
@click.option(
    "--model",
    "method",
    type=click.Choice(["auto", "majority", "weighted", "em", "anchored", "snorkel"]),
    default="auto",
    show_default=True,
    help="The label model; `auto` lets gold decide.",
)
@log_option
@on_votes
def fit(method: Method, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Turn votes into a posterior for every trace."""
    from promptlabel.pipeline.fitting.fit import fit
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        show("fit", [fit(workspace, task, method=method) for task in workspace.tasks], as_json)
