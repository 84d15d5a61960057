"""What the rules of a task are worth, alone and together."""

from __future__ import annotations

import pytest

from promptlabel.pipeline.authoring.analyze import analyze


def test_without_gold_nothing_is_said_of_worth(tone) -> None:
    found = analyze(tone.workspace, tone.task)
    assert [row.rule for row in found.rules] == ["shouts", "swears", "thanks"]
    assert {row.advice for row in found.rules} == {"unknown"}
    assert {row.usd_per_useful_vote for row in found.rules} == {None}


def test_with_gold_each_rule_has_a_worth_and_code_costs_nothing(tone) -> None:
    tone.bring_gold(list(tone.truth)[:80])
    found = {row.rule: row for row in analyze(tone.workspace, tone.task).rules}
    swears = found["swears"]
    assert swears.accuracy_low < swears.accuracy < swears.accuracy_high
    assert swears.advice in {"keep", "fix", "drop"}
    assert swears.usd_per_useful_vote == 0.0
    assert isinstance(swears.adds, float)


def test_rules_in_code_are_one_family_of_no_more_than_their_number(tone) -> None:
    found = analyze(tone.workspace, tone.task)
    assert found.n_eff_source == "none"
    assert found.n_eff_by_family == pytest.approx({"code": 3.0})
    assert found.redundant == ()
