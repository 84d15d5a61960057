"""`check --run`: every rule's own examples as unit tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from promptlabel.pipeline.authoring.check import CheckReport, check
from promptlabel.pipeline.authoring.preview import some_traces
from promptlabel.pipeline.authoring.trying import ExampleRow, try_rule
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.records import Trace
from promptlabel.rules.heuristic import CodeRule
from promptlabel.rules.prompt import PromptRule

_COMPANY: Final = 12


@dataclass(frozen=True, slots=True)
class RuleExamples:
    """One rule's own examples as unit tests."""

    task: str
    rule: str
    examples: Sequence[ExampleRow]


@dataclass(frozen=True, slots=True)
class CheckRunReport(CheckReport):
    """What was found, and what each rule says of its own examples.

    Attributes:
        passed, failed: numbers of examples.
        stopped: why not all could be asked, None where they could.
    """

    runs: Sequence[RuleExamples] = ()
    passed: int = 0
    failed: int = 0
    stopped: str | None = None
    message: str = ""

    @property
    def exit_code(self) -> int:
        """1 while an example fails, or could not be asked."""
        return 1 if self.failed or self.stopped else 0


def check_run(root: Path, names: Sequence[str] = ()) -> CheckRunReport:
    """The checked tasks, and every rule's examples as unit tests; models are asked what they were not asked before.

    Raises:
        InputError: with every fault of configuration and rules.
    """
    checked = check(root, names)
    runs: list[RuleExamples] = []
    stopped = None
    message = ""
    with open_workspace(root, names) as workspace:
        for task in workspace.tasks:
            for rule in task.rules:
                tried = try_rule(workspace, task, rule, _company(workspace, rule))
                runs += [RuleExamples(task.name, rule.name, tried.examples)] if tried.examples else []
                stopped, message = stopped or tried.sent.stopped, message or tried.sent.message
    passed = sum(example.passed for run in runs for example in run.examples)
    failed = sum(not example.passed for run in runs for example in run.examples)
    return CheckRunReport(
        checked.tasks, checked.rules, checked.renamed, runs, passed, failed, stopped, message
    )


def _company(workspace: Workspace, rule: PromptRule | CodeRule) -> Sequence[Trace]:
    """A few traces for the examples of rules whose models cost nothing and are calibrated over all they are asked."""
    models = workspace.project.settings.models
    alone = not isinstance(rule, PromptRule) or any(
        models[name].provider != "local" or models[name].calibration != "batch" for name in rule.models
    )
    return [] if alone else some_traces(workspace, [], _COMPANY)
