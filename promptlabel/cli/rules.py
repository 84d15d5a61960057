"""Rules: checked, tried, explained, proposed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from promptlabel.cli.options import on_project, on_votes, show


@click.command()
@click.option("--run", "run_examples", is_flag=True, help="Run every rule's examples as unit tests.")
@on_votes
def check(run_examples: bool, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """List every fault of rules and configuration."""
    from promptlabel.pipeline.authoring.check import check

    if not run_examples:
        show("check", check(project, tasks), as_json)
        return
    from promptlabel.pipeline.authoring.check_run import check_run

    result = check_run(project, tasks)
    show("check", result, as_json)
    sys.exit(result.exit_code)


@click.command()
@click.argument("rule")
@click.option(
    "-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many traces."
)
@click.option("--diff", is_flag=True, help="Beside the version that git last committed.")
@click.option("--watch", is_flag=True, help="Again whenever a file of the task is saved, until Ctrl-C.")
@on_votes
def preview(
    rule: str, count: int, diff: bool, watch: bool, project: Path, tasks: tuple[str, ...], as_json: bool
) -> None:
    """Try one rule on a few traces, beside gold."""
    from promptlabel.llm.local import models_kept
    from promptlabel.pipeline.authoring.preview import preview
    from promptlabel.pipeline.workspace import open_workspace
    from promptlabel.terminal.progress import answers_as_they_come

    def once() -> None:
        with open_workspace(project, tasks) as workspace, answers_as_they_come() as heard:
            found = preview(workspace, rule, count=count, diff=diff, heard=heard)
        show("preview", found, as_json)

    if watch:
        with models_kept():
            _watch(once, project, as_json)
    else:
        once()


def _watch(once: Callable[[], None], project: Path, as_json: bool) -> None:
    """Nothing, after Ctrl-C; faults of a file that is being written are shown, and the watch goes on."""
    from promptlabel.errors import PromptlabelError
    from promptlabel.pipeline.voting.watching import saves
    from promptlabel.terminal.showing import show_error, show_waiting

    def shown() -> None:
        try:
            once()
        except PromptlabelError as error:
            show_error(error, as_json)
        show_waiting()

    try:
        shown()
        for _ in saves(lambda: list((project / "rules").glob("*/"))):
            shown()
    except KeyboardInterrupt:
        return


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8712, show_default=True, help="0 is any free one."
)
@on_project
def workbench(port: int, project: Path, as_json: bool) -> None:
    """Serve the page where rules are written."""
    from promptlabel.web.workbench import serve_workbench

    serve_workbench(project, port=port, as_json=as_json)


@click.command()
@on_votes
def analyze(project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Show what each rule does, and its worth."""
    from promptlabel.pipeline.authoring.analyze import analyze
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        show("analyze", [analyze(workspace, task) for task in workspace.tasks], as_json)


@click.command()
@click.argument("rule")
@on_votes
def explain(rule: str, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Show where one rule is wrong, and what to do."""
    from promptlabel.pipeline.authoring.explain import explain
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        show("explain", explain(workspace, rule), as_json)


@click.command()
@click.option("--model", default="default", show_default=True, help="The model that is asked.")
@click.option(
    "-n",
    "most",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    help="Phrases asked about a label.",
)
@on_votes
def suggest(model: str, most: int, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Propose rules, measured, as files to read."""
    from promptlabel.pipeline.authoring.suggest import suggest
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        found = [suggest(workspace, task, model=model, most=most) for task in workspace.tasks]
    show("suggest", found, as_json)
