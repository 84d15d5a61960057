"""What comes out: training data and other files, simulated training, the report."""

from __future__ import annotations

from pathlib import Path

import click

from promptlabel.cli.options import EXPORTS, eval_option, on_votes, out_option, show


@click.command()
@click.option(
    "--to",
    "kind",
    required=True,
    type=click.Choice(EXPORTS),
    help="What to write.",
)
@click.option(
    "--for",
    "students",
    multiple=True,
    metavar="MODEL",
    help="The model to be trained on it: none of its own labels enter (default: models with trained_on).",
)
@click.option("--reweight", is_flag=True, help="Let rows weigh more where few traces like them have a label.")
@click.option("--keep", metavar="LABEL", help="For sft: the conversations of this label, to be repeated.")
@out_option
@eval_option
@click.option(
    "--min-confidence",
    "least_confidence",
    type=click.FloatRange(0.5, 1.0),
    default=0.5,
    show_default=True,
    help="Leave out preference pairs less sure than this.",
)
@click.option(
    "--suggestions",
    is_flag=True,
    help="For labelstudio and argilla: with what the rules suggest; decisions there are then not blind.",
)
@on_votes
def export(
    kind: str,
    students: tuple[str, ...],
    reweight: bool,
    keep: str | None,
    out: Path | None,
    version: str,
    least_confidence: float,
    suggestions: bool,
    project: Path,
    tasks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write data for training and other tools."""
    from promptlabel.pipeline.exporting.export import TrainingWish, export
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        wish = TrainingWish(students, reweight, keep, least_confidence)
        written = export(workspace, kind, out, version, wish, suggestions=suggestions)
        show("export", written, as_json)


@click.command()
@click.option(
    "--human",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="The share of each cycle's traffic that people review.",
)
@click.option("--cycles", type=click.IntRange(1, 100), default=12, show_default=True, help="How many cycles.")
@click.option("--runs", type=click.IntRange(2, 100), default=5, show_default=True, help="How many splits.")
@on_votes
def simulate(
    human: float, cycles: int, runs: int, project: Path, tasks: tuple[str, ...], as_json: bool
) -> None:
    """Show what training on its own labels would do to a model, on the project's traces."""
    from promptlabel.pipeline.exporting.simulate import simulate_task
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        made = [
            one
            for task in workspace.tasks
            for one in simulate_task(workspace, task, human=human, cycles=cycles, runs=runs)
        ]
    show("simulate", made, as_json)


@click.command()
@out_option
@on_votes
def report(out: Path | None, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Write the flywheel report as one HTML file."""
    from promptlabel.pipeline.reporting.report import report
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        show("report", report(workspace, out), as_json)
