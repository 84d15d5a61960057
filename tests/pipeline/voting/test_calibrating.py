"""Votes of small models are brought to the class balance."""

from __future__ import annotations

import numpy as np
import pytest

from promptlabel.pipeline.voting.calibrating import answer_balance, calibrated
from promptlabel.records import Answer, Vote
from promptlabel.rules.loading import Task
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import RuleSpec, TaskSpec


def prompt_and_task(answers: dict, balance: dict | None = None) -> tuple[PromptRule, Task]:
    spec = TaskSpec(task="tone", labels={"kind": "", "rude": ""}, class_balance=balance)
    prompt = PromptRule("asks", RuleSpec(prompt="Kind?", answers=answers), spec)
    return prompt, Task(spec, (prompt,), ())


@pytest.mark.parametrize(
    ("answers", "balance", "expected"),
    [
        ({"yes": "kind", "no": "rude"}, None, [0.5, 0.5]),
        ({"yes": "kind", "no": "rude"}, {"kind": 0.9, "rude": 0.1}, [0.9, 0.1]),
        ({"very": "kind", "somewhat": "kind", "no": "rude"}, {"kind": 0.8, "rude": 0.2}, [0.4, 0.4, 0.2]),
        ({"yes": "kind", "no": "rude", "unsure": "abstain"}, None, [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_each_answer_has_its_labels_share(answers, balance, expected):
    prompt, task = prompt_and_task(answers, balance)
    np.testing.assert_allclose(answer_balance(prompt, task), expected)


def vote(number: int, yes: float | None) -> Vote:
    raw = Answer("yes", distribution={"yes": yes, "no": 1 - yes}) if yes is not None else None
    return Vote(f"{number:032x}", f"t{number}", "tone", "a" * 32, "b" * 32, "vote", "kind", raw=raw)


def test_a_model_that_always_leans_one_way_is_set_upright():
    prompt, task = prompt_and_task({"yes": "kind", "no": "rude"})
    votes = [vote(number, 0.7 + 0.25 * (number % 2)) for number in range(200)]
    labels = [one.label for one in calibrated(prompt, task, votes)]
    assert labels == ["rude", "kind"] * 100


def test_votes_without_a_distribution_stay_as_they_are():
    prompt, task = prompt_and_task({"yes": "kind", "no": "rude"})
    hard = [vote(number, None) for number in range(3)]
    assert calibrated(prompt, task, hard) == hard
