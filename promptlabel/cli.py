"""The command line: parses, calls one verb of the pipeline, prints. Everything heavy is imported when used."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from promptlabel.errors import PromptlabelError
    from promptlabel.labelmodel.fitting import Method
    from promptlabel.terminal.progress import Way

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
_batch = click.option(
    "--batch", is_flag=True, help="Ask in batch files where the model takes them, and wait for them."
)
_detach = click.option(
    "--detach", is_flag=True, help="Submit batch files and do not wait; `vote` collects them later."
)
_progress = click.option(
    "--progress",
    "way",
    type=click.Choice(["auto", "bar", "json", "none"]),
    default="auto",
    help="On stderr: a bar, or a JSON line a second.",
)
_out = click.option("--out", type=click.Path(path_type=Path), help="Where to write it.")


_eval = click.option(
    "--eval",
    "version",
    default="latest",
    show_default=True,
    metavar="VERSION",
    help="The eval version, such as 2026.11.1.",
)

_EXPORTS = (
    "training",
    "preferences",
    "votes",
    "posteriors",
    "queue",
    "gold",
    "promptfoo",
    "inspect",
    "openai-evals",
    "sft",
    "hf",
    "labelstudio",
    "argilla",
    "deepeval",
    "langfuse",
    "phoenix",
    "openinference",
    "phoenix-annotations",
    "otel",
    "jsonl",
    "csv",
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
@_on_project
def ingest(
    files: tuple[Path, ...], mapping: Path | None, folder: Path | None, project: Path, as_json: bool
) -> None:
    """Read traces, events and gold into the store; patterns such as 'logs/*.jsonl' name several files."""
    from promptlabel.pipeline.ingest import ingest
    from promptlabel.pipeline.workspace import open_project

    if not files and folder is None:
        raise click.UsageError("name files, or a folder with --watch")

    def take(paths: tuple[Path, ...]) -> None:
        with open_project(project) as workspace:
            _show("ingest", ingest(workspace.store, paths, mapping), as_json)

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
    from promptlabel.llm.local import models_kept
    from promptlabel.pipeline.preview import preview
    from promptlabel.pipeline.workspace import open_workspace
    from promptlabel.terminal.progress import answers_as_they_come

    def once() -> None:
        with open_workspace(project, tasks) as workspace, answers_as_they_come() as heard:
            found = preview(workspace, rule, count=count, diff=diff, heard=heard)
        _show("preview", found, as_json)

    if watch:
        with models_kept():
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
    from promptlabel.web.workbench import serve_workbench

    serve_workbench(project, port=port, as_json=as_json)


@commands.command()
@_rule
@_limit
@click.option("--batch", is_flag=True, help="At the prices of batch files.")
@_on_votes
def plan(
    rules: tuple[str, ...],
    limit: int | None,
    batch: bool,
    project: Path,
    tasks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Price a vote in calls, tokens and money."""
    from promptlabel.pipeline.plan import plan
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show("plan", plan(workspace, rules=rules, limit=limit, batch=batch), as_json)


@commands.command()
@_rule
@_limit
@_progress
@_batch
@_detach
@_on_votes
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
    from promptlabel.pipeline.batching import Batching
    from promptlabel.pipeline.vote import vote
    from promptlabel.pipeline.workspace import open_workspace
    from promptlabel.terminal.progress import showing_progress

    with (
        open_workspace(project, tasks, lean=True) as workspace,
        showing_progress(way, as_json=as_json) as progress,
    ):
        batching = Batching(submit=batch or detach, wait=not detach, tell=progress.note)
        result = vote(workspace, rules=rules, limit=limit, progress=progress, batching=batching)
    _show("vote", result, as_json)
    sys.exit(result.exit_code)


