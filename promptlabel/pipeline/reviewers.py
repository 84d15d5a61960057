"""`reviewers`: how far people agree, and how far each can be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.intervals import Estimate, difference, wilson
from promptlabel.pipeline.workspace import Workspace
from promptlabel.review.adjudication import conflicts, decide
from promptlabel.review.agreement import Agreement, agreement, one_against_rest, ratings_of
from promptlabel.review.trust import FAST, ReviewerCounts, reviewer_counts
from promptlabel.rules.loading import Task

_SEED: Final = 0
_FEWEST: Final = 10
_TOO_FAST: Final = 0.1
_PAIR_SAMPLES: Final = 200


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """How far two reviewers agree on what both labelled blind."""

    first: str
    second: str
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class ReviewerRow:
    """One reviewer: counts, and what follows from them where there is enough to say it.

    Attributes:
        counts: what they did.
        fast_share: labels given in less than two seconds, of those whose time is known.
        accuracy: of blind labels on probes.
        over_reliance: how much more often they follow a wrong suggestion than they err unaided.
    """

    reviewer: str
    counts: ReviewerCounts
    fast_share: float | None
    accuracy: Estimate | None
    over_reliance: Estimate | None


@dataclass(frozen=True, slots=True)
class ReviewersReport:
    """The people of one task.

    Attributes:
        agreement: on traces that two or more labelled blind.
        by_label: the same, each label against all others.
        pairs: the same, of each two who share traces.
        conflicts: traces on which reviewers differ and nobody has adjudicated.
        warnings: what needs attention, in plain words.
    """

    task: str
    agreement: Agreement
    by_label: Mapping[str, Agreement]
    pairs: tuple[PairAgreement, ...]
    reviewers: tuple[ReviewerRow, ...]
    conflicts: int
    warnings: tuple[str, ...]


def reviewers(workspace: Workspace, task: Task) -> ReviewersReport:
    """Agreement, and each reviewer's figures; probes and wrong suggestions are those of `review` in promptlabel.yaml."""
    events, gold = workspace.store.reviews(task.name), workspace.store.gold(task.name)
    names, ratings = ratings_of(events, list(task.labels))
    rng = np.random.default_rng(_SEED)
    rows = tuple(map(_row, reviewer_counts(events, decide(events, gold))))
    open_conflicts = len(conflicts(events, gold))
    return ReviewersReport(
        task=task.name,
        agreement=agreement(ratings, len(task.labels), rng),
        by_label={
            label: agreement(one_against_rest(ratings, number), 2, rng)
            for number, label in enumerate(task.labels)
        },
        pairs=tuple(_pairs(names, ratings, len(task.labels), rng)),
        reviewers=rows,
        conflicts=open_conflicts,
        warnings=tuple(_warnings(rows, open_conflicts)),
    )


def _row(counts: ReviewerCounts) -> ReviewerRow:
    accuracy = wilson(counts.probes_right, counts.probes) if counts.probes else None
    reliance = None
    if counts.suggested and accuracy is not None:
        unaided = wilson(counts.probes - counts.probes_right, counts.probes)
        reliance = difference(wilson(counts.followed, counts.suggested), unaided)
    fast = counts.fast / counts.timed if counts.timed else None
    return ReviewerRow(counts.reviewer, counts, fast, accuracy, reliance)


def _pairs(
    names: Sequence[str], ratings: npt.NDArray[np.int64], n_classes: int, rng: np.random.Generator
) -> Iterator[PairAgreement]:
    for first, second in combinations(range(len(names)), 2):
        found = agreement(ratings[:, [first, second]], n_classes, rng, samples=_PAIR_SAMPLES)
        if found.items:
            yield PairAgreement(names[first], names[second], found)


def _warnings(rows: Sequence[ReviewerRow], open_conflicts: int) -> Iterator[str]:
    if open_conflicts:
        traces = f"{open_conflicts} trace{'' if open_conflicts == 1 else 's'}"
        yield f"reviewers differ on {traces}: open Conflicts on the page of `promptlabel review`"
    for row in rows:
        counts = row.counts
        if counts.timed >= _FEWEST and counts.fast > _TOO_FAST * counts.timed:
            yield f"{row.reviewer}: {counts.fast} of {counts.timed} labels took less than {FAST:.0f} s"
        if row.over_reliance is not None and row.over_reliance.low > 0:
            yield f"{row.reviewer}: followed {counts.followed} of {counts.suggested} suggestions that were wrong on purpose"
        if row.accuracy is not None and row.accuracy.high < _doubtful(rows, row):
            yield f"{row.reviewer}: right on {counts.probes_right} of {counts.probes} probes, fewer than the others"


def _doubtful(rows: Sequence[ReviewerRow], row: ReviewerRow) -> float:
    """The accuracy of all others on probes; nothing is below it where there are none."""
    others = [other.counts for other in rows if other is not row]
    probes = sum(counts.probes for counts in others)
    return sum(counts.probes_right for counts in others) / probes if probes else 0.0
