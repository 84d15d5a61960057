"""How right a labeler of sets is on gold: whole sets, single labels, and how two labelers differ on the same gold.

A case is one draw, however many labels it has: whatever is summed over labels has an interval over cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.intervals import Estimate, clustered, clustered_difference, paired, wilson
from promptlabel.evals.scoring import Score
from promptlabel.labelmodel.calibration import calibration_error, log_loss

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.int64]

HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One label's figures, None where they are not defined.

    Attributes:
        n: cases that have the label.
        coverage: share of the cases on which the labeler says anything of the label.
        precision: of the cases said to have the label, those that have it.
        recall: of the cases that have it, those said to; silence finds nothing.
        f1: their harmonic mean.
    """

    n: int
    coverage: float
    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None


@dataclass(frozen=True, slots=True)
class SetScore:
    """What is known of a labeler of sets besides the share of sets that are right.

    Attributes:
        label_accuracy: share of all words on labels that are right, one minus Hamming loss; silence counts half.
        jaccard: mean over cases of shared labels by all labels of the two sets; two empty sets are alike.
        micro_f1, macro_f1: over all labels at once, and the mean of the labels that occur.
        labels: the figures of each label.
    """

    label_accuracy: Estimate
    jaccard: Estimate
    micro_f1: Estimate
    macro_f1: Estimate
    labels: Mapping[str, LabelScore]


@dataclass(frozen=True, slots=True)
class SetDifference:
    """The first labeler's figures minus the second's, on the same cases."""

    label_accuracy: Estimate
    jaccard: Estimate
    macro_f1: Estimate


@dataclass(frozen=True)
class SaidSets:
    """What a labeler says of sets, beside gold.

    Attributes:
        labels: the task's labels, ``[L]``.
        applies: float ``[n, L]``, the probability that a label applies, NaN where the labeler says nothing of it.
        gold: ``[n, L]`` of 1 and 0.
    """

    labels: tuple[str, ...]
    applies: Floats
    gold: Marks

    @property
    def likely(self) -> Floats:
        """The probability that each label applies, even where nothing is said."""
        return np.where(np.isnan(self.applies), HALF, self.applies)

    @property
    def said(self) -> npt.NDArray[np.bool_]:
        """Whether each label is said to apply, ``[n, L]``; silence says it of none."""
        return np.asarray(self.applies > HALF)

    @property
    def right(self) -> Floats:
        """Float ``[n, L]``: one where the word on a label is right, half where there is none."""
        tied = self.likely == HALF
        return np.where(tied, HALF, (self.said == (self.gold == 1)).astype(float))

    @property
    def exact(self) -> Floats:
        """Float ``[n]``: one where the whole set is right; each label that nothing is said of halves it."""
        return np.asarray(self.right.prod(axis=1))

    @property
    def jaccard(self) -> Floats:
        """Float ``[n]``: the labels in both sets by those in either; nothing said at all is like no set."""
        silent = np.isnan(self.applies).all(axis=1)
        return np.where(silent, 0.0, jaccard(self.said, self.gold == 1))

    @property
    def hits(self) -> Floats:
        """Float ``[n, L]``: labels said to apply that do."""
        return np.asarray(self.said & (self.gold == 1), dtype=np.float64)

    @property
    def unions(self) -> Floats:
        """Float ``[n, L]``: labels that are said to apply, or do."""
        return np.asarray(self.said | (self.gold == 1), dtype=np.float64)