@commands.command()
@_rule
@_progress
@_batch
@_detach
@_on_votes
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
    from promptlabel.pipeline.batching import Batching
    from promptlabel.pipeline.vote import retry
    from promptlabel.pipeline.workspace import open_workspace
    from promptlabel.terminal.progress import showing_progress

    with (
        open_workspace(project, tasks, lean=True) as workspace,
        showing_progress(way, as_json=as_json) as progress,
    ):
        batching = Batching(submit=batch or detach, wait=not detach, tell=progress.note)
        result = retry(workspace, rules=rules, progress=progress, batching=batching)
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
    help="The label model; `auto` lets gold decide.",
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
@_on_votes
def review(
    port: int,
    reviewer: str,
    reviewers: int | None,
    invited: tuple[str, ...],
    name: str | None,
    project: Path,
    tasks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Serve the reviewers' page."""
    from promptlabel.pipeline.workspace import open_workspace
    from promptlabel.web.serving import serve

    with open_workspace(project, tasks) as workspace:
        settings = workspace.project.settings.review
        chosen = settings if reviewers is None else settings.model_copy(update={"reviewers": reviewers})
        serve(
            workspace,
            port=port,
            name=name,
            reviewer=reviewer,
            invited=invited,
            review=chosen,
            as_json=as_json,
        )


@commands.command()
@_on_votes
def reviewers(project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Show how far reviewers agree and can be trusted."""
    from promptlabel.pipeline.reviewers import reviewers
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show("reviewers", [reviewers(workspace, task) for task in workspace.tasks], as_json)


@commands.command()
@click.option(
    "--draw",
    "reviews",
    type=click.IntRange(min=1),
    help="Put about so many more traces into the queue first.",
)
@_on_votes
def audit(reviews: int | None, project: Path, tasks: tuple[str, ...], as_json: bool) -> None:
    """Estimate accuracy without bias."""
    from promptlabel.pipeline.audit import audit
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show("audit", [audit(workspace, task, reviews=reviews or 0) for task in workspace.tasks], as_json)


@commands.command()
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
@_on_votes
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
    from promptlabel.pipeline.freeze import Options, freeze
    from promptlabel.pipeline.workspace import open_workspace

    options = Options(diff, despite_training, reviews or 0, enqueue)
    with open_workspace(project, tasks) as workspace:
        _show("freeze", [freeze(workspace, task, options=options) for task in workspace.tasks], as_json)


@commands.command()
@click.argument("labelers", nargs=-1)
@_eval
@click.option("--baseline", metavar="LABELER", help="What the others are compared with (default: the best).")
@_on_votes
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
    from promptlabel.pipeline.score import score
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        found = [
            score(workspace, task, labelers, version=version, baseline=baseline) for task in workspace.tasks
        ]
        _show("score", found, as_json)


@commands.command()
@click.argument("labeler", default="posterior")
@_eval
@click.option("--min", "floors", multiple=True, metavar="SHARE", help="Such as 0.85, or recall:LABEL=0.7.")
@click.option("--against", metavar="LABELER", help="What it must not be worse than.")
@_on_votes
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
    from promptlabel.pipeline.gate import Floor, gate
    from promptlabel.pipeline.workspace import open_workspace

    limits = [Floor.parse(floor) for floor in floors]
    with open_workspace(project, tasks) as workspace:
        found = [
            gate(workspace, task, labeler, limits, version=version, against=against)
            for task in workspace.tasks
        ]
    _show("gate", found, as_json)
    sys.exit(max((one.exit_code for one in found), default=0))


@commands.command()
@click.argument("labelers", nargs=-1)
@click.option(
    "--epsilon",
    type=click.FloatRange(0, 1),
    default=0.15,
    show_default=True,
    help="What a reviewer costs more: .1 for crowds, .15 for trained people, .2 for experts.",
)
@_on_votes
def certify(
    labelers: tuple[str, ...], epsilon: float, project: Path, tasks: tuple[str, ...], as_json: bool
) -> None:
    """Test whether a labeler may replace a reviewer."""
    from promptlabel.pipeline.certify import certify
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        _show(
            "certify",
            [certify(workspace, task, labelers, epsilon=epsilon) for task in workspace.tasks],
            as_json,
        )


@commands.command()
@click.option(
    "--to",
    "kind",
    required=True,
    type=click.Choice(_EXPORTS),
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
@_out
@_eval
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
@_on_votes
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
    from promptlabel.pipeline.export import TrainingWish, export
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        wish = TrainingWish(students, reweight, keep, least_confidence)
        written = export(workspace, kind, out, version, wish, suggestions=suggestions)
        _show("export", written, as_json)


@commands.command()
@click.option(
    "--human",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="The share of each cycle's traffic that people review.",
)
@click.option("--cycles", type=click.IntRange(1, 100), default=12, show_default=True, help="How many cycles.")
@click.option("--runs", type=click.IntRange(2, 100), default=5, show_default=True, help="How many splits.")
@_on_votes
def simulate(
    human: float, cycles: int, runs: int, project: Path, tasks: tuple[str, ...], as_json: bool
) -> None:
    """Show what training on its own labels would do to a model, on the project's traces."""
    from promptlabel.pipeline.simulate import simulate_cycles
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(project, tasks) as workspace:
        made = [
            simulate_cycles(workspace, task, human=human, cycles=cycles, runs=runs)
            for task in workspace.tasks
        ]
    _show("simulate", made, as_json)


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
    type=click.Choice(["freeze", "export", "report"]),
    help="Written at the end, in this order.",
)
@_limit
@_progress
@_on_votes
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
    from promptlabel.pipeline.gate import Floor
    from promptlabel.pipeline.run import Wishes, run
    from promptlabel.pipeline.since import since
    from promptlabel.terminal.progress import showing_progress

    wishes = Wishes(since(moment), limit, tuple(map(Floor.parse, floors)), steps)
    with showing_progress(way, as_json=as_json) as progress:
        result = run(project, tasks, wishes=wishes, progress=progress)
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


@commands.command()
@click.argument("target", metavar="STORE")
@_on_project
def move(target: str, project: Path, as_json: bool) -> None:
    """Carry the project's store to another home: postgresql://USER@HOST/DATABASE, or the path of a DuckDB file."""
    from promptlabel.pipeline.move import move

    _show("move", move(project, target), as_json)


def _show(verb: str, result: object, as_json: bool) -> None:
    from promptlabel.terminal.showing import show

    show(verb, result, as_json)


def _refuse(error: PromptlabelError) -> None:
    from promptlabel.terminal.showing import show_error

    show_error(error, "--json" in sys.argv)


def main() -> None:
    """Nothing; runs the command line and exits with 0 done, 1 failed or incomplete, 2 wrong input."""
    gc.set_threshold(50_000)  # imports make no garbage, and looking for it is a fifteenth of a verb's start
    try:
        commands.main(standalone_mode=True)
    except Exception as error:
        from promptlabel.errors import PromptlabelError

        if not isinstance(error, PromptlabelError):
            raise
        _refuse(error)
        sys.exit(error.exit_code)
