"""Unbiased accuracy, class balance, precision and recall, with intervals, from traces drawn with known probability.

The posterior helps without being believed: it is the control variate of a difference estimator. Drawn with one
probability this is PPI++ (Angelopoulos, Duchi & Zrnic 2023) with a cross-fitted coefficient, drawn with several it is
active inference (Zrnic & Candes 2024). Intervals are Wilson's on the size of a plain random sample that would have
had the estimated variance, which keeps their skew near 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.intervals import Z95, Estimate, mover, wilson

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

NONE: Final = "none"
WILSON: Final = "wilson"
WEIGHTED: Final = "weighted wilson"
PPI: Final = "ppi++"
ACTIVE: Final = "active inference"

FEWEST_PER_CLASS: Final = 10
"""Below this many cases a class's or category's rate is not given."""
FEWEST_FOR_CONTROL: Final = 50
"""Below this many decisions the posterior is not used: its coefficient could not be told from noise."""
FEWEST_OF_A_KIND: Final = 10
"""With fewer hits, or fewer misses, than this a variance cannot be estimated, and the classical interval is given."""
CERTAIN: Final = 0.99
"""From this inclusion probability on a trace counts as seen for certain, and adds no sampling error."""
FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Rate(Estimate):
    """A share with its interval, how it was found, and the number of decisions that it rests on."""

    method: str = NONE
    n: int = 0


@dataclass(frozen=True)
class Sample:
    """Decided traces that were drawn with known probability from all traces.

    Attributes:
        gold: int ``[n]``, the label people gave.
        rows: int ``[n]``, the row of each in `probs`.
        probability: float ``[n]`` above zero, with which each was drawn; 1 for what was known before the draw.
        probs: float ``[N, K]``, the posterior of all traces, for those decided one that had not seen their label.
    """

    gold: Indices
    rows: Indices
    probability: Floats
    probs: Floats

    @cached_property
    def predicted(self) -> Indices:
        """Int ``[N]``, the label under audit of every trace."""
        return np.asarray(self.probs.argmax(axis=1), dtype=np.intp)

    @cached_property
    def right(self) -> Bools:
        """Bool ``[n]``, whether the label under audit is the one people gave."""
        return np.asarray(self.predicted[self.rows] == self.gold)

    @cached_property
    def is_even(self) -> bool:
        """Whether all were drawn with one probability."""
        return bool(np.ptp(self.probability) < 1e-9)


@dataclass(frozen=True, slots=True)
class Audit:
    """What the sample says of all traces; figures are None where nothing was sampled that could say it.

    Attributes:
        method: ``wilson``, ``ppi++``, ``weighted wilson`` or ``active inference``; ``none`` without a sample.
        n: decisions it rests on.
        posterior: the mean posterior of the labels, which is no estimate of accuracy; kept to be shown beside.
        posterior_balance: likewise the mean posterior of each label.
        categories: accuracy in each category.
    """

    accuracy: Estimate | None
    method: str
    n: int
    balance: Mapping[str, Estimate] = field(default_factory=dict)
    precision: Mapping[str, Estimate | None] = field(default_factory=dict)
    recall: Mapping[str, Estimate | None] = field(default_factory=dict)
    categories: Mapping[str, Estimate | None] = field(default_factory=dict)
    posterior: float | None = None
    posterior_balance: Mapping[str, float] = field(default_factory=dict)


NOT_AUDITED: Final = Audit(None, NONE, 0)


def audit_sample(sample: Sample, labels: Sequence[str], categories: Sequence[str] = ()) -> Audit:
    """Accuracy, class balance, precision and recall of the label under audit, among all traces and by category.

    Args:
        sample: the decisions.
        labels: the task's labels, ``[K]``.
        categories: the category of every trace, ``[N]``; none to leave categories out.
    """
    if len(sample.gold) == 0:
        return NOT_AUDITED
    everywhere = np.ones(len(sample.probs), dtype=bool)
    confidence = sample.probs.max(axis=1)
    accuracy = share(sample, sample.right, confidence, everywhere)
    each = list(enumerate(labels))
    return Audit(
        accuracy=accuracy,
        method=accuracy.method,
        n=len(sample.gold),
        balance={name: share(sample, sample.gold == k, sample.probs[:, k], everywhere) for k, name in each},
        precision={name: _rate(sample, sample.right, confidence, sample.predicted == k) for k, name in each},
        recall={name: _recall(sample, k) for k, name in each},
        categories={
            name: _rate(sample, sample.right, confidence, np.array([one == name for one in categories]))
            for name in sorted(set(categories))
        },
        posterior=float(confidence.mean()),
        posterior_balance=dict(zip(labels, sample.probs.mean(axis=0).tolist(), strict=True)),
    )


def expected_variance(doubt: Floats, probability: Floats) -> float:
    """The variance that a draw with these probabilities would give accuracy, were the posterior calibrated.

    It looks at no decision, so that a choice made by it leaves the intervals valid.

    Args:
        doubt: p (1 - p) of every trace's label under audit, ``[N]``.
        probability: with which each would be drawn, ``[N]``.
    """
    return float((doubt * (1 - probability) / probability).sum() / len(doubt) ** 2)


def share(sample: Sample, hits: Bools, control: Floats, domain: Bools) -> Rate:
    """The share of the traces of a domain for which `hits` holds, with its 95 % interval.

    Args:
        sample: the decisions, at least one in the domain.
        hits: of each decided trace, ``[n]``.
        control: what the posterior expects of every trace, ``[N]``.
        domain: which of all traces it is about, ``[N]``.
    """
    inside = domain[sample.rows]
    hits, probability = hits[inside], sample.probability[inside]
    if len(hits) < FEWEST_FOR_CONTROL or _are_few(hits[probability < CERTAIN]):
        return _classical(hits, probability, int(domain.sum()))
    expected = control[sample.rows[inside]]
    slopes = _slopes(hits, expected) if sample.is_even else np.ones(len(hits))
    estimate, residual = _difference(hits, expected, slopes, probability, control[domain])
    variance = _variance(residual, probability, int(domain.sum()))
    return _interval(estimate, variance, PPI if sample.is_even else ACTIVE, len(hits))


def weighted_share(hits: Bools, weights: Floats) -> Estimate:
    """The weighted share of `hits` (Hajek 1971), with Wilson's interval on the size (sum w)^2 / sum w^2 (Kish)."""
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    return wilson(float(np.average(hits, weights=weights)) * effective, effective)


