"""The command line: parses, calls one verb of the pipeline, prints. Everything heavy is imported when used."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import click

from promptlabel.cli.evals import audit, certify, freeze, gate, score
from promptlabel.cli.people import history, queue, review, reviewers
from promptlabel.cli.project import doctor, forget, ingest, init, move, run
from promptlabel.cli.rules import analyze, check, explain, preview, suggest, workbench
from promptlabel.cli.training import export, report, simulate
from promptlabel.cli.votes import fit, plan, retry, vote

if TYPE_CHECKING:
    from promptlabel.errors import PromptlabelError


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


for _verb in (
    init,
    ingest,
    check,
    preview,
    workbench,
    plan,
    vote,
    retry,
    analyze,
    explain,
    suggest,
    fit,
    queue,
    review,
    reviewers,
    audit,
    freeze,
    score,
    gate,
    certify,
    export,
    simulate,
    report,
    run,
    doctor,
    history,
    move,
    forget,
):
    commands.add_command(_verb)


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
