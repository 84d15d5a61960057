"""The rule writer's bench: rules read, checked while they are written, tried on a sample, and saved to their files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Lock
from typing import Final

from promptlabel.errors import Fault, InputError
from promptlabel.pipeline.authoring.preview import (
    Beside,
    PreviewRow,
    gold_shown,
    some_traces,
    votes_of_others,
)
from promptlabel.pipeline.authoring.trying import ExampleRow, try_rule
from promptlabel.pipeline.secret import project_secret
from promptlabel.pipeline.voting.sending import Sent
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Trace
from promptlabel.redaction import redacted
from promptlabel.rules.declarative import DeclarativeRule
from promptlabel.rules.loading import RULE_NAME, Task, read_partials, rule_files, task_folders
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.rule_file import read_rule_text, read_task
from promptlabel.settings import Project
from promptlabel.strict_yaml import read_text
from promptlabel.votes.comparing import LabelTally

ENDINGS: Final = (".yaml", ".jinja")
MOST_TRACES: Final = 100
_SHOWN: Final = 2000
"""Characters of a trace that the page is sent."""

NEW_RULE: Final = """\
# yaml-language-server: $schema=../../.schema/rule.json
description: ""
prompt: |
  Ask one question about the trace.
  "{{ trace.transcript }}"
answers: {%s}
examples: []
"""


class ChangedOnDiskError(InputError):
    """The file is not what it was when the page read it; nothing was written."""


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A rule's file as it is, and the digest of its text, by which a later save knows that nobody else changed it."""

    task: str
    file: str
    text: str
    version: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule's text as somebody writes it, and the file it is for."""

    task: str
    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Spending:
    """What a try took, and what the rule would take on all traces at that rate; None where it sent nothing."""

    calls: int
    cached: int
    usd: float
    all_traces: int
    all_calls: int
    all_usd: float | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A draft on a sample: a row a trace and model, what the traces say, and sums.

    Attributes:
        confusion: gold label -> vote or status -> number of rows; empty where several labels may apply.
        by_label: where several may apply, how right the votes are about each label that they speak of; else empty.
        agreeing, judged: rows whose vote is right, rows with gold that voted.
    """

    rows: Sequence[PreviewRow]
    traces: Mapping[str, str]
    examples: Sequence[ExampleRow]
    labels: Sequence[str]
    confusion: Mapping[str, Mapping[str, int]]
    by_label: Sequence[LabelTally]
    agreeing: int
    judged: int
    spending: Spending
    stopped: str | None
    message: str


class Bench:
    """The rules of a project's tasks; may be used from many threads.

    Args:
        project: whose rules are written.
        opened: opens its store, while a draft is tried and no longer: other verbs need it meanwhile.
    """

    def __init__(self, project: Project, opened: Callable[[], AbstractContextManager[Workspace]]) -> None:
        self._project, self._opened = project, opened
        self._secret = project_secret(project)
        self._trying = Lock()

    @property
    def tasks(self) -> Mapping[str, Sequence[str]]:
        """The rule files of each task, in order of name."""
        folders = task_folders(self._project.rules)
        return {name: [path.name for path in rule_files(folder)] for name, folder in folders.items()}

    def read(self, task: str, file: str) -> RuleFile:
        """A rule's file; for a file that does not exist, a beginning.

        Raises:
            InputError: the task does not exist, or the name is none for a rule.
        """
        path = self._path(task, file)
        if not path.exists():
            return RuleFile(task, file, self._beginning(path), None)
        text = read_text(path)
        return RuleFile(task, file, text, _version(text))

    def check(self, draft: Draft) -> list[Fault]:
        """Every fault of a draft, and of the task around it."""
        return self._parsed(draft)[2]

    def try_out(self, draft: Draft, count: int) -> Trial:
        """The draft on a sample, half of it with gold where there is so much; answers are kept, not its votes.

        Raises:
            InputError: for every fault of the draft; for a model that cannot answer as asked.
        """
        task, rule, faults = self._parsed(draft)
        if task is None or rule is None or faults:
            raise InputError(faults)
        with self._trying, self._opened() as workspace:
            return self._trial(workspace, task, rule, min(count, MOST_TRACES))

    def save(self, draft: Draft, version: str | None) -> RuleFile:
        """The file as saved, whole or not at all; a draft with faults is saved too, as an editor would.

        Raises:
            ChangedOnDiskError: the file is not of that version any more; None is a file that does not exist.
            InputError: it cannot be written, or the name is none for a rule.
        """
        path = self._path(draft.task, draft.file)
        now = self.read(draft.task, draft.file)
        if now.version != version:
            what = "was changed on disk meanwhile" if path.exists() else "was deleted meanwhile"
            raise ChangedOnDiskError(Fault(f"{what}; nothing was written", str(path)))
        try:
            _write_whole(path, draft.text)
        except OSError as error:
            raise InputError(Fault(f"cannot be written: {error.strerror}", str(path))) from error
        return RuleFile(draft.task, draft.file, draft.text, _version(draft.text))

    def _path(self, task: str, file: str) -> Path:
        folder = task_folders(self._project.rules).get(task)
        if folder is None:
            raise InputError(Fault(f"no task is named '{task}'"))
        stem, ending = Path(file).stem, Path(file).suffix
        fits = ending in ENDINGS and RULE_NAME.fullmatch(stem) and stem != "task" and stem[0] != "_"
        if not fits or file != f"{stem}{ending}":
            raise InputError(
                Fault(
                    "a rule's file is named with letters, digits, _ and -, and ends with .yaml or .jinja",
                    file,
                )
            )
        return folder / file

    def _beginning(self, path: Path) -> str:
        spec, _ = read_task(path.parent / "task.yaml")
        labels = ", ".join(f'"{label}": {label}' for label in spec.labels) if spec else ""
        text = NEW_RULE % labels
        if path.suffix == ".yaml":
            return text
        front, _, prompt = text.partition("prompt: |\n")
        body, _, rest = prompt.partition("answers:")
        shifted = "".join(line[2:] + "\n" for line in body.splitlines())
        return f"---\n{front.partition(chr(10))[2]}answers:{rest}---\n{shifted}"

    def _parsed(self, draft: Draft) -> tuple[Task | None, PromptRule | DeclarativeRule | None, list[Fault]]:
        path = self._path(draft.task, draft.file)
        spec, faults = read_task(path.parent / "task.yaml")
        partials, found = read_partials(path.parent)
        models = self._project.settings.models
        rule, of_rule = read_rule_text(draft.text, path, spec, models, partials)
        task = None if spec is None else Task(spec, (), ())
        if isinstance(rule, PromptRule) and task is not None:
            (rule,) = Task(task.spec, (rule,), ()).with_secret(self._secret).prompts
        return task, rule, [*faults, *found, *of_rule]

    def _trial(
        self, workspace: Workspace, task: Task, rule: PromptRule | DeclarativeRule, count: int
    ) -> Trial:
        beside = Beside(task, gold_shown(workspace, task))
        traces = some_traces(workspace, list(beside.gold), count)
        tried = try_rule(workspace, task, rule, traces)
        others = votes_of_others(workspace, task, rule.name, traces)
        rows = [beside.row(one, others) for one in tried.votes]
        return Trial(
            rows=rows,
            traces={trace.trace_id: _shown(trace) for trace in traces},
            examples=tried.examples,
            labels=task.labels,
            confusion={} if task.spec.kind == "several" else _confusion(rows),
            by_label=beside.tallies(tried.votes),
            agreeing=sum(row.right is True for row in rows),
            judged=sum(row.right is not None for row in rows),
            spending=_spending(rule, tried.sent, workspace.store.count_traces()),
            stopped=tried.sent.stopped,
            message=tried.sent.message,
        )


def _spending(rule: PromptRule | DeclarativeRule, sent: Sent, traces: int) -> Spending:
    calls = traces * len(rule.models) * rule.asks if isinstance(rule, PromptRule) else 0
    known = sent.calls or not sent.cached
    usd = sent.usd / max(sent.calls, 1) * calls if known else None
    return Spending(sent.calls, sent.cached, sent.usd, traces, calls, usd)


def _confusion(rows: Sequence[PreviewRow]) -> dict[str, dict[str, int]]:
    counted: dict[str, Counter[str]] = {}
    for row in rows:
        if row.gold is not None:
            counted.setdefault(row.gold, Counter())[row.vote or row.status] += 1
    return {label: dict(counts) for label, counts in counted.items()}


def _shown(trace: Trace) -> str:
    text = redacted(trace.transcript)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _version(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _write_whole(path: Path, text: str) -> None:
    """Nothing; the file holds the text, or what it held before."""
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
            Path(file.name).chmod(mode)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