def _rate(sample: Sample, hits: Bools, control: Floats, domain: Bools) -> Rate | None:
    if domain[sample.rows].sum() < FEWEST_PER_CLASS:
        return None
    return share(sample, hits, control, domain)


def _recall(sample: Sample, label: int) -> Rate | None:
    """Of the traces of a label, the share that also has it under audit: a ratio of two estimated totals."""
    of_label = sample.gold == label
    found, missed = int((of_label & sample.right).sum()), int((of_label & ~sample.right).sum())
    if found + missed < FEWEST_PER_CLASS:
        return None
    if len(of_label) < FEWEST_FOR_CONTROL or _are_few(
        sample.right[of_label & (sample.probability < CERTAIN)]
    ):
        return _classical(sample.right[of_label], sample.probability[of_label], None)
    control = sample.probs[:, label]
    upper, upper_residual = _total(sample, of_label & sample.right, control * (sample.predicted == label))
    lower, lower_residual = _total(sample, of_label, control)
    ratio = min(max(upper / lower, 0.0), 1.0)
    residual = (upper_residual - ratio * lower_residual) / lower
    variance = _variance(residual, sample.probability, len(sample.probs))
    return _interval(ratio, variance, PPI if sample.is_even else ACTIVE, found + missed)


def _are_few(hits: Bools) -> bool:
    return bool(min(hits.sum(), (~hits).sum()) < FEWEST_OF_A_KIND)


