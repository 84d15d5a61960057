"""Options that verbs share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

Command = Callable[..., None]

project_option = click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The project folder (default: the current one).",
)
task_option = click.option(
    "--task", "tasks", multiple=True, metavar="NAME", help="Only this task (default: all)."
)
rule_option = click.option(
    "--rule", "rules", multiple=True, metavar="NAME", help="Only this rule (default: all)."
)


def _works_as(context: click.Context, option: click.Parameter, person: str | None) -> None:  # noqa: ARG001
    if person:
        os.environ["PROMPTLABEL_PERSON"] = person  # for whatever processes follow


as_option = click.option(
    "--as",
    "works_as",
    metavar="NAME",
    expose_value=False,
    callback=_works_as,
    help="Who you are, for the history (default: PROMPTLABEL_PERSON, or the system's user).",
)


def _logs_to(context: click.Context, option: click.Parameter, path: str | None) -> None:  # noqa: ARG001
    if path:
        os.environ["PROMPTLABEL_LOG"] = f"json:{path}"  # for whatever processes follow


log_option = click.option(
    "--log-json",
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    expose_value=False,
    callback=_logs_to,
    help="A JSON line an event, to FILE or stderr (default: PROMPTLABEL_LOG).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
limit_option = click.option("--limit", type=click.IntRange(min=1), help="At most this many traces a rule.")
batch_option = click.option(
    "--batch", is_flag=True, help="Ask in batch files where the model takes them, and wait for them."
)
detach_option = click.option(
    "--detach", is_flag=True, help="Submit batch files and do not wait; `vote` collects them later."
)
progress_option = click.option(
    "--progress",
    "way",
    type=click.Choice(["auto", "bar", "json", "none"]),
    default="auto",
    help="On stderr: a bar, or a JSON line a second.",
)
out_option = click.option("--out", type=click.Path(path_type=Path), help="Where to write it.")
eval_option = click.option(
    "--eval",
    "version",
    default="latest",
    show_default=True,
    metavar="VERSION",
    help="The eval version, such as 2026.11.1.",
)
EXPORTS = (
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


def on_votes(command: Command) -> Command:
    """The verb with the options of all that read votes."""
    return project_option(task_option(as_option(json_option(command))))


def on_project(command: Command) -> Command:
    """The verb with the options of all that need a project."""
    return project_option(as_option(json_option(command)))


def show(verb: str, result: object, as_json: bool) -> None:
    """Nothing; the verb's result is printed, for people or as one JSON object."""
    from promptlabel.terminal.showing import show

    show(verb, result, as_json)
