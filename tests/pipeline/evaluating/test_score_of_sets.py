"""`score`, `gate` and `certify` where several labels may apply, on a real store and frozen sets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, hamming_loss, jaccard_score
from topics_project import gold

from promptlabel.errors import InputError, PromptlabelError
from promptlabel.label_sets import set_members
from promptlabel.pipeline.evaluating.certify import certify
from promptlabel.pipeline.evaluating.freeze import freeze
from promptlabel.pipeline.evaluating.gate import Floor, gate
from promptlabel.pipeline.evaluating.score import score
from promptlabel.pipeline.exporting.export import export
from promptlabel.pipeline.fitting.fit import fit
from promptlabel.pipeline.workspace import Workspace
from promptlabel.rules.loading import Task
from promptlabel.terminal import eval_views
from promptlabel.terminal.printing import screen

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LABELS = ("refund", "shipping", "bug")


@dataclass(frozen=True)
class Topics:
    """The project with a fit and a version of eighty cases, and what is true of them."""

    workspace: Workspace
    truth: dict[str, str]

    @property
    def task(self) -> Task:
        return self.workspace.tasks[0]

    @property
    def gold(self) -> np.ndarray:
        return matrix(self.truth.values())

    def file(self, rows: list[dict], name: str = "candidate.jsonl") -> str:
        path = self.workspace.project.root / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    def guesses(self, right: float, seed: int = 0) -> dict[str, list[str]]:
        """Sets in which each label is said rightly with this probability."""
        rng = np.random.default_rng(seed)
        said = np.where(rng.random(self.gold.shape) < right, self.gold, 1 - self.gold)
        return {
            name: [label for label, is_said in zip(LABELS, row, strict=True) if is_said]
            for name, row in zip(self.truth, said, strict=True)
        }

    def guessing(self, right: float, name: str, seed: int = 0) -> str:
        rows = [{"trace_id": key, "label": labels} for key, labels in self.guesses(right, seed).items()]
        return self.file(rows, name)


def matrix(sets: object) -> np.ndarray:
    return np.array([[label in set_members(one) for label in LABELS] for one in sets], dtype=int)


@pytest.fixture
def frozen(topics) -> Topics:
    workspace, truth = topics
    known = dict(list(truth.items())[:80])
    # Every tenth case was decided otherwise than the rules see it.
    known |= {name: "bug" for place, name in enumerate(known) if place % 10 == 0}
    gold(workspace, "topics", known)
    fit(workspace, workspace.tasks[0])
    freeze(workspace, workspace.tasks[0], now=NOW)
    return Topics(workspace, known)


def test_all_that_need_no_call_are_scored_as_sets_and_label_by_label(frozen: Topics) -> None:
    found = score(frozen.workspace, frozen.task)
    rules = {"words", "asks_refund", "all_of_them", "long"}
    assert {one.name for one in found.labelers} == {"posterior", "majority", *rules}
    accuracies = [one.score.accuracy.estimate for one in found.labelers]
    assert accuracies == sorted(accuracies, reverse=True)
    by_name = {one.name: one for one in found.labelers}
    whole = by_name["all_of_them"]
    assert whole.score.accuracy.estimate == pytest.approx(np.mean([place % 10 != 0 for place in range(80)]))
    assert whole.recall["bug"].estimate < 1 == whole.recall["refund"].estimate
    one_label = by_name["asks_refund"]
    assert [name for name, label in one_label.sets.labels.items() if label.coverage] == ["refund"]
    assert one_label.recall["shipping"].estimate == 0
    assert by_name["posterior"].score.log_loss is not None
    assert {one.second for one in found.differences} == {found.baseline}


def test_figures_are_scikit_learns(frozen: Topics) -> None:
    path = frozen.guessing(0.8, "candidate.jsonl")
    (one,) = score(frozen.workspace, frozen.task, [path]).labelers
    said = matrix(", ".join(labels) or "none" for labels in frozen.guesses(0.8).values())
    assert one.score.accuracy.estimate == pytest.approx(accuracy_score(frozen.gold, said))
    assert one.sets.label_accuracy.estimate == pytest.approx(1 - hamming_loss(frozen.gold, said))
    assert one.sets.micro_f1.estimate == pytest.approx(f1_score(frozen.gold, said, average="micro"))
    assert one.sets.jaccard.estimate == pytest.approx(
        jaccard_score(frozen.gold, said, average="samples", zero_division=1)
    )


def test_files_are_read_however_they_write_sets(frozen: Topics) -> None:
    ways = [
        lambda labels: {"label": labels},
        lambda labels: {"label": ", ".join(reversed(labels)) or "none"},
        lambda labels: {"output": json.dumps(labels)},
        lambda labels: {"output": json.dumps({"answer": labels})},
        lambda labels: {"probs": {label: 0.9 if label in labels else 0.2 for label in LABELS}},
    ]
    guesses = frozen.guesses(0.9)
    paths = [
        frozen.file([{"trace_id": name, **way(said)} for name, said in guesses.items()], f"{place}.jsonl")
        for place, way in enumerate(ways)
    ]
    found = score(frozen.workspace, frozen.task, paths).labelers
    assert len({one.score.accuracy for one in found}) == 1
    assert [one.score.log_loss is None for one in found] == [True] * 4 + [False]


def test_a_file_about_some_labels_is_silent_about_the_others(frozen: Topics) -> None:
    path = frozen.file([{"trace_id": name, "probs": {"bug": 0.9}} for name in frozen.truth])
    (one,) = score(frozen.workspace, frozen.task, [path]).labelers
    assert one.score.coverage == pytest.approx(1 / 3)
    assert one.recall["bug"].estimate == 1
    assert one.sets.labels["refund"].precision is None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"label": ["bugs"]}, "did you mean 'bug'"),
        ({"label": "refund, nothing"}, "'nothing' is not a label"),
        ({"probs": {"bug": 1.5}}, "from 0 to 1"),
        ({"probs": [0.1, 0.9]}, "probability of each label"),
    ],
)
def test_a_faulty_row_is_told(frozen: Topics, row: dict, words: str) -> None:
    path = frozen.file([{"trace_id": "t000", **row}])
    with pytest.raises(InputError, match=words):
        score(frozen.workspace, frozen.task, [path])


def test_what_an_export_holds_is_read_back_as_predictions(frozen: Topics) -> None:
    for kind in ("jsonl", "csv", "phoenix"):
        path = export(frozen.workspace, kind).path
        (one,) = score(frozen.workspace, frozen.task, [path]).labelers
        assert (one.score.accuracy.estimate, one.score.coverage) == (1.0, 1.0)


def test_a_configured_model_is_asked_for_sets(frozen: Topics) -> None:
    script = frozen.workspace.project.root / "script.yaml"
    script.write_text("- {match: 'with none', text: '{\"answer\": [\"bug\"]}'}\n" + script.read_text())
    (one,) = score(frozen.workspace, frozen.task, ["model:default"]).labelers
    assert one.recall["bug"].estimate == 1
    assert one.recall["refund"].estimate == 0


def test_two_labelers_are_compared_on_the_same_cases(frozen: Topics) -> None:
    better, worse = frozen.guessing(0.97, "better.jsonl"), frozen.guessing(0.7, "worse.jsonl", seed=1)
    found = score(frozen.workspace, frozen.task, [better, worse])
    (lead,) = found.differences
    assert (lead.first, lead.second) == ("worse.jsonl", "better.jsonl")
    for one in (lead.difference, lead.sets.jaccard, lead.sets.label_accuracy, lead.sets.macro_f1):
        assert one.low <= one.estimate <= one.high < 0


def test_the_gate_holds_sets_and_labels_above_floors(frozen: Topics) -> None:
    path = frozen.guessing(0.9, "candidate.jsonl")

    def passes(*floors: str) -> bool:
        return gate(frozen.workspace, frozen.task, path, [Floor.parse(one) for one in floors]).passed

    assert passes("0.6", "labels=0.8", "jaccard=0.6", "f1:shipping=0.7", "recall:bug=0.6", "micro-f1=0.75")
    assert not passes("0.95")
    assert not passes("labels=0.97")
    assert not passes("f1:refund=0.99")
    better = frozen.guessing(1.0, "better.jsonl")
    assert not gate(frozen.workspace, frozen.task, path, [], against=better).passed
    assert gate(frozen.workspace, frozen.task, better, [], against=path).passed
    with pytest.raises(InputError, match="known: accuracy"):
        gate(frozen.workspace, frozen.task, path, [Floor.parse("f1:refunds=0.5")])


def test_certify_compares_sets_by_their_likeness(frozen: Topics) -> None:
    for seed, reviewer in enumerate(("ben", "cas", "dan")):
        labels = {name: ", ".join(said) or "none" for name, said in frozen.guesses(0.92, seed).items()}
        gold(frozen.workspace, "topics", labels, reviewer)
    good, poor = frozen.guessing(0.97, "good.jsonl", 9), frozen.guessing(0.5, "poor.jsonl", 9)
    found = certify(frozen.workspace, frozen.task, (good, poor, "asks_refund"))
    assert found.items == 80
    assert {name: one.passed for name, one in found.verdicts.items()} == {
        "good.jsonl": True,
        "poor.jsonl": False,
        "asks_refund": False,
    }
    silent = found.verdicts["asks_refund"].assumptions
    assert any("says nothing of 160 labels" in sentence for sentence in silent)


def test_a_version_with_other_labels_is_refused(frozen: Topics, tmp_path: Path) -> None:
    spec = frozen.task.spec.model_copy(update={"labels": {"refund": "", "bug": ""}})
    task = Task(spec, (), ())
    with pytest.raises(InputError, match=r"labels the task lacks: .*shipping"):
        score(frozen.workspace, task, ["majority"])


def test_without_a_fit_the_posterior_says_what_to_do(topics) -> None:
    workspace, truth = topics
    gold(workspace, "topics", dict(list(truth.items())[:40]))
    freeze(workspace, workspace.tasks[0], now=NOW)
    with pytest.raises(PromptlabelError, match="promptlabel fit"):
        score(workspace, workspace.tasks[0], ["posterior"])


def test_the_terminal_shows_sets_and_labels(frozen: Topics) -> None:
    with screen.capture() as printed:
        eval_views.score(score(frozen.workspace, frozen.task))
    shown = printed.get()
    assert "sets right" in shown
    assert "Jaccard" in shown
    assert shown.count("asks_refund") == 2  # among the labelers, and for the one label it speaks of