def _total(sample: Sample, hits: Bools, control: Floats) -> tuple[float, Floats]:
    """The share of hits among all traces, above zero, and the residuals around it."""
    estimate, residual = _difference(
        hits, control[sample.rows], np.ones(len(hits)), sample.probability, control
    )
    return max(estimate, 1 / len(control)), residual


def _difference(
    hits: Bools, expected: Floats, slopes: Floats, probability: Floats, control: Floats
) -> tuple[float, Floats]:
    """The difference estimate of a share, and its residuals, zero for what was drawn for certain.

    What was drawn for certain is counted; of the rest the posterior's mean is corrected by the Hajek mean of the
    residuals.
    """
    certain = probability >= CERTAIN
    rest = len(control) - int(certain.sum())
    unseen = (float(control.sum()) - float(expected[certain].sum())) / max(rest, 1)
    residual = hits - slopes * expected
    weights = np.where(certain, 0.0, 1 / probability)
    offset = float(weights @ residual) / max(float(weights.sum()), 1e-300)
    share_of_rest = float(slopes[~certain].mean()) * unseen + offset if rest and not certain.all() else 0.0
    estimate = (float(hits[certain].sum()) + rest * share_of_rest) / len(control)
    return estimate, np.where(certain, 0.0, residual - offset)


def _classical(hits: Bools, probability: Floats, population: int | None) -> Rate:
    """Wilson's interval on the decisions alone, narrowed where they are much of a population of known size.

    What was drawn for certain is one stratum and adds no uncertainty, the rest is a second one with its Hajek mean
    and Kish's effective size; MOVER combines the two.
    """
    method = WILSON if np.ptp(probability) < 1e-9 else WEIGHTED
    if population is None:
        found = weighted_share(hits, 1 / probability)
    else:
        certain = probability >= CERTAIN
        rest = population - int(certain.sum())
        seen = [
            (rows, size) for rows, size in ((certain, int(certain.sum())), (~certain, rest)) if rows.any()
        ]
        found = mover(
            [weighted_share(hits[rows], 1 / probability[rows]) for rows, _ in seen],
            [size for _, size in seen],
            [float(rows.sum()) / size for rows, size in seen],
        )
    return Rate(found.estimate, found.low, found.high, method, len(hits))


def _slopes(hits: Bools, expected: Floats) -> Floats:
    """For each decision the coefficient of the posterior that the other folds would choose, 0 to 1."""
    slopes = np.empty(len(hits))
    fold = np.arange(len(hits)) % FOLDS
    for held in range(FOLDS):
        others = fold != held
        spread = float(expected[others].var())
        covariance = float(np.cov(hits[others], expected[others], bias=True)[0, 1])
        slopes[fold == held] = min(max(covariance / spread, 0.0), 1.0) if spread > 1e-9 else 0.0
    return slopes


def _variance(residual: Floats, probability: Floats, population: int) -> float:
    """Of a difference estimator under independent draws; what was drawn for certain adds nothing.

    Where draws were uneven the estimate rests on few terms; it is widened as Student's t would be for as many
    degrees of freedom as there are terms of equal size (Satterthwaite 1946).
    """
    n = len(residual)
    terms = (1 - probability) * (residual / probability) ** 2 / population**2
    variance = float(terms.sum()) * n / max(n - 1, 1)
    even = np.ptp(probability[probability < CERTAIN]) < 1e-9 if (probability < CERTAIN).any() else True
    if even or variance <= 0:
        return variance
    freedom = float(terms.sum() ** 2 / (terms**2).sum())
    return variance * (1 + (Z95**2 + 1) / (4 * freedom)) ** 2


def _interval(estimate: float, variance: float, method: str, n: int) -> Rate:
    clipped = min(max(estimate, 0.0), 1.0)
    if variance <= 0:
        return Rate(clipped, clipped, clipped, method, n)
    smooth = (clipped * n + Z95**2 / 2) / (n + Z95**2)
    size = smooth * (1 - smooth) / variance
    found = wilson(clipped * size, size)
    return Rate(found.estimate, found.low, found.high, method, n)
