"""Which estimator to ship: cross-validated log loss on gold, with the benefit of the doubt to the simpler one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptlabel.labelmodel.base import Estimator, Labelled
from promptlabel.labelmodel.calibration import row_losses
from promptlabel.labelmodel.patterns import FloatArray, Patterns

FOLDS = 5

Balance = Callable[[Labelled], FloatArray]
Candidates = Mapping[str, Callable[[], Estimator]]


@dataclass(frozen=True)
class Choice:
    """The name of the candidate taken, and every candidate's probabilities [g, K] on gold it had not seen."""

    name: str
    reason: str
    held_out: Mapping[str, FloatArray]


def choose(candidates: Candidates, patterns: Patterns, gold: Labelled, balance: Balance) -> Choice:
    """The first candidate, in the given order, whose loss is within one standard error of the least.

    `candidates` runs from the simplest to the most elaborate; the standard error is of the paired difference.
    """
    held_out = {name: held_out_proba(make, patterns, gold, balance) for name, make in candidates.items()}
    losses = {name: row_losses(probabilities, gold.labels) for name, probabilities in held_out.items()}
    least = min(losses, key=lambda name: losses[name].mean())
    name = next(name for name in candidates if _within_one_error(losses[name], losses[least]))
    return Choice(name, _reason(name, least), held_out)


def held_out_proba(
    make: Callable[[], Estimator], patterns: Patterns, gold: Labelled, balance: Balance
) -> FloatArray:
    """Float array [g, K]: for each labelled row the probabilities of a fit that did not see its label."""
    probabilities = np.empty((len(gold), patterns.n_classes))
    for held, kept in folds(gold):
        seen = gold.take(kept)
        fitted = make().fit(patterns, seen, balance(seen))
        probabilities[held] = fitted.predict_proba(gold.take(held).patterns)
    return probabilities


def folds(gold: Labelled) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of held-out and kept rows; classes are spread evenly over the folds."""
    fold = np.empty(len(gold), np.int64)
    fold[np.argsort(gold.labels, kind="stable")] = np.arange(len(gold)) % FOLDS
    return [(np.flatnonzero(fold == f), np.flatnonzero(fold != f)) for f in range(min(FOLDS, len(gold)))]


def _within_one_error(losses: FloatArray, least: FloatArray) -> bool:
    difference = losses - least
    return bool(difference.mean() <= difference.std(ddof=1) / np.sqrt(len(difference)))


def _reason(name: str, least: str) -> str:
    if name == least:
        return f"{name} has the least cross-validated log loss on gold"
    return f"{name} is simpler and within one standard error of {least}, which has the least log loss on gold"
