"""How many independent votes rules amount to, and which repeat one another: rules that err together count for less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Integers: TypeAlias = npt.NDArray[np.integer]
Floats: TypeAlias = npt.NDArray[np.float64]
EffectiveSource: TypeAlias = Literal["gold", "agreement", "none"]

LEAST_SHARED: Final = 30
"""Traces two rules must both have voted on before anything is said of the pair."""

REDUNDANT: Final = 0.5
_MOST_ROWS: Final = 50_000
_LEAST_AFFINITY: Final = 0.05
_MOST_AFFINITY: Final = 0.99
_LEAST_PARTNERS: Final = 3
_STEPS: Final = 60


@dataclass(frozen=True)
class Dependence:
    """Correlations of the rules' errors.

    Attributes:
        source: where they were read from. ``gold``: errors seen on gold; the estimate is unbiased. ``agreement``:
            agreement beyond what the rules' accuracies explain; what all rules get wrong together looks like accuracy,
            so the number of votes is an upper bound, though copies among the rules do show. ``none``: neither can be
            had, and the number of votes is the number of rules.
        correlation: float array [m, m], symmetric, NaN where a pair could not be measured.
    """

    source: EffectiveSource
    correlation: Floats

    @cached_property
    def mean_correlation(self) -> float:
        """The mean over measured pairs, from 0 to 1; zero without any."""
        return self._mean(np.arange(len(self.correlation)))

    def effective_votes(self, rules: Sequence[int] | None = None) -> float:
        """How many independent votes these rules (default: all m) are worth, from 1 to their number.

        ``m / (1 + (m - 1) * r)`` with r their mean error correlation (Kish 1965, design effect).
        """
        chosen = np.arange(len(self.correlation)) if rules is None else np.asarray(rules, dtype=np.int64)
        return float(len(chosen) / (1 + max(len(chosen) - 1, 0) * self._mean(chosen)))

    def by_family(self, families: Mapping[str, Sequence[int]]) -> dict[str, float]:
        """The effective votes of each family of rules, such as all prompts of one model."""
        return {family: self.effective_votes(rules) for family, rules in families.items()}

    def redundant_pairs(self, threshold: float = REDUNDANT) -> list[tuple[int, int, float]]:
        """The redundancy graph: (rule, rule, error correlation) of pairs at or above `threshold`, worst first."""
        first, second = np.nonzero(np.triu(np.nan_to_num(self.correlation), 1) >= threshold)
        pairs = zip(first.tolist(), second.tolist(), strict=True)
        return sorted(((i, j, float(self.correlation[i, j])) for i, j in pairs), key=lambda edge: -edge[2])

    def _mean(self, chosen: Integers) -> float:
        part = self.correlation[np.ix_(chosen, chosen)][np.triu_indices(len(chosen), 1)]
        measured = part[np.isfinite(part)]
        return float(np.clip(measured.mean(), 0.0, 1.0)) if len(measured) else 0.0


def dependence(votes: Integers, gold: Integers, n_classes: int, counts: Floats | None = None) -> Dependence:
    """The dependence of m rules, from gold where it measures half of the pairs that vote together, else from agreement.

    Rules that only ever vote for one label take no part: any two of a kind err at the same traces. Agreement takes
    four rules that vote together.

    Args:
        votes: ``[n, m]``, -1 where the rule abstained.
        gold: ``[n]``, -1 where unknown.
        n_classes: number of labels.
        counts: ``[n]`` how many traces each row stands for; by default one. Gold counts one a row.
    """
    choosing = np.flatnonzero(_votes_for_several(votes))
    rows, weights = _spread_rows(votes, np.ones(len(votes)) if counts is None else counts)
    rows = rows[:, choosing]
    judged = _gold_correlations(votes[gold >= 0][:, choosing], gold[gold >= 0])
    if _pairs(judged) and 2 * _pairs(judged) >= _pairs_voting_together(rows, weights):
        return _among_all(votes.shape[1], choosing, judged, "gold")
    if len(choosing) > _LEAST_PARTNERS:
        agreed = _agreement_correlations(rows, weights, n_classes)
        if _pairs(agreed):
            return _among_all(votes.shape[1], choosing, agreed, "agreement")
    return Dependence("none", np.full((votes.shape[1], votes.shape[1]), np.nan))


def _among_all(rules: int, chosen: Integers, correlations: Floats, source: EffectiveSource) -> Dependence:
    whole = np.full((rules, rules), np.nan)
    whole[np.ix_(chosen, chosen)] = correlations
    return Dependence(source, whole)


def _pairs(correlations: Floats) -> int:
    return int(np.isfinite(correlations[np.triu_indices(len(correlations), 1)]).sum())


def _votes_for_several(votes: Integers) -> npt.NDArray[np.bool_]:
    """Which rules vote for two labels or more."""
    highest = np.iinfo(votes.dtype).max
    lowest = np.where(votes < 0, highest, votes).min(axis=0, initial=highest)
    return np.asarray(votes.max(axis=0, initial=-1) > lowest)


def _pairs_voting_together(votes: Integers, weights: Floats) -> int:
    return int((np.triu(_weighted_pairs(votes >= 0, weights), 1) >= LEAST_SHARED).sum())


def _gold_correlations(votes: Integers, truth: Integers) -> Floats:
    """Error correlations of the pairs that can be measured on gold."""
    voted = (votes >= 0).astype(np.float64)
    wrong = voted * (votes != truth[:, np.newaxis])
    together = voted.T @ voted
    shared = np.maximum(together, 1)
    rate = wrong.T @ voted / shared  # [j, k]: how often j errs where k votes too
    covariance = wrong.T @ wrong / shared - rate * rate.T
    scale = np.sqrt(rate * (1 - rate) * (rate * (1 - rate)).T)
    measured = (together >= LEAST_SHARED) & (scale > 0)
    return np.asarray(np.divide(covariance, scale, out=np.full_like(scale, np.nan), where=measured))


def _spread_rows(votes: Integers, weights: Floats) -> tuple[Integers, Floats]:
    """At most 50,000 of the rows, evenly spread, with their weights."""
    step = max(1, -(-len(votes) // _MOST_ROWS))
    return votes[::step], weights[::step]


def _agreement_correlations(votes: Integers, weights: Floats, n_classes: int) -> Floats:
    """Error correlations that explain the agreement which accuracies alone do not, of the measurable pairs.

    A rule is right with probability a, else wrong with any other label. Independent rules then agree so that
    ``M_jk = (K * agreement - 1) / (K - 1) = w_j * w_k`` with ``w = (K * a - 1) / (K - 1)``. A covariance c of two
    rules' errors adds ``c * K / (K - 1)`` to their agreement.
    """
    together, agreement = _agreements(votes, weights, n_classes)
    measured = together >= LEAST_SHARED
    np.fill_diagonal(measured, val=False)
    affinity = np.where(measured, (n_classes * agreement - 1) / (n_classes - 1), np.nan)
    explained = _rank_one_weights(affinity)
    excess = affinity - np.outer(explained, explained)
    accuracy = (1 + (n_classes - 1) * explained) / n_classes
    scale = np.sqrt(np.outer(accuracy * (1 - accuracy), accuracy * (1 - accuracy)))
    return np.clip(excess * ((n_classes - 1) / n_classes) ** 2 / scale, -1.0, 1.0)


def _agreements(votes: Integers, weights: Floats, n_classes: int) -> tuple[Floats, Floats]:
    """For each pair the number of traces both voted on, and the share of these on which they agree."""
    together, same = _weighted_pairs(votes >= 0, weights), np.zeros((votes.shape[1], votes.shape[1]))
    for label in range(n_classes):
        same += _weighted_pairs(votes == label, weights)
    return together, same / np.maximum(together, 1)


def _weighted_pairs(shown: npt.NDArray[np.bool_], weights: Floats) -> Floats:
    numbers = shown.astype(np.float64)
    return np.asarray(numbers.T @ (numbers * weights[:, np.newaxis]))


def _rank_one_weights(affinity: Floats) -> Floats:
    """The w for which ``w_j * w_k`` is nearest to the affinities, of rules with three partners at least; else NaN.

    Each w is the median of what its partners imply, so that a minority of pairs that agree too much does not
    move it; steps are damped (geometric mean of old and new) because all w depend on one another.
    """
    usable = np.where(affinity > _LEAST_AFFINITY, affinity, np.nan)
    usable[np.isfinite(usable).sum(axis=1) < _LEAST_PARTNERS] = np.nan
    weights = np.full(len(affinity), np.nan)
    kept = np.isfinite(usable).any(axis=1)
    fitted = np.sqrt(np.nanmedian(usable[kept], axis=1))
    partners = usable[np.ix_(kept, kept)]
    if (np.isfinite(partners).sum(axis=1) < _LEAST_PARTNERS).any():
        return weights
    for _ in range(_STEPS):
        fitted = np.sqrt(fitted * np.nanmedian(partners / fitted, axis=1))
    weights[kept] = np.minimum(fitted, _MOST_AFFINITY)
    return weights
