"""Votes of pairwise rules: the answers to both orders of a pair joined into one vote, and what the order did to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import RegisteredRule, Vote
from promptlabel.rules.loading import Task
from promptlabel.rules.prompt import PromptRule, is_swapped
from promptlabel.votes.parsing import read_pair, read_vote, side_log_odds
from promptlabel.votes.positions import BothOrders, PositionBias, position_bias


def paired(prompt: PromptRule, votes: Sequence[Vote]) -> list[Vote]:
    """The votes in their order, both of a pair the same: what the two answers amount to together.

    A vote whose other order has no answer yet abstains until it has.
    """
    anew: dict[str, Vote] = {}
    for as_logged, swapped in _pairs(votes):
        both = [vote for vote in (as_logged, swapped) if vote is not None and vote.raw is not None]
        if len(both) == 1 and both[0].status in ("vote", "abstain"):
            anew[both[0].key] = replace(
                both[0], status="abstain", label=None, confidence=None, distribution=None
            )
        elif len(both) == 2:
            anew |= {vote.key: vote for vote in _joined(prompt, *both)}
    return [anew.get(vote.key, vote) for vote in votes]


def _joined(prompt: PromptRule, as_logged: Vote, swapped: Vote) -> list[Vote]:
    if as_logged.raw is None or swapped.raw is None or "malformed" in (as_logged.status, swapped.status):
        return []
    said = read_pair(prompt, as_logged.raw, swapped.raw)
    return [
        replace(
            vote,
            status=said.status,
            label=said.label,
            confidence=said.confidence,
            distribution=said.distribution,
        )
        for vote in (as_logged, swapped)
    ]


def measured_bias(workspace: Workspace, task: Task) -> dict[RegisteredRule, PositionBias]:
    """Of each rule and model of a pairwise task that has answered in both orders, what the order does to it."""
    prompts = {prompt.name: prompt for prompt in task.prompts if prompt.is_pairwise}
    votes: dict[RegisteredRule, list[Vote]] = {}
    for rule, vote in workspace.store.votes(task.name) if prompts else ():
        if rule.rule in prompts:
            votes.setdefault(rule, []).append(vote)
    found = {rule: position_bias(list(_both_orders(prompts[rule.rule], own))) for rule, own in votes.items()}
    return {rule: bias for rule, bias in found.items() if bias.pairs}


def _both_orders(prompt: PromptRule, votes: Sequence[Vote]) -> Iterator[BothOrders]:
    for as_logged, swapped in _pairs(votes):
        if as_logged is None or swapped is None or as_logged.raw is None or swapped.raw is None:
            continue
        if "malformed" in (as_logged.status, swapped.status):
            continue
        odds = side_log_odds(prompt, as_logged.raw), side_log_odds(prompt, swapped.raw)
        yield BothOrders(
            _place(prompt, as_logged),
            _place(prompt, swapped),
            None if odds[0] is None or odds[1] is None else (odds[0], odds[1]),
        )


def _place(prompt: PromptRule, vote: Vote) -> int | None:
    """Which of the outputs it was shown the answer chose."""
    assert vote.raw is not None  # noqa: S101  (the caller has seen to it)
    label = read_vote(prompt, vote.raw).label
    sides = prompt.labels[:2]
    return sides.index(label) if label in sides else None


def _pairs(votes: Sequence[Vote]) -> Iterator[tuple[Vote | None, Vote | None]]:
    """The two orders of each trace and sample, None for one that is missing."""
    found: dict[tuple[str, int], dict[bool, Vote]] = {}
    for vote in votes:
        found.setdefault((vote.trace_id, vote.sample // 2), {})[is_swapped(vote.sample)] = vote
    for orders in found.values():
        yield orders.get(False), orders.get(True)
