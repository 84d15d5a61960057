"""The command line: parses, calls one verb of the pipeline, prints. Everything heavy is imported when used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from promptlabel.errors import PromptlabelError
    from promptlabel.labelmodel.fitting import Method

Command = Callable[..., None]

_project = click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The project folder (default: the current one).",
)
_task = click.option("--task", "tasks", multiple=True, metavar="NAME", help="Only this task (default: all).")
_rule = click.option("--rule", "rules", multiple=True, metavar="NAME", help="Only this rule (default: all).")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
_limit = click.option("--limit", type=click.IntRange(min=1), help="At most this many traces a rule.")
_out = click.option("--out", type=click.Path(path_type=Path), help="Where to write it.")


_EXPORTS = (
    "training",
    "votes",
    "posteriors",
    "queue",
    "gold",
    "promptfoo",
    "inspect",
    "openai-evals",
    "hf",
    "labelstudio",
    "argilla",
    "deepeval",
)


def _on_votes(command: Command) -> Command:
    return _project(_task(_json(command)))


def _on_project(command: Command) -> Command:
    return _project(_json(command))


class _JourneyOrder(click.Group):
    """Lists the verbs in the order of a first session, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The verbs as they are defined below."""
        return list(self.commands)


@click.group(cls=_JourneyOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="promptlabel")
def commands() -> None:
    """Turn production traces into trustworthy labels.

    A first session: init, ingest, check, preview, vote, fit, queue, review, freeze, report.
    """


@commands.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@_json
def init(folder: Path, as_json: bool) -> None:
    """Make a new project folder, ready to run."""
    from promptlabel.pipeline.init import init

    _show("init", init(folder), as_json)


@commands.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_on_project
def ingest(files: tuple[Path, ...], project: Path, as_json: bool) -> None:
    """Read traces, events and gold into the store."""
    from promptlabel.pipeline.ingest import ingest
    from promptlabel.pipeline.workspace import open_project

    with open_project(project) as workspace:
        _show("ingest", ingest(workspace.store, files), as_json)


@commands.command()
@click.option("--run", "run_examples", is_flag=True, help="Run every rule's examples as unit tests.")
@_on_votes
def check(run_examples: bool, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """List every fault of rules and configuration."""
    from promptlabel.pipeline.check import check

    if not run_examples:
        _show("check", check(project, tasks), as_json)
        return
    from promptlabel.pipeline.check_run import check_run

    result = check_run(project, tasks)
    _show("check", result, as_json)
    sys.exit(result.exit_code)


@commands.command()
@click.argument("rule")
@click.option(
    "-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many traces."
)
@click.option("--diff", is_flag=True, help="Beside the version that git last committed.")
@click.option("--watch", is_flag=True, help="Again whenever a file of the task is saved, until Ctrl-C.")
@_on_votes
def preview(
    rule: str, count: int, diff: bool, watch: bool, project: Path, tasks: tuple[str, ...], as_json: bool
) -> None:
    """Try one rule on a few traces, beside gold."""
    from promptlabel.pipeline.preview import preview
    from promptlabel.pipeline.workspace import open_workspace

    def once() -> None:
        with open_workspace(project, tasks) as workspace:
            _show("preview", preview(workspace, rule, count=count, diff=diff), as_json)

    if watch:
        _watch(once, project, as_json)
    else:
        once()


def _watch(once: Callable[[], None], project: Path, as_json: bool) -> None:
    """Nothing, after Ctrl-C; faults of a file that is being written are shown, and the watch goes on."""
    from promptlabel.errors import PromptlabelError
    from promptlabel.pipeline.watching import saves
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


@commands.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8712, show_default=True, help="0 is any free one."
)
@_on_project
def workbench(port: int, project: Path, as_json: bool) -> None:
    """Serve the page where rules are written."""
    from promptlabel.pipeline.workspace import open_project
    from promptlabel.web.workbench import serve_workbench

    with open_project(project) as workspace:
        serve_workbench(workspace, port=port, as_json=as_json)


@commands.command()
@_rule
@_limit
@_on_votes
def plan(
    rules: tuple[str, ...], limit: int | None, project: Path, tasks: tuple[str, ...], as_json: bool
) -> None:
    """Price a vote in calls, tokens and money."""
    from promptlabel.pipeline.plan import plan
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show("plan", plan(workspace, rules=rules, limit=limit), as_json)


@commands.command()
@_rule
@_limit
@_on_votes
def vote(
    rules: tuple[str, ...], limit: int | None, project: Path, tasks: tuple[str, ...], as_json: bool
) -> None:
    """Run the rules where votes are missing."""
    from promptlabel.pipeline.vote import vote
    from promptlabel.pipeline.workspace import open_workspace
    from promptlabel.terminal.progress import VoteProgress

    with open_workspace(project, tasks) as workspace, VoteProgress(as_json) as progress:
        result = vote(workspace, rules=rules, limit=limit, progress=progress)
    _show("vote", result, as_json)
    sys.exit(result.exit_code)


@commands.command()
@_rule
@_on_votes
def retry(rules: tuple[str, ...], project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Ask again where answers failed."""
    from promptlabel.pipeline.vote import retry
    from promptlabel.pipeline.workspace import open_workspace
    from promptlabel.terminal.progress import VoteProgress

    with open_workspace(project, tasks) as workspace, VoteProgress(as_json) as progress:
        result = retry(workspace, rules=rules, progress=progress)
    _show("vote", result, as_json)
    sys.exit(result.exit_code)


