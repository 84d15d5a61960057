"""Exact probabilities of whole answers from a model's probabilities of next tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from promptlabel.records import Answer, Usage

Tokens: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model says of the next token at each branching, and what it took to learn it.

    Attributes:
        logprobs: tokens of an answer so far -> token that may follow -> its log-probability, not renormalised.
    """

    logprobs: Mapping[Tokens, Mapping[int, float]]
    usage: Usage


def answer(paths: Mapping[str, Tokens], reading: Reading, usd: float = 0.0) -> Answer:
    """The likeliest answer, with the distribution over all of them and the probability outside them."""
    logprobs = score(paths, reading.logprobs)
    probabilities = distribution(logprobs)
    likeliest = max(probabilities, key=probabilities.__getitem__)
    return Answer(likeliest, probabilities, outside(logprobs), reading.usage, usd)


def score(paths: Mapping[str, Tokens], read: Mapping[Tokens, Mapping[int, float]]) -> dict[str, float]:
    """Log-probability of each whole answer: the chain rule along its tokens.

    Answers may have any number of tokens and share their first ones. They are not normalised by length: what
    an answer loses by its length it loses in every trace, which calibration over the batch takes out, while
    means a token ranked worse (150 YouTube comments, "spam" or "not spam": AUC .87 against .92).
    """
    return {
        name: math.fsum(read[path[:position]][token] for position, token in enumerate(path))
        for name, path in paths.items()
    }


def branchings(paths: Iterable[Tokens]) -> dict[Tokens, Tokens]:
    """For each beginning of a path the tokens that may follow it, beginnings before what continues them."""
    following: dict[Tokens, set[int]] = {}
    for path in paths:
        for position, token in enumerate(path):
            following.setdefault(path[:position], set()).add(token)
    return {begun: tuple(sorted(following[begun])) for begun in sorted(following)}


def prefix_free(paths: Mapping[str, Tokens], end: Tokens) -> dict[str, Tokens]:
    """The paths, those with which another one begins closed by `end`, so that no answer contains another."""
    return {
        name: path + end if any(_continues(other, path) for other in paths.values()) else path
        for name, path in paths.items()
    }


def distribution(logprobs: Mapping[str, float]) -> dict[str, float]:
    """Probability of each answer, renormalised over them; equal where all are impossible."""
    highest = max(logprobs.values())
    if highest == -math.inf:
        return dict.fromkeys(logprobs, 1 / len(logprobs))
    weights = {name: math.exp(logprob - highest) for name, logprob in logprobs.items()}
    whole = math.fsum(weights.values())
    return {name: weight / whole for name, weight in weights.items()}


def outside(logprobs: Mapping[str, float]) -> float:
    """The probability that the model says none of the answers, in [0, 1]."""
    return min(1.0, max(0.0, 1.0 - math.fsum(map(math.exp, logprobs.values()))))


def _continues(path: Tokens, beginning: Tokens) -> bool:
    return len(path) > len(beginning) and path[: len(beginning)] == beginning
