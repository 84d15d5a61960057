"""Votes read anew over all answers a rule has so far: of small models to the class balance, of pairs in both orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from promptlabel.label_sets import NONE
from promptlabel.pipeline.voting.pairing import paired
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Answer, RegisteredRule, Vote
from promptlabel.rules.loading import Task
from promptlabel.rules.prompt import PromptRule
from promptlabel.settings import ModelSettings
from promptlabel.votes.calibration import calibrate_batch
from promptlabel.votes.parsing import read_vote

_FLOOR = 1e-12


def calibrate_votes(workspace: Workspace, task: Task) -> None:
    """Nothing; votes of pairwise rules, and of those whose model is calibrated over the batch, are read anew."""
    models = workspace.project.settings.models
    for prompt in task.prompts:
        for rule in task.registered(models):
            if rule.rule == prompt.name and is_read_together(prompt, models[rule.model]):
                _calibrate_rule(workspace, task, prompt, rule)


def is_read_together(prompt: PromptRule, model: ModelSettings) -> bool:
    """Whether what an answer means depends on the other answers of the rule and model."""
    return prompt.is_pairwise or model.calibration == "batch"


def _calibrate_rule(workspace: Workspace, task: Task, prompt: PromptRule, rule: RegisteredRule) -> None:
    votes = [
        vote for owner, vote in workspace.store.votes(task.name, rule=rule.rule) if owner.model == rule.model
    ]
    anew = calibrated(prompt, task, votes)
    workspace.store.replace_votes([new for old, new in zip(votes, anew, strict=True) if new != old])


def calibrated(prompt: PromptRule, task: Task, votes: Sequence[Vote]) -> list[Vote]:
    """The votes in their order: pairs as their two orders say together, others calibrated over one another."""
    if prompt.is_pairwise:
        return paired(prompt, votes)
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
    if task.spec.kind == "several":
        return _set_balance(meanings, task)
    balance = task.spec.class_balance or dict.fromkeys(labels, 1.0)
    shares = np.array([balance[label] / labels.count(label) if label else 0.0 for label in meanings])
    abstaining = np.array([label is None for label in meanings])
    shares = shares / shares.sum() * (1 - abstaining.mean())
    return np.where(abstaining, 1 / len(meanings), shares)


def _set_balance(meanings: Sequence[str | None], task: Task) -> npt.NDArray[np.float64]:
    """Of an answer yes and an answer no to one label, the label's share and the rest; else equal shares."""
    share = (task.spec.class_balance or {}).get(next((said for said in meanings if said), ""))
    sets = [said for said in meanings if said is not None]
    if share is None or set(sets) != {sets[0], NONE} or len(meanings) != 2:
        return np.full(len(meanings), 1 / len(meanings))
    return np.array([share if said != NONE else 1 - share for said in meanings])


def _log_probs(votes: Sequence[Vote], prompt: PromptRule) -> npt.NDArray[np.float64]:
    rows = [[vote.raw.distribution[answer] for answer in prompt.answers] for vote in votes]  # type: ignore[union-attr,index]
    return np.log(np.maximum(rows, _FLOOR))


def _reread(vote: Vote, prompt: PromptRule, row: npt.NDArray[np.float64]) -> Vote:
    said = read_vote(prompt, Answer("", distribution=dict(zip(prompt.answers, row.tolist(), strict=True))))
    return replace(
        vote, status=said.status, label=said.label, confidence=said.confidence, distribution=said.distribution
    )