@commands.command()
@_on_votes
def analyze(project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Show what each rule does, and its worth."""
    from promptlabel.pipeline.analyze import analyze
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show("analyze", [analyze(workspace, task) for task in workspace.tasks], as_json)


@commands.command()
@click.argument("rule")
@_on_votes
def explain(rule: str, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Show where one rule is wrong, and what to do."""
    from promptlabel.pipeline.explain import explain
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show("explain", explain(workspace, rule), as_json)


@commands.command()
@click.option("--model", default="default", show_default=True, help="The model that is asked.")
@click.option(
    "-n",
    "most",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    help="Phrases asked about a label.",
)
@_on_votes
def suggest(model: str, most: int, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Propose rules, measured, as files to read."""
    from promptlabel.pipeline.suggest import suggest
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        found = [suggest(workspace, task, model=model, most=most) for task in workspace.tasks]
    _show("suggest", found, as_json)


@commands.command()
@click.option(
    "--model",
    "method",
    type=click.Choice(["auto", "majority", "weighted", "em", "anchored", "snorkel"]),
    default="auto",
    show_default=True,
    help="The label model; `auto` lets the gate choose.",
)
@_on_votes
def fit(method: Method, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Turn votes into a posterior for every trace."""
    from promptlabel.pipeline.fit import fit
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show("fit", [fit(workspace, task, method=method) for task in workspace.tasks], as_json)


@commands.command()
@_on_votes
def queue(project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Choose what people should review, and say why."""
    from promptlabel.pipeline.queue import build_queue
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show("queue", [build_queue(workspace, task) for task in workspace.tasks], as_json)


@commands.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8711, show_default=True, help="0 is any free one."
)
@click.option("--reviewer", default="reviewer", show_default=True, help="The name of the first reviewer.")
@click.option(
    "--reviewers", type=click.IntRange(min=1), default=1, show_default=True, help="Reviewers a trace."
)
@_on_votes
def review(
    port: int, reviewer: str, reviewers: int, project: Path, tasks: tuple[str, ...], as_json: bool
) -> None:
    """Serve the reviewers' page."""
    from promptlabel.pipeline.workspace import open_workspace
    from promptlabel.web.serving import serve

    with open_workspace(project, tasks) as workspace:
        serve(workspace, port=port, reviewer=reviewer, reviewers_per_item=reviewers, as_json=as_json)


@commands.command()
@_on_votes
def audit(project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Estimate accuracy without bias."""
    from promptlabel.pipeline.audit import audit
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show("audit", [audit(workspace, task) for task in workspace.tasks], as_json)


@commands.command()
@_on_votes
def freeze(project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Freeze fresh gold into an eval version."""
    from promptlabel.pipeline.freeze import freeze
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show("freeze", [freeze(workspace, task) for task in workspace.tasks], as_json)


@commands.command()
@click.option(
    "--to",
    "kind",
    required=True,
    type=click.Choice(_EXPORTS),
    help="What to write.",
)
@_out
@_on_votes
def export(kind: str, out: Path | None, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Write data for training and other tools."""
    from promptlabel.pipeline.export import export
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show("export", export(workspace, kind, out), as_json)


@commands.command()
@_out
@_on_votes
def report(out: Path | None, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Write the flywheel report as one HTML file."""
    from promptlabel.pipeline.report import report
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show("report", report(workspace, out), as_json)


@commands.command()
@_limit
@_on_votes
def run(limit: int | None, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Vote, fit and queue in one go."""
    from promptlabel.pipeline.run import run
    from promptlabel.pipeline.workspace import open_workspace
    from promptlabel.terminal.progress import VoteProgress

    with open_workspace(project, tasks) as workspace, VoteProgress(as_json) as progress:
        result = run(workspace, limit=limit, progress=progress)
    _show("run", result, as_json)
    sys.exit(result.exit_code)


@commands.command()
@click.option("--repair", is_flag=True, help="Rebuild what the journal holds and the store lacks.")
@_on_project
def doctor(repair: bool, project: Path, as_json: bool) -> None:
    """Check store, journal and environment."""
    from promptlabel.pipeline.doctor import doctor

    result = doctor(project, repair=repair)
    _show("doctor", result, as_json)
    sys.exit(result.exit_code)


def _show(verb: str, result: object, as_json: bool) -> None:
    from promptlabel.terminal.showing import show

    show(verb, result, as_json)


def _refuse(error: PromptlabelError) -> None:
    from promptlabel.terminal.showing import show_error

    show_error(error, "--json" in sys.argv)


def main() -> None:
    """Nothing; runs the command line and exits with 0 done, 1 failed or incomplete, 2 wrong input."""
    try:
        commands.main(standalone_mode=True)
    except Exception as error:
        from promptlabel.errors import PromptlabelError

        if not isinstance(error, PromptlabelError):
            raise
        _refuse(error)
        sys.exit(error.exit_code)
