"""Exact probabilities of whole answers from a model's probabilities of next tokens."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from promptlabel.records import Answer, Usage

Tokens: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NextToken:
    """Log-probability of each wanted token as the next one, and what it took to learn it."""

    logprobs: Mapping[int, float]
    usage: Usage


ReadNext: TypeAlias = Callable[[Tokens, Sequence[int]], Awaitable[NextToken]]
"""From the tokens of an answer so far, and the tokens that may follow, to their log-probabilities."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Log-probability of each whole answer, and what it took to learn them."""

    logprobs: Mapping[str, float]
    usage: Usage

    def answer(self, usd: float = 0.0) -> Answer:
        """The likeliest answer with the distribution over all and the probability outside them."""
        probabilities = distribution(self.logprobs)
        likeliest = max(probabilities, key=probabilities.__getitem__)
        return Answer(likeliest, probabilities, outside(self.logprobs), self.usage, usd)


async def score(paths: Mapping[str, Tokens], read_next: ReadNext) -> Scores:
    """The score of each answer: the chain rule along its tokens, every branching read once.

    Answers may have any number of tokens and share their first ones. They are not normalised by length: what
    an answer loses by its length it loses in every trace, and calibration over the batch takes that out.
    """
    logprobs = dict.fromkeys(paths, 0.0)
    usages = []
    for begun, following in branchings(paths.values()).items():
        read = await read_next(begun, following)
        usages.append(read.usage)
        for answer, path in paths.items():
            if begins(path, begun):
                logprobs[answer] += read.logprobs[path[len(begun)]]
    return Scores(logprobs, total(usages))


def branchings(paths: Iterable[Tokens]) -> dict[Tokens, Tokens]:
    """For each beginning of a path the tokens that may follow; in an order that suits a prefix cache."""
    following: dict[Tokens, set[int]] = {}
    for path in paths:
        for position, token in enumerate(path):
            following.setdefault(path[:position], set()).add(token)
    return {begun: tuple(sorted(following[begun])) for begun in sorted(following)}


def prefix_free(paths: Mapping[str, Tokens], end: Tokens) -> dict[str, Tokens]:
    """The paths, those with which another one begins closed by `end`, so that no answer contains another."""
    return {
        answer: path + end if any(begins(other, path) for other in paths.values()) else path
        for answer, path in paths.items()
    }


def begins(path: Tokens, beginning: Tokens) -> bool:
    """Whether the path begins so and goes on."""
    return len(path) > len(beginning) and path[: len(beginning)] == beginning


def distribution(logprobs: Mapping[str, float]) -> dict[str, float]:
    """Probability of each answer, renormalised over them; equal where all are impossible."""
    highest = max(logprobs.values())
    if highest == -math.inf:
        return dict.fromkeys(logprobs, 1 / len(logprobs))
    weights = {answer: math.exp(logprob - highest) for answer, logprob in logprobs.items()}
    whole = math.fsum(weights.values())
    return {answer: weight / whole for answer, weight in weights.items()}


def outside(logprobs: Mapping[str, float]) -> float:
    """The probability that the model says none of the answers, in [0, 1]."""
    return min(1.0, max(0.0, 1.0 - math.fsum(map(math.exp, logprobs.values()))))


def total(usages: Sequence[Usage]) -> Usage:
    """The sum of the usages."""
    return Usage(
        sum(usage.input_tokens for usage in usages),
        sum(usage.output_tokens for usage in usages),
        sum(usage.cached_tokens for usage in usages),
    )