def jaccard(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> Floats:
    """The share of the labels in either of two sets that are in both, over the last axis; one for two empty sets."""
    either = (first | second).sum(axis=-1)
    return np.where(either == 0, 1.0, (first & second).sum(axis=-1) / np.maximum(either, 1))


def score_sets(name: str, sets: SaidSets, *, is_hard: bool) -> Score:
    """The score whose accuracy is the share of whole sets that are right; loss and calibration are of single labels."""
    n = len(sets.gold)
    return Score(
        name,
        n,
        accuracy=wilson(float(sets.exact.sum()), n),
        coverage=float((~np.isnan(sets.applies)).mean()),
        macro_f1=_macro_f1(sets),
        log_loss=None if is_hard else log_loss(*_decisions(sets)),
        ece=None if is_hard else calibration_error(*_decisions(sets)),
    )


def set_score(sets: SaidSets) -> SetScore:
    """The figures of sets and of every label."""
    return SetScore(
        label_accuracy=_mean(sets.right.mean(axis=1), len(sets.labels)),
        jaccard=_mean(sets.jaccard, len(sets.labels)),
        micro_f1=_micro_f1(sets),
        macro_f1=clustered(_macro_f1(sets), _macro_pull(sets), len(sets.labels)),
        labels={name: _label_score(sets, place) for place, name in enumerate(sets.labels)},
    )


def set_difference(first: SaidSets, second: SaidSets) -> SetDifference:
    """The first labeler's figures minus the second's."""
    return SetDifference(
        label_accuracy=_paired(first.right.mean(axis=1), second.right.mean(axis=1)),
        jaccard=_paired(first.jaccard, second.jaccard),
        macro_f1=clustered_difference(
            _macro_f1(first) - _macro_f1(second), _macro_pull(first) - _macro_pull(second)
        ),
    )


def exact_difference(first: SaidSets, second: SaidSets) -> Estimate:
    """The share of whole sets that the first has right minus the second's."""
    return _paired(first.exact, second.exact)


def _paired(first: Floats, second: Floats) -> Estimate:
    """The mean difference of two shares a case; a case gains or loses as a whole, which is never too narrow."""
    lead = first - second
    return paired(float(lead.clip(min=0).sum()), float((-lead).clip(min=0).sum()), len(lead))


def _mean(values: Floats, most: int) -> Estimate:
    return clustered(float(values.mean()), values, most)


def _label_score(sets: SaidSets, label: int) -> LabelScore:
    said, has = float(sets.said[:, label].sum()), float((sets.gold[:, label] == 1).sum())
    hits, union = float(sets.hits[:, label].sum()), float(sets.unions[:, label].sum())
    return LabelScore(
        n=int(has),
        coverage=float((~np.isnan(sets.applies[:, label])).mean()),
        precision=wilson(hits, said) if said else None,
        recall=wilson(hits, has) if has else None,
        f1=_as_f1(wilson(hits, union)) if union else None,
    )


def _as_f1(overlap: Estimate) -> Estimate:
    """F1 of a share of hits among what is said or true, J: 2 J / (1 + J) (F*, Hand, Christen & Kirielle 2021).

    J is a plain proportion, so F1 has the ends of its Wilson interval carried over (Lam, Gopal & Qian 2023).
    """
    return Estimate(*(2 * share / (1 + share) for share in (overlap.estimate, overlap.low, overlap.high)))


def _micro_f1(sets: SaidSets) -> Estimate:
    hits, unions = sets.hits.sum(axis=1), sets.unions.sum(axis=1)
    if not unions.any():
        return Estimate(1.0, 0.0, 1.0)
    overlap = float(hits.sum() / unions.sum())
    pull = (hits - overlap * unions) / unions.mean()
    return _as_f1(clustered(overlap, pull, len(sets.labels)))


def _macro_f1(sets: SaidSets) -> float:
    """The mean F1 of the labels that occur in gold or are said; one where none does."""
    hits, unions = sets.hits.sum(axis=0), sets.unions.sum(axis=0)
    present = unions > 0
    if not present.any():
        return 1.0
    overlap = hits[present] / unions[present]
    return float((2 * overlap / (1 + overlap)).mean())


def _macro_pull(sets: SaidSets) -> Floats:
    """Float ``[n]``: how much each case moves macro-F1, times n (its linearisation)."""
    hits, unions = sets.hits.sum(axis=0), sets.unions.sum(axis=0)
    present = unions > 0
    if not present.any():
        return np.zeros(len(sets.gold))
    overlap = hits[present] / unions[present]
    pull = (sets.hits[:, present] - overlap * sets.unions[:, present]) / (unions[present] / len(sets.gold))
    return np.asarray((pull * 2 / (1 + overlap) ** 2).mean(axis=1))


def _decisions(sets: SaidSets) -> tuple[Floats, Marks]:
    """Every label of every case as a case of its own: probabilities ``[n L, 2]`` and gold ``[n L]``."""
    share = sets.likely.ravel()
    return np.column_stack([1 - share, share]), sets.gold.ravel()
