"""`simulate` on a project: what people decided is the truth, else the label model, else it says how many are missing."""

from __future__ import annotations

import pytest
from topics_project import gold

from promptlabel.cli import commands
from promptlabel.errors import InputError
from promptlabel.flywheel.cycles import GUARDED, REPLACE
from promptlabel.pipeline.exporting.simulate import FEWEST_AT_START, START, simulate_cycles, simulate_task
from promptlabel.pipeline.fitting.fit import fit


def test_what_people_decided_is_the_truth(tone) -> None:
    tone.bring_gold(list(tone.truth))
    made = simulate_cycles(tone.workspace, tone.task, human=0.05, runs=2)
    assert (made.truth, made.traces, made.start, made.runs) == ("gold", 400, START, 2)
    change = {arm.arm: arm.change.estimate for arm in made.arms}
    assert change[GUARDED] > change[REPLACE]


def test_with_less_gold_it_begins_with_less(tone) -> None:
    tone.bring_gold(list(tone.truth)[:150])
    assert FEWEST_AT_START < simulate_cycles(tone.workspace, tone.task, human=0.05, runs=2).start < START


def test_without_gold_the_posterior_stands_in(tone) -> None:
    fit(tone.workspace, tone.task, method="em")
    made = simulate_cycles(tone.workspace, tone.task, human=0.05, cycles=3, runs=2)
    assert (made.truth, made.traces) == ("posterior", 400)


def test_with_nothing_known_it_says_what_would_do(tone) -> None:
    with pytest.raises(InputError, match="0 traces are decided, 115 would do"):
        simulate_cycles(tone.workspace, tone.task, human=0.05)


def test_where_several_labels_may_apply_each_has_a_model_of_its_own(topics) -> None:
    workspace, truth = topics
    task = workspace.tasks[0]
    gold(workspace, "topics", {name: ", ".join(reversed(label.split(", "))) for name, label in truth.items()})
    made = simulate_task(workspace, task, human=0.05, cycles=3, runs=2)
    assert [(one.label, one.truth, one.traces) for one in made] == [
        (label, "gold", 120) for label in ("refund", "shipping", "bug")
    ]
    assert all(arm.accuracy[0] > 0.9 for one in made for arm in one.arms)


def test_without_gold_the_likeliest_sets_stand_in(topics) -> None:
    workspace, _ = topics
    fit(workspace, workspace.tasks[0], method="em")
    made = simulate_cycles(workspace, workspace.tasks[0], human=0.05, cycles=2, runs=2, label="bug")
    assert (made.truth, made.traces, made.label) == ("posterior", 120, "bug")


def test_the_terminal_shows_every_arm(tone, capsys: pytest.CaptureFixture[str]) -> None:
    fit(tone.workspace, tone.task, method="em")
    tone.workspace.store.close()
    commands.main(
        ["simulate", "--project", str(tone.root), "--runs", "2", "--cycles", "2"], standalone_mode=False
    )
    shown = capsys.readouterr().out
    assert "the label model's likeliest labels stand for the truth" in shown
    for arm in ("replace", "accumulate", "accumulate + human", "guard + human"):
        assert f"\n{arm} " in shown
