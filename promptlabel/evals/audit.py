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
STRATIFIED: Final = "stratified-wilson"
HAJEK: Final = "hajek"
FEWEST_PER_CLASS: Final = 10
"""Below this many cases a class's precision or recall is not given."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Decided traces that were drawn with known probability, by lane.

    Attributes:
        gold: int ``[n]``, the label people gave.
        predicted: int ``[n]``, the label under audit.
        lanes: the lane that drew each, ``[n]``.
        probability: float ``[n]``, with which its lane drew it.
        populations: lane -> number of traces it drew from; the lanes together are all traces, each in one.
    """

    gold: Indices
    predicted: Indices
    lanes: tuple[str, ...]
    probability: Floats
    populations: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Audit:
    """What the sample says of all traces; figures are None where nothing was sampled that could say it.

    Attributes:
        method: ``wilson`` for one lane of equal probabilities, ``stratified-wilson`` for several such lanes,
            ``hajek`` where probabilities differ within a lane, ``none`` without a sample.
    """

    accuracy: Estimate | None
    method: str
    n: int
    balance: Mapping[str, Estimate] = field(default_factory=dict)
    precision: Mapping[str, Estimate | None] = field(default_factory=dict)
    recall: Mapping[str, Estimate | None] = field(default_factory=dict)


def audit_sample(sample: Sample, labels: Sequence[str]) -> Audit:
    """Accuracy, class balance, precision and recall of the predicted labels among all traces."""
    if len(sample.gold) == 0:
        return Audit(None, NONE, 0)
    right = sample.gold == sample.predicted
    return Audit(
        accuracy=population_share(right, sample),
        method=_method(sample),
        n=len(right),
        balance={label: population_share(sample.gold == k, sample) for k, label in enumerate(labels)},
        precision={label: _share_within(right, sample.predicted == k, sample) for k, label in enumerate(labels)},
        recall={label: _share_within(right, sample.gold == k, sample) for k, label in enumerate(labels)},
    )


def population_share(hits: Bools, sample: Sample) -> Estimate:
    """The share of all traces for which `hits` holds, with its 95 % interval.

    Lanes are strata: each gives a Hajek mean with a Wilson interval on Kish's effective size
    (sum w)^2 / sum w^2, and MOVER combines them by the sizes of their populations. A lane that was
    looked at whole adds no uncertainty. With one lane of equal probabilities this is Wilson's interval, with the finite
    population correction.
    """
    strata = [_Stratum.of(hits, sample, lane) for lane in dict.fromkeys(sample.lanes)]
    return mover(
        [stratum.share for stratum in strata],
        [stratum.population for stratum in strata],
        [stratum.seen for stratum in strata],
    )


@dataclass(frozen=True, slots=True)
class _Stratum:
    share: Estimate
    population: float
    seen: float

    @classmethod
    def of(cls, hits: Bools, sample: Sample, lane: str) -> _Stratum:
        rows = np.array([name == lane for name in sample.lanes])
        population = sample.populations[lane]
        share = weighted_share(hits[rows], 1 / sample.probability[rows])
        return cls(share, population, float(rows.sum()) / population)


def weighted_share(hits: Bools, weights: Floats) -> Estimate:
    """The weighted share of `hits` (Hajek 1971), with Wilson's interval on Kish's effective size."""
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    return wilson(float(np.average(hits, weights=weights)) * effective, effective)


def _share_within(hits: Bools, group: Bools, sample: Sample) -> Estimate | None:
    if group.sum() < FEWEST_PER_CLASS:
        return None
    return weighted_share(hits[group], 1 / sample.probability[group])


def _method(sample: Sample) -> str:
    by_lane = {lane: set[float]() for lane in sample.lanes}
    for lane, probability in zip(sample.lanes, sample.probability.tolist(), strict=True):
        by_lane[lane].add(round(probability, 12))
    if any(len(probabilities) > 1 for probabilities in by_lane.values()):
        return HAJEK
    return WILSON if len(by_lane) == 1 else STRATIFIED
