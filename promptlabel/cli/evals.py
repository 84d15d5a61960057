"""Eval sets: frozen, audited, scored against, a gate for others."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from promptlabel.cli.options import eval_option, on_votes, show


@click.command()
@click.option(
    "--draw",
    "reviews",
    type=click.IntRange(min=1),
    help="Put about so many more traces into the queue first.",
)
@on_votes
def audit(reviews: int | None, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Estimate accuracy without bias."""
    from promptlabel.pipeline.evaluating.audit import audit
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        show("audit", [audit(workspace, task, reviews=reviews or 0) for task in workspace.tasks], as_json)


@click.command()
@click.option("--diff", is_flag=True, help="Write nothing; say what would change, or what the last one did.")
@click.option(
    "--refresh",
    "reviews",
    type=click.IntRange(min=1),
    help="Propose so many reviews that keep the set fresh.",
)
@click.option("--queue", "enqueue", is_flag=True, help="Put the proposed reviews into the queue.")
@click.option(
    "--despite-training",
    is_flag=True,
    help="Take what was exported for training too: train anew before scoring.",
)
@on_votes
def freeze(
    diff: bool,
    reviews: int | None,
    enqueue: bool,
    despite_training: bool,
    project: Path,
    tasks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Freeze fresh gold into an eval version."""
    from promptlabel.pipeline.evaluating.freeze import Options, freeze
    from promptlabel.pipeline.workspace import open_workspace

    options = Options(diff, despite_training, reviews or 0, enqueue)
    with open_workspace(project, tasks) as workspace:
        show("freeze", [freeze(workspace, task, options=options) for task in workspace.tasks], as_json)


@click.command()
@click.argument("labelers", nargs=-1)
@eval_option
@click.option("--baseline", metavar="LABELER", help="What the others are compared with (default: the best).")
@on_votes
def score(
    labelers: tuple[str, ...],
    version: str,
    baseline: str | None,
    project: Path,
    tasks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Hold labelers against a frozen eval version.

    A labeler is `posterior`, `majority`, the name of a rule, `model:NAME`, or a file of predictions. By default all
    that need no call.
    """
    from promptlabel.pipeline.evaluating.score import score
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        found = [
            score(workspace, task, labelers, version=version, baseline=baseline) for task in workspace.tasks
        ]
        show("score", found, as_json)


@click.command()
@click.argument("labeler", default="posterior")
@eval_option
@click.option("--min", "floors", multiple=True, metavar="SHARE", help="Such as 0.85, or recall:LABEL=0.7.")
@click.option("--against", metavar="LABELER", help="What it must not be worse than.")
@on_votes
def gate(
    labeler: str,
    version: str,
    floors: tuple[str, ...],
    against: str | None,
    project: Path,
    tasks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Fail when a labeler falls below, beyond noise."""
    from promptlabel.pipeline.evaluating.gate import Floor, gate
    from promptlabel.pipeline.workspace import open_workspace

    limits = [Floor.parse(floor) for floor in floors]
    with open_workspace(project, tasks) as workspace:
        found = [
            gate(workspace, task, labeler, limits, version=version, against=against)
            for task in workspace.tasks
        ]
    show("gate", found, as_json)
    sys.exit(max((one.exit_code for one in found), default=0))


@click.command()
@click.argument("labelers", nargs=-1)
@click.option(
    "--epsilon",
    type=click.FloatRange(0, 1),
    default=0.15,
    show_default=True,
    help="What a reviewer costs more: .1 for crowds, .15 for trained people, .2 for experts.",
)
@on_votes
def certify(
    labelers: tuple[str, ...], epsilon: float, project: Path, tasks: tuple[str, ...], as_json: bool
) -> None:
    """Test whether a labeler may replace a reviewer."""
    from promptlabel.pipeline.evaluating.certify import certify
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        show(
            "certify",
            [certify(workspace, task, labelers, epsilon=epsilon) for task in workspace.tasks],
            as_json,
        )
