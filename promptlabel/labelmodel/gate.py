"""Which estimator to ship: cross-validated log loss on gold, with the benefit of the doubt to the safer one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from promptlabel.labelmodel.base import Estimator, Labelled
from promptlabel.labelmodel.calibration import row_losses
from promptlabel.labelmodel.cross_fitting import Balance, held_out_proba
from promptlabel.labelmodel.patterns import FloatArray, Patterns

Candidates = Mapping[str, Callable[[], Estimator]]


@dataclass(frozen=True)
class Choice:
    """The name of the candidate taken, why, and every candidate's probabilities [g, K] on gold it had not seen."""

    name: str
    reason: str
    held_out: Mapping[str, FloatArray]


def compare(
    candidates: Candidates, patterns: Patterns, gold: Labelled, balance: Balance
) -> dict[str, FloatArray]:
    """Each candidate's probabilities on labelled rows that its fit had not seen, those drawn at random only.

    Rows that were labelled because they looked hard help to fit, but would judge unfairly.
    """
    drawn = slice(None) if gold.random is None else gold.random
    return {name: held_out_proba(make, patterns, gold, balance)[drawn] for name, make in candidates.items()}


def choose(held_out: Mapping[str, FloatArray], gold: Labelled) -> Choice:
    """The first candidate, in the given order, whose loss is within one standard error of the least.

    `held_out` runs from the safest to the boldest; the standard error is of the paired difference.
    """
    losses = {name: row_losses(probabilities, gold.labels) for name, probabilities in held_out.items()}
    least = min(losses, key=lambda name: losses[name].mean())
    name = next(name for name in losses if _within_one_error(losses[name], losses[least]))
    return Choice(name, _reason(name, least), held_out)


def _within_one_error(losses: FloatArray, least: FloatArray) -> bool:
    difference = losses - least
    return bool(difference.mean() <= difference.std(ddof=1) / np.sqrt(len(difference)))


def _reason(name: str, least: str) -> str:
    if name == least:
        return f"{name} has the least cross-validated log loss on gold"
    return f"{name} is safer and within one standard error of {least}, which has the least log loss on gold"
