"""Brings the votes of small models to the task's class balance, over all answers a rule has so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Answer, RegisteredRule, Vote
from promptlabel.rules.loading import Task
from promptlabel.rules.prompt import PromptRule
from promptlabel.votes.calibration import calibrate_batch
from promptlabel.votes.parsing import read_vote

_FLOOR = 1e-12


def calibrate_votes(workspace: Workspace, task: Task) -> None:
    """Nothing; votes of rules whose model is calibrated over the batch are read anew from their raw answers."""
    models = workspace.project.settings.models
    for prompt in task.prompts:
        for rule in task.registered(models):
            if rule.rule == prompt.name and models[rule.model].calibration == "batch":
                _calibrate_rule(workspace, task, prompt, rule)


def _calibrate_rule(workspace: Workspace, task: Task, prompt: PromptRule, rule: RegisteredRule) -> None:
    votes = [
        vote for owner, vote in workspace.store.votes(task.name, rule=rule.rule) if owner.model == rule.model
    ]
    anew = calibrated(prompt, task, votes)
    workspace.store.replace_votes([new for old, new in zip(votes, anew, strict=True) if new != old])


def calibrated(prompt: PromptRule, task: Task, votes: Sequence[Vote]) -> list[Vote]:
    """The votes in their order, those with a distribution read anew after calibration over all of them."""
    soft = [vote for vote in votes if vote.raw is not None and vote.raw.distribution is not None]
    if not soft:
        return list(votes)
    rows = calibrate_batch(_log_probs(soft, prompt), answer_balance(prompt, task))
    anew = {vote.key: _reread(vote, prompt, row) for vote, row in zip(soft, rows, strict=True)}
    return [anew.get(vote.key, vote) for vote in votes]


def answer_balance(prompt: PromptRule, task: Task) -> npt.NDArray[np.float64]:
    """The share ``[K]`` each answer should have: its label's, split among its answers; uniform where none is given.

    An answer that abstains gets an equal share of all answers.
    """
    meanings = list(prompt.answers.values())
    labels = [label for label in meanings if label is not None]
    balance = task.spec.class_balance or dict.fromkeys(labels, 1.0)
    shares = np.array([balance[label] / labels.count(label) if label else 0.0 for label in meanings])
    abstaining = np.array([label is None for label in meanings])
    shares = shares / shares.sum() * (1 - abstaining.mean())
    return np.where(abstaining, 1 / len(meanings), shares)


def _log_probs(votes: Sequence[Vote], prompt: PromptRule) -> npt.NDArray[np.float64]:
    rows = [[vote.raw.distribution[answer] for answer in prompt.answers] for vote in votes]  # type: ignore[union-attr,index]
    return np.log(np.maximum(rows, _FLOOR))


def _reread(vote: Vote, prompt: PromptRule, row: npt.NDArray[np.float64]) -> Vote:
    said = read_vote(prompt, Answer("", distribution=dict(zip(prompt.answers, row.tolist(), strict=True))))
    return replace(
        vote, status=said.status, label=said.label, confidence=said.confidence, distribution=said.distribution
    )
