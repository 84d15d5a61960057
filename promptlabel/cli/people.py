"""People: what they should look at, and what they said."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from promptlabel.cli.options import on_project, on_votes, show


@click.command()
@on_votes
def queue(project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Choose what people should review, and say why."""
    from promptlabel.pipeline.reviewing.queue import build_queue
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        show("queue", [build_queue(workspace, task) for task in workspace.tasks], as_json)


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8711, show_default=True, help="0 is any free one."
)
@click.option("--reviewer", default="reviewer", show_default=True, help="The name of the first reviewer.")
@click.option(
    "--reviewers",
    type=click.IntRange(1, 10),
    help="Reviewers a trace (default: `review.reviewers` of promptlabel.yaml).",
)
@click.option(
    "--invite", "invited", multiple=True, metavar="NAME", help="Print an address for NAME that works once."
)
@click.option(
    "--name", metavar="HOST", help="The name under which a TLS proxy on this machine serves the page."
)
@click.option(
    "--trusted-header",
    "header",
    metavar="HEADER",
    help="Where that proxy says who sends a request, such as X-Forwarded-User; it proves itself by"
    " PROMPTLABEL_PROXY_SECRET (default: `review.trusted_header`).",
)
@on_votes
def review(
    port: int,
    reviewer: str,
    reviewers: int | None,
    invited: tuple[str, ...],
    name: str | None,
    header: str | None,
    project: Path,
    tasks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Serve the reviewers' page."""
    from promptlabel.pipeline.workspace import open_workspace
    from promptlabel.web.serving import serve

    with open_workspace(project, tasks) as workspace:
        asked = {"reviewers": reviewers, "trusted_header": header}
        given = {key: value for key, value in asked.items() if value is not None}
        chosen = workspace.project.settings.review.model_copy(update=given)
        serve(
            workspace,
            port=port,
            name=name,
            reviewer=reviewer,
            invited=invited,
            review=chosen,
            as_json=as_json,
        )


@click.command()
@click.option("--person", metavar="NAME", help="Only what this person did.")
@click.option("--verb", metavar="VERB", help="Only this, such as freeze or 'sign in'.")
@click.option("--since", "moment", metavar="WHEN", help="Only from then on: 2026-11-01, or 7d, 24h, 30m ago.")
@click.option(
    "-n", "most", type=click.IntRange(min=1), default=50, show_default=True, help="The latest so many."
)
@click.option("--holds", "seal", metavar="SEAL", help="Fail unless this seal, kept from earlier, is in it.")
@on_project
def history(
    person: str | None,
    verb: str | None,
    moment: str | None,
    most: int,
    seal: str | None,
    project: Path,
    as_json: bool,
) -> None:
    """Show who did what, and whether anybody tampered with it."""
    from promptlabel.pipeline.history import Wanted, history
    from promptlabel.pipeline.since import since
    from promptlabel.pipeline.workspace import open_project

    with open_project(project) as workspace:
        found = history(workspace.store, Wanted(person, verb, since(moment)), most=most, seal=seal)
    show("history", found, as_json)
    sys.exit(found.exit_code)


@click.command()
@on_votes
def reviewers(project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Show how far reviewers agree and can be trusted."""
    from promptlabel.pipeline.reviewing.reviewers import reviewers
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        show("reviewers", [reviewers(workspace, task) for task in workspace.tasks], as_json)
