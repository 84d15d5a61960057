"""How unsure a posterior is and how far votes differ: one score a trace, each a pure function of arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def least_confidence(probs: Floats) -> Floats:
    """One minus the likeliest label's probability; ``[n, K]`` in, ``[n]`` out, 0 where the model is sure."""
    lead: Floats = probs.max(axis=1)
    return 1.0 - lead


def margin(probs: Floats) -> Floats:
    """One minus the lead of the likeliest label over the next; ``[n, K]`` in, ``[n]`` in 0..1 out."""
    top: Floats = np.partition(probs, -2, axis=1)[:, -2:]
    return 1.0 - (top[:, 1] - top[:, 0])


def entropy(probs: Floats) -> Floats:
    """Shannon entropy over its maximum, log K; ``[n, K]`` in, ``[n]`` in 0..1 out."""
    return _entropy(probs) / math.log(probs.shape[1])


def vote_entropy(votes: npt.NDArray[np.int8], n_classes: int) -> Floats:
    """Entropy of the shares of votes a label got, over log K; int ``[n, m]`` in, 0 where nobody voted.

    Kept for explanation and comparison: on sparse votes it ranks errors hardly better than chance.
    """
    counts = _counts(votes, n_classes)
    total = counts.sum(axis=1, keepdims=True)
    return _entropy(counts / np.maximum(total, 1.0)) / math.log(n_classes)


def committee_disagreement(votes: npt.NDArray[np.int8], soft: Mapping[int, Floats], n_classes: int) -> Floats:
    """How far the rules' distributions differ, over log K; ``[n]`` in 0..1, 0 where nobody or one rule votes.

    The entropy of their mean less the mean of their entropies (Houlsby 2011): rules that are each unsure
    agree. Where all votes are hard it is the vote entropy. Arguments as of `family_evidence`.
    """
    evidence = family_evidence(votes, soft, ["all"] * votes.shape[1], n_classes)
    mass = evidence.get("all", np.zeros((len(votes), n_classes)))
    inner = np.zeros(len(votes))
    for column, dists in soft.items():
        known = _speaks(votes, soft, column)
        inner[known] += _entropy(dists[known])
    speaking = np.maximum((votes >= 0).sum(axis=1), 1)
    between: Floats = _entropy(mass / speaking[:, None]) - inner / speaking
    return np.clip(between / math.log(n_classes), 0.0, 1.0)


def family_evidence(
    votes: npt.NDArray[np.int8],
    soft: Mapping[int, Floats],
    families: Sequence[str],
    n_classes: int,
) -> dict[str, Floats]:
    """Family -> ``[n, K]``, its votes added up; a distribution counts in parts, a hard vote as one.

    Args:
        votes: int ``[n, m]``, -1 for none.
        soft: column -> ``[n, K]`` with rows of NaN where there is no distribution.
        families: the family of each column.
        n_classes: K.
    """
    evidence = {family: np.zeros((len(votes), n_classes)) for family in dict.fromkeys(families)}
    for column, family in enumerate(families):
        hard = _counts(votes[:, [column]], n_classes)
        if column in soft:
            known = _speaks(votes, soft, column)
            hard[known] = soft[column][known]
        evidence[family] += hard
    return evidence


def family_conflict(evidence: Sequence[Floats]) -> Floats:
    """Jensen-Shannon divergence between source families (Lin 1991), ``[n]`` in 0..1, 0 with fewer than two.

    Each family's distribution starts from one vote spread evenly over the labels, so that a family
    that speaks once speaks softly. Families that are silent on a trace have no part in it. The
    divergence is divided by its maximum, the log of the number of speaking families or labels.
    """
    if len(evidence) < 2:
        return np.zeros(len(evidence[0]) if evidence else 0)
    mass = np.stack(evidence)
    n_classes = mass.shape[2]
    total = mass.sum(axis=2, keepdims=True)
    speaks = (total > 0).astype(float)
    dists = (mass + 1.0 / n_classes) / (total + 1.0)
    speaking = speaks.sum(axis=0)
    weights = speaks / np.maximum(speaking, 1.0)
    divergence = _entropy((weights * dists).sum(axis=0)) - (weights[:, :, 0] * _entropy(dists)).sum(axis=0)
    most = np.log(np.clip(speaking[:, 0], 2.0, n_classes))
    return np.where(speaking[:, 0] >= 2, np.maximum(divergence, 0.0) / most, 0.0)


def _speaks(votes: npt.NDArray[np.int8], soft: Mapping[int, Floats], column: int) -> npt.NDArray[np.bool_]:
    return ~np.isnan(soft[column]).any(axis=1) & (votes[:, column] >= 0)


def _counts(votes: npt.NDArray[np.int8], n_classes: int) -> Floats:
    return np.stack([(votes == label).sum(axis=1) for label in range(n_classes)], axis=1).astype(np.float64)


def _entropy(probs: Floats) -> Floats:
    logs = np.log(probs, where=probs > 0, out=np.zeros_like(probs))
    result: Floats = -(probs * logs).sum(axis=-1)
    return result
