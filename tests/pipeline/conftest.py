"""A project with code rules on invented traces whose true labels are known, voted on in a real store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from llm.standin_vllm import vllm, weights  # noqa: F401 - fixtures

from promptlabel.labelmodel.fitting import Method
from promptlabel.pipeline.fitting.fit import fit
from promptlabel.pipeline.reviewing.queue import QueueReport, build_queue
from promptlabel.pipeline.voting.progress import Progress
from promptlabel.pipeline.voting.vote import vote
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.records import Gold, Trace
from promptlabel.rules.loading import Task
from promptlabel.store.contract import ReviewEvent

START = datetime(2026, 6, 1, tzinfo=UTC)
DECIDED = datetime(2026, 10, 1, tzinfo=UTC)

CONFIGURATION = "routing: {share: 0.3, audit: 0.5}\n"
TASK_FILE = """\
task: tone
labels: {good: "Pleasant.", bad: "Rude."}
guidelines: Judge the tone.
"""
HEURISTICS = """\
from promptlabel import heuristic

@heuristic
def thanks(trace):
    return "good" if "thanks" in trace.input else None

@heuristic
def shouts(trace):
    return "bad" if "!!" in trace.input else None

@heuristic
def swears(trace):
    return "bad" if "damn" in trace.input else "good"
"""


@dataclass(frozen=True)
class Tone:
    """The opened project, its task, and the truth."""

    workspace: Workspace
    truth: dict[str, str]

    @property
    def task(self) -> Task:
        return self.workspace.tasks[0]

    @property
    def root(self) -> Path:
        return self.workspace.project.root

    def fit_and_queue(self, method: Method = "auto") -> QueueReport:
        fit(self.workspace, self.task, method=method)
        return build_queue(self.workspace, self.task)

    def review(self, trace_id: str, lane: str, probability: float, *, blind: bool = True) -> None:
        event = ReviewEvent(
            f"e-{trace_id}",
            trace_id,
            "tone",
            "ann",
            "label",
            DECIDED,
            self.truth[trace_id],
            blind,
            2.0,
            lane,
            probability,
        )
        assert self.workspace.store.add_review(event)

    def review_all(self, queue: QueueReport, lane: str | None = None) -> int:
        items = [item for item in queue.items if lane in (None, item.lane)]
        for item in items:
            self.review(item.trace_id, item.lane, item.probability)
        return len(items)

    def bring_gold(self, names: list[str], at: datetime = DECIDED) -> None:
        self.workspace.store.add_gold([Gold(name, "tone", self.truth[name], "bob", at) for name in names])


@pytest.fixture(scope="session")
def voted_project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A closed project of 400 traces, voted on by three rules of unequal worth, and their true labels."""
    root = tmp_path_factory.mktemp("tone")
    truth = _write_project(root)
    with open_workspace(root) as workspace:
        workspace.store.add_traces(_traces(truth))
        vote(workspace, rules=(), limit=None, progress=Progress())
    return root, truth


@pytest.fixture
def tone(voted_project: tuple[Path, dict[str, str]], tmp_path: Path) -> Iterator[Tone]:
    """A copy of the voted project, opened."""
    template, truth = voted_project
    root = tmp_path / "project"
    shutil.copytree(template, root)
    with open_workspace(root) as workspace:
        yield Tone(workspace, dict(truth))


def _write_project(root: Path) -> dict[str, str]:
    folder = root / "rules" / "tone"
    folder.mkdir(parents=True)
    (root / "promptlabel.yaml").write_text(CONFIGURATION)
    (folder / "task.yaml").write_text(TASK_FILE)
    (folder / "heuristics.py").write_text(HEURISTICS)
    bad = np.random.default_rng(1).random(400) < 0.4
    return {f"t{i:03}": "bad" if is_bad else "good" for i, is_bad in enumerate(bad)}


def _traces(truth: dict[str, str]) -> Iterator[Trace]:
    rng = np.random.default_rng(2)
    for i, (name, label) in enumerate(truth.items()):
        words = [f"word{word}" for word in rng.integers(0, 1000, 6)]
        for word, of_good, of_bad in (("thanks", 0.5, 0.1), ("!!", 0.1, 0.5), ("damn", 0.15, 0.6)):
            if rng.random() < (of_good if label == "good" else of_bad):
                words.append(word)
        category = ("chat", "code")[i % 2]
        yield Trace(
            name, START + timedelta(hours=6 * i), input=" ".join(words), output="ok", category=category
        )
