"""How many independent votes a set of rules amounts to: rules that err together count for less."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Integers: TypeAlias = npt.NDArray[np.integer]
Floats: TypeAlias = npt.NDArray[np.float64]
EffectiveSource: TypeAlias = Literal["gold", "agreement", "none"]

LEAST_SHARED: Final = 30
"""Traces two rules must both have voted on before anything is said of the pair."""

_MOST_ROWS: Final = 50_000
_LEAST_AFFINITY: Final = 0.05
_MOST_AFFINITY: Final = 0.99
_LEAST_PARTNERS: Final = 3
_STEPS: Final = 60


def effective_votes(votes: Integers, gold: Integers, n_classes: int) -> tuple[float, EffectiveSource]:
    """Number of independent rules that would carry the evidence of these m, between 1 and m, and its source.

    ``n_eff = m / (1 + (m - 1) * r)`` with r the mean correlation of two rules' errors (Kish 1965, design effect).
    Rules that only ever vote for one label take no part in r: any two of a kind err at the same traces.

    ``gold``: errors against gold, where that measures at least half of the pairs that vote together on 30 traces.
    ``agreement``: agreement beyond what the rules' accuracies explain, these fitted to all agreements (it takes four rules). What all
    rules get wrong together looks like accuracy, so this is an upper bound; copies among the rules do show.
    ``none``: neither can be had, and n_eff is m.

    Args:
        votes: ``[n, m]``, -1 where the rule abstained.
        gold: ``[n]``, -1 where unknown.
        n_classes: number of labels.
    """
    rules = votes.shape[1]
    choosing = votes[:, _votes_for_several(votes)]
    judged = _gold_correlations(choosing, gold)
    if len(judged) and 2 * len(judged) >= _pairs_voting_together(choosing):
        return _kish(rules, judged), "gold"
    if choosing.shape[1] <= _LEAST_PARTNERS:
        return float(rules), "none"
    agreed = _agreement_correlations(_spread_rows(choosing), n_classes)
    return (_kish(rules, agreed), "agreement") if len(agreed) else (float(rules), "none")


def _kish(rules: int, correlations: Floats) -> float:
    return rules / (1 + (rules - 1) * float(np.clip(correlations.mean(), 0.0, 1.0)))


def _votes_for_several(votes: Integers) -> npt.NDArray[np.bool_]:
    """Which rules vote for two labels or more."""
    highest = np.iinfo(votes.dtype).max
    lowest = np.where(votes < 0, highest, votes).min(axis=0, initial=highest)
    return np.asarray(votes.max(axis=0, initial=-1) > lowest)


def _pairs_voting_together(votes: Integers) -> int:
    voted = (votes >= 0).astype(np.float32)
    return int((np.triu(voted.T @ voted, 1) >= LEAST_SHARED).sum())


def _gold_correlations(votes: Integers, gold: Integers) -> Floats:
    """Error correlations of the pairs that can be measured on gold."""
    rows, truth = votes[gold >= 0], gold[gold >= 0]
    voted = (rows >= 0).astype(np.float64)
    wrong = voted * (rows != truth[:, np.newaxis])
    together = voted.T @ voted
    shared = np.maximum(together, 1)
    rate = wrong.T @ voted / shared  # [j, k]: how often j errs where k votes too
    covariance = wrong.T @ wrong / shared - rate * rate.T
    scale = np.sqrt(rate * (1 - rate) * (rate * (1 - rate)).T)
    measured = np.triu((together >= LEAST_SHARED) & (scale > 0), 1)
    return np.asarray(covariance[measured] / scale[measured])


def _spread_rows(votes: Integers) -> Integers:
    """At most 50,000 of the rows, evenly spread."""
    return np.asarray(votes[:: max(1, -(-len(votes) // _MOST_ROWS))])


def _agreement_correlations(votes: Integers, n_classes: int) -> Floats:
    """Error correlations that explain the agreement which accuracies alone do not, of the measurable pairs.

    A rule is right with probability a, else wrong with any other label. Independent rules then agree so that
    ``M_jk = (K * agreement - 1) / (K - 1) = w_j * w_k`` with ``w = (K * a - 1) / (K - 1)``. A covariance c of two
    rules' errors adds ``c * K / (K - 1)`` to their agreement.
    """
    together, agreement = _agreements(votes, n_classes)
    measured = together >= LEAST_SHARED
    np.fill_diagonal(measured, val=False)
    affinity = np.where(measured, (n_classes * agreement - 1) / (n_classes - 1), np.nan)
    weights = _rank_one_weights(affinity)
    excess = affinity - np.outer(weights, weights)
    accuracy = (1 + (n_classes - 1) * weights) / n_classes
    scale = np.sqrt(np.outer(accuracy * (1 - accuracy), accuracy * (1 - accuracy)))
    correlations = excess * ((n_classes - 1) / n_classes) ** 2 / scale
    return np.asarray(correlations[np.triu(np.isfinite(correlations), 1)])


def _agreements(votes: Integers, n_classes: int) -> tuple[Floats, Floats]:
    """For each pair the number of traces both voted on, and the share of these on which they agree."""
    voted = (votes >= 0).astype(np.float64)
    together = voted.T @ voted
    same = np.zeros_like(together)
    for label in range(n_classes):
        chosen = (votes == label).astype(np.float64)
        same += chosen.T @ chosen
    return together, same / np.maximum(together, 1)


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
