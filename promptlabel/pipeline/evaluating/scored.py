"""One labeler's figures on a frozen version, and by how much it leads another on the same cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.audit import weighted_share
from promptlabel.evals.intervals import Estimate, wilson
from promptlabel.evals.scoring import Score, accuracy_difference, score_probabilities, score_votes
from promptlabel.evals.set_scoring import (
    SaidSets,
    SetDifference,
    SetScore,
    exact_difference,
    score_sets,
    set_difference,
    set_score,
)
from promptlabel.evals.versions import EvalVersion
from promptlabel.flywheel.gap import Gap, category_gap
from promptlabel.labelmodel.calibration import correctness
from promptlabel.labelmodel.ordered import OrderedFigures, ordered_figures_of
from promptlabel.pipeline.evaluating.labelers import Labeler, SetLabeler
from promptlabel.rules.loading import Task

Indices = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SEED: Final = 0
"""Bootstraps are drawn by the same numbers every time, so that a version gives the same figures twice."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One labeler's figures on the version.

    Attributes:
        weighted: accuracy with each case weighted by how many traces it stands for; None where that is not known.
        precision: of each label that the labeler gave.
        recall: of each label that occurs.
        gap: worst against best category, None with fewer than two of enough cases.
        ordered: of labels in order, how far off its labels are.
        sets: where several labels may apply, and `score` is about whole sets, what is known of them besides.
    """

    name: str
    score: Score
    weighted: Estimate | None
    precision: Mapping[str, Estimate]
    recall: Mapping[str, Estimate]
    gap: Gap | None
    ordered: OrderedFigures | None = None
    sets: SetScore | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy of the first labeler minus that of the second, on the same cases; of sets other figures as well."""

    first: str
    second: str
    difference: Estimate
    sets: SetDifference | None = None


@dataclass(frozen=True)
class ScoredOne:
    """A labeler of one label a case: its figures, and what they are made of."""

    figures: Scored
    labeler: Labeler
    gold: Indices

    @classmethod
    def of(cls, task: Task, version: EvalVersion, gold: Indices, labeler: Labeler) -> ScoredOne:
        """The labeler on the version, whose cases have the labels `gold`, ``[n]``."""
        classes = len(task.labels)
        right = correctness(labeler.probs, gold) > 0.5
        figures = Scored(
            name=labeler.name,
            score=score_votes(labeler.name, labeler.votes, gold, classes)
            if labeler.hard
            else score_probabilities(labeler.name, labeler.probs, gold),
            weighted=_weighted(version, right),
            precision=_by_label(task, labeler.votes, right),
            recall=_by_label(task, gold, right),
            gap=_gap(version, right),
            ordered=ordered_figures_of(labeler.votes, gold, classes) if task.spec.kind == "ordered" else None,
        )
        return cls(figures, labeler, gold)

    def lead_over(self, other: ScoredOne) -> Difference:
        """By how much it is better."""
        lead = accuracy_difference(self.labeler.probs, other.labeler.probs, self.gold)
        return Difference(self.figures.name, other.figures.name, lead)


@dataclass(frozen=True)
class ScoredSets:
    """A labeler of sets: its figures, and what they are made of."""

    figures: Scored
    said: SaidSets

    @classmethod
    def of(cls, task: Task, version: EvalVersion, gold: Indices, labeler: SetLabeler) -> ScoredSets:
        """The labeler on the version, whose cases have the labels `gold`, ``[n, L]`` of 1 and 0."""
        said = SaidSets(task.labels, labeler.applies, gold)
        right, sets = said.exact > 0.5, set_score(said)
        figures = Scored(
            name=labeler.name,
            score=score_sets(labeler.name, said, is_hard=labeler.hard),
            weighted=_weighted(version, right),
            precision={name: one.precision for name, one in sets.labels.items() if one.precision},
            recall={name: one.recall for name, one in sets.labels.items() if one.recall},
            gap=_gap(version, right),
            sets=sets,
        )
        return cls(figures, said)

    def lead_over(self, other: ScoredSets) -> Difference:
        """By how much it is better."""
        lead = exact_difference(self.said, other.said)
        return Difference(self.figures.name, other.figures.name, lead, set_difference(self.said, other.said))


def _weighted(version: EvalVersion, right: Bools) -> Estimate | None:
    weights = [case.weight for case in version.cases]
    known = [weight for weight in weights if weight is not None]
    return weighted_share(right, np.array(known)) if len(known) == len(weights) else None


def _gap(version: EvalVersion, right: Bools) -> Gap | None:
    categories = [case.trace.category or "none" for case in version.cases]
    return category_gap(categories, right, np.random.default_rng(SEED))


def _by_label(task: Task, labels: Indices, right: Bools) -> dict[str, Estimate]:
    sizes = {label: labels == k for k, label in enumerate(task.labels)}
    return {
        label: wilson(float(right[rows].sum()), float(rows.sum()))
        for label, rows in sizes.items()
        if rows.any()
    }
