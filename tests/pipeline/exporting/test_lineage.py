"""`export --for`: a planted set of recycled labels is refused, all of it and nothing else, over several cycles."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from promptlabel.errors import InputError, StoppedError
from promptlabel.pipeline.exporting.export import ExportReport, TrainingWish, export
from promptlabel.pipeline.exporting.lineage import known_exports
from promptlabel.pipeline.fitting.fit import fit
from promptlabel.pipeline.voting.casting import vote_key
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.records import Gold, Trace, Vote
from promptlabel.training.guard import LED, NO_VOTE, RECYCLED

THEN = datetime(2026, 10, 1, tzinfo=UTC)
MODELS = """\
training: {human_share: 0}
models:
  student: {provider: scripted, model: replies/smollm2-360m.yaml, %s}
  cousin: {provider: scripted, model: replies/SmolLM2-1.7B.yaml}
  teacher: {provider: scripted, model: replies/qwen.yaml, %s}
  judge: {provider: scripted, model: replies/gpt-5.yaml}
"""
VOTERS = {"student", "cousin", "teacher", "judge"}


@dataclass
class Planted:
    """A project in which it is known who voted on which trace, and what must come of it."""

    root: Path
    said: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def configure(self, student: str = "timeout: 9", teacher: str = "timeout: 9") -> None:
        (self.root / "promptlabel.yaml").write_text(MODELS % (student, teacher))

    def write(self) -> None:
        folder = self.root / "rules" / "tone"
        folder.mkdir(parents=True)
        (folder / "task.yaml").write_text("task: tone\nlabels: [good, bad]\n")
        for model in VOTERS:
            (folder / f"of_{model}.yaml").write_text(
                f"model: {model}\nprompt: 'Good or bad? {{{{ text }}}}'\n"
            )
        self.configure()
        with self.open() as workspace:
            self._bring(workspace)

    def open(self) -> Any:
        return open_workspace(self.root)

    def export(self, *students: str, out: str = "training.jsonl") -> ExportReport:
        with self.open() as workspace:
            return export(workspace, "training", self.root / "exports" / out, wish=TrainingWish(students))

    def _bring(self, workspace: Workspace) -> None:
        groups = {
            "own": ("student",), "kin": ("cousin",), "taught": ("teacher",), "clean": ("judge",),
            "mixed": ("student", "judge"), "led": ("student",), "led_clean": ("judge",),
            "blind": ("student",), "silent": (),
        }  # fmt: skip
        self.said = {f"{group}{i}": who for group, who in groups.items() for i in range(6)}
        workspace.store.add_traces(Trace(name, THEN, input=f"text {name}") for name in self.said)
        task = workspace.tasks[0]
        rules = task.registered(workspace.project.settings.models)
        workspace.store.register_rules("tone", rules)
        for trace in list(workspace.store.traces()):
            for rule in rules:
                if rule.model in self.said[trace.trace_id]:
                    label = "good" if int(trace.trace_id[-1]) % 2 else "bad"
                    key = vote_key(rule, trace, 0)
                    cast = Vote(
                        key, trace.trace_id, "tone", rule.rule_hash, rule.model_hash, "vote", label, 1.0
                    )
                    workspace.store.add_votes([cast])
        workspace.store.add_gold(
            Gold(name, "tone", "good", "ann", THEN, blind=name.startswith("blind"))
            for name in self.said if name.startswith(("led", "blind"))
        )  # fmt: skip
        fit(workspace, task, method="majority")


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    made = Planted(tmp_path)
    made.write()
    return made


def groups(names: Any) -> set[str]:
    return {name.rstrip("0123456789") for name in names}


def refused(report: ExportReport, reason: str) -> set[str]:
    found = [one.trace_id for one in report.refused if one.reason == reason]
    assert len(found) == 6 * len(groups(found))
    return groups(found)


def rows(report: ExportReport) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in Path(report.path).read_bytes().splitlines()]


def test_without_a_student_nothing_is_recycled(planted: Planted) -> None:
    report = planted.export()
    assert groups(one.trace_id for one in report.refused) == {"silent"}


def test_labels_of_the_student_and_its_family_are_refused_and_nothing_else(planted: Planted) -> None:
    report = planted.export("student")
    assert refused(report, RECYCLED) == {"own", "kin"}
    assert refused(report, LED) == {"led"}
    assert refused(report, NO_VOTE) == {"silent"}
    assert groups(row["trace_id"] for row in rows(report)) == {
        "taught",
        "clean",
        "mixed",
        "led_clean",
        "blind",
    }


def test_a_label_that_others_gave_too_rests_on_theirs(planted: Planted) -> None:
    kept = {row["trace_id"]: row for row in rows(planted.export("student"))}
    assert kept["mixed1"]["provenance"] == ["rule:of_judge/judge"]
    assert kept["blind1"]["provenance"] == ["reviewer:ann"]


def test_a_teacher_that_learnt_from_the_student_is_found_a_cycle_later(planted: Planted) -> None:
    first = planted.export(out="first.jsonl")
    planted.configure(teacher="trained_on: exports/first.jsonl")
    report = planted.export("student", out="second.jsonl")
    assert refused(report, RECYCLED) == {"own", "kin", "taught"}
    taught = next(one for one in report.refused if one.trace_id == "taught0")
    assert first.training is not None
    assert taught.chain[:2] == ("vote of teacher", f"trained on {first.training.name}")
    assert report.training is not None
    assert set(report.training.set_aside) == {"of_student/student", "of_cousin/cousin", "of_teacher/teacher"}


def test_a_teacher_trained_under_the_guard_may_teach_again(planted: Planted) -> None:
    first = planted.export("student", out="first.jsonl")
    assert first.training is not None
    planted.configure(student=f"trained_on: {first.training.name}")
    assert refused(planted.export(out="second.jsonl"), RECYCLED) == {"own", "kin"}


def test_what_was_refused_is_listed_beside_the_export_with_its_chain(planted: Planted) -> None:
    report = planted.export("student")
    assert report.refused_path is not None
    listed = [orjson.loads(line) for line in Path(report.refused_path).read_bytes().splitlines()]
    assert len(listed) == len(report.refused)
    own = next(one for one in listed if one["trace_id"] == "own0")
    assert own["chain"] == ["vote of student", "the model being trained"]


def test_a_chain_is_known_in_another_project_by_the_file_beside_the_export(
    planted: Planted, tmp_path: Path
) -> None:
    planted.export(out="first.jsonl")
    other = Planted(tmp_path / "other")
    other.write()
    other.configure(teacher="trained_on: ../exports/first.jsonl")
    assert "taught" in refused(other.export("student"), RECYCLED)


def test_too_small_a_share_of_human_labels_stops_the_export(planted: Planted) -> None:
    text = (planted.root / "promptlabel.yaml").read_text()
    (planted.root / "promptlabel.yaml").write_text(text.replace("human_share: 0", "human_share: 0.5"))
    with pytest.raises(StoppedError, match=r"6 of 30 rows for student.* 9 more reviews"):
        planted.export("student")
    assert not list(planted.root.glob("exports/*"))
    with planted.open() as workspace:
        assert known_exports(workspace) == ()


@pytest.mark.parametrize(
    ("teacher", "students", "message"),
    [
        (
            "trained_on: exports/frist.jsonl",
            (),
            "models.teacher.trained_on: no training export 'exports/frist.jsonl'",
        ),
        ("timeout: 9", ("studnet",), "did you mean 'student'"),
    ],
)
def test_what_nothing_is_known_of_is_an_error(
    planted: Planted, teacher: str, students: tuple[str, ...], message: str
) -> None:
    planted.configure(teacher=teacher)
    with pytest.raises(InputError, match=message):
        planted.export(*students)


def test_a_damaged_file_beside_an_export_is_named(planted: Planted) -> None:
    (planted.root / "exports").mkdir()
    (planted.root / "exports" / "x.jsonl.provenance.json").write_text("{}")
    planted.configure(teacher="trained_on: exports/x.jsonl")
    with pytest.raises(InputError, match=r"x\.jsonl\.provenance\.json"):
        planted.export()
