"""The bench: what it reads, refuses, tries and saves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from promptlabel.errors import InputError
from promptlabel.pipeline.authoring.workbench import Bench, ChangedOnDiskError, Draft
from promptlabel.pipeline.workspace import open_project
from promptlabel.settings import load_project

TASK = "answer_quality"


@pytest.fixture
def bench(project: Path) -> Iterator[Bench]:
    with open_project(project) as workspace:
        yield Bench(workspace.project, lambda: nullcontext(workspace))


@pytest.fixture
def folder(project: Path) -> Path:
    return project / "rules" / TASK


def test_it_lists_the_files_that_can_be_edited(bench):
    assert bench.tasks == {TASK: ["asks_again.yaml", "solved.jinja"]}


def test_faults_of_a_draft_are_where_they_are(bench):
    (fault,) = bench.check(Draft(TASK, "new.yaml", "prompt: |\n  Is {{ trace.inptu }} good?\n"))
    assert (fault.line, fault.column, fault.key) == (2, 15, "prompt")
    assert "did you mean 'input'" in fault.message


@pytest.mark.parametrize("file", ["new.yaml", "new.jinja"])
def test_the_beginning_of_a_new_rule_has_no_faults(bench, file):
    begun = bench.read(TASK, file)
    assert begun.version is None
    assert bench.check(Draft(TASK, file, begun.text)) == []


def test_a_draft_is_tried_without_being_saved(bench, folder):
    trial = bench.try_out(
        Draft(TASK, "new.yaml", "sql: {bad: 'true'}\nexamples: [{input: x, vote: bad}]\n"), 20
    )
    assert not (folder / "new.yaml").exists()
    assert len(trial.rows) == len(trial.traces) == 12
    assert trial.confusion == {"good": {"bad": 3}, "bad": {"bad": 3}}
    assert (trial.agreeing, trial.judged) == (3, 6)
    assert [example.passed for example in trial.examples] == [True]
    assert trial.spending.all_calls == 0


def test_a_prompt_is_asked_once_and_its_cost_is_told(bench):
    text = bench.read(TASK, "asks_again.yaml").text.replace("satisfied or", "content or")
    first, again = (bench.try_out(Draft(TASK, "asks_again.yaml", text), 6).spending for _ in range(2))
    assert (first.calls, again.calls, again.cached) == (10, 0, 10)
    assert (first.all_calls, first.all_usd, again.all_usd) == (12, 0.0, None)


def test_a_faulty_draft_is_not_tried(bench):
    with pytest.raises(InputError, match="did you mean 'samples'"):
        bench.try_out(Draft(TASK, "new.yaml", "prompt: x\nsample: 2\n"), 5)


def test_a_save_is_whole_and_starts_the_next_version(bench, folder):
    before = bench.read(TASK, "asks_again.yaml")
    saved = bench.save(Draft(TASK, "asks_again.yaml", "# mine\n" + before.text), before.version)
    assert (folder / "asks_again.yaml").read_text() == "# mine\n" + before.text
    assert bench.read(TASK, "asks_again.yaml") == saved
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_what_somebody_else_changed_is_not_overwritten(bench, folder):
    before = bench.read(TASK, "asks_again.yaml")
    (folder / "asks_again.yaml").write_text("theirs")
    with pytest.raises(ChangedOnDiskError, match="changed on disk"):
        bench.save(Draft(TASK, "asks_again.yaml", "mine"), before.version)
    assert (folder / "asks_again.yaml").read_text() == "theirs"


def test_a_new_rule_never_replaces_one_that_came_meanwhile(bench, folder):
    begun = bench.read(TASK, "new.yaml")
    (folder / "new.yaml").write_text("theirs")
    with pytest.raises(ChangedOnDiskError):
        bench.save(Draft(TASK, "new.yaml", "mine"), begun.version)


@pytest.mark.parametrize(
    ("task", "file"),
    [
        (TASK, "../../promptlabel.yaml"),
        (TASK, "/etc/passwd"),
        (TASK, "task.yaml"),
        (TASK, "heuristics.py"),
        (TASK, "_macros.jinja"),
        (TASK, ".hidden.yaml"),
        (TASK, "a/b.yaml"),
        (TASK, ""),
        ("..", "promptlabel.yaml"),
        ("nothing", "a.yaml"),
    ],
)
def test_only_rule_files_of_tasks_can_be_reached(bench, task, file):
    with pytest.raises(InputError):
        bench.read(task, file)
    with pytest.raises(InputError):
        bench.save(Draft(task, file, "x"), None)


def test_the_store_is_open_only_while_a_draft_is_tried(project):
    opened = []

    @contextmanager
    def opening():
        with open_project(project) as workspace:
            opened.append(True)
            yield workspace
            opened.append(False)

    alone = Bench(load_project(project), opening)
    alone.read(TASK, "asks_again.yaml")
    alone.check(Draft(TASK, "new.yaml", "sql: {good: 'true'}\n"))
    assert opened == []
    assert alone.try_out(Draft(TASK, "new.yaml", "sql: {good: 'true'}\n"), 3).rows
    assert opened == [True, False]
    with open_project(project) as other:
        assert other.store.count_traces() > 0
