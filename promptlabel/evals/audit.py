"""Unbiased accuracy and class balance, with intervals, from traces that were drawn with known probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.intervals import Estimate, mover, wilson

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

NONE: Final = "none"
WILSON: Final = "wilson"
HAJEK: Final = "hajek"
CERTAIN: Final = 0.99
"""From this inclusion probability on a trace counts as seen for certain, and adds no sampling error."""
FEWEST_PER_CLASS: Final = 10
"""Below this many cases a class's precision or recall is not given."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Decided traces that were drawn with known probability.

    Attributes:
        gold: int ``[n]``, the label people gave.
        predicted: int ``[n]``, the label under audit.
        probability: float ``[n]`` above zero, with which each was drawn.
        population: number of all traces, each of which could have been drawn.
    """

    gold: Indices
    predicted: Indices
    probability: Floats
    population: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What the sample says of all traces; figures are None where nothing was sampled that could say it.

    Attributes:
        method: ``wilson`` for equal probabilities, ``hajek`` for unequal ones, ``none`` without a sample.
    """

    accuracy: Estimate | None
    method: str
    n: int
    balance: Mapping[str, Estimate] = field(default_factory=dict)
    precision: Mapping[str, Estimate | None] = field(default_factory=dict)
    recall: Mapping[str, Estimate | None] = field(default_factory=dict)


NOT_AUDITED: Final = Audit(None, NONE, 0)


def audit_sample(sample: Sample, labels: Sequence[str]) -> Audit:
    """Accuracy, class balance, precision and recall of the predicted labels among all traces."""
    if len(sample.gold) == 0:
        return NOT_AUDITED
    right = sample.gold == sample.predicted
    return Audit(
        accuracy=population_share(right, sample),
        method=WILSON if np.ptp(sample.probability) < 1e-9 else HAJEK,
        n=len(right),
        balance={label: population_share(sample.gold == k, sample) for k, label in enumerate(labels)},
        precision={
            label: _share_within(right, sample.predicted == k, sample) for k, label in enumerate(labels)
        },
        recall={label: _share_within(right, sample.gold == k, sample) for k, label in enumerate(labels)},
    )


def population_share(hits: Bools, sample: Sample) -> Estimate:
    """The share of all traces for which `hits` holds, with its 95 % interval.

    Traces drawn for certain are one stratum and add no uncertainty; the others are a second one, with
    its Hajek mean and a Wilson interval on Kish's effective size. MOVER combines the two. With
    equal probabilities this is Wilson's interval with the finite population correction.
    """
    certain = sample.probability >= CERTAIN
    rest = sample.population - int(certain.sum())
    strata = [(certain, int(certain.sum())), (~certain, rest)]
    seen = [(rows, size) for rows, size in strata if rows.any()]
    return mover(
        [weighted_share(hits[rows], 1 / sample.probability[rows]) for rows, _ in seen],
        [size for _, size in seen],
        [float(rows.sum()) / size for rows, size in seen],
    )


def weighted_share(hits: Bools, weights: Floats) -> Estimate:
    """The weighted share of `hits` (Hajek 1971), with Wilson's interval on the size (sum w)^2 / sum w^2 (Kish)."""
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    return wilson(float(np.average(hits, weights=weights)) * effective, effective)


def _share_within(hits: Bools, group: Bools, sample: Sample) -> Estimate | None:
    if group.sum() < FEWEST_PER_CLASS:
        return None
    return weighted_share(hits[group], 1 / sample.probability[group])
