"""May a labeler stand in for a person: the alternative annotator test (Calderon, Reichart & Dror 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LEVEL: Final = 0.05
HALF: Final = 0.5
FEWEST_PEOPLE: Final = 3
FEWEST_ITEMS: Final = 30
EPSILON: Final = 0.15
"""What a person costs more than a model, in points of agreement; .1 for crowds, .15 for trained people, .2 for experts."""


@dataclass(frozen=True, slots=True)
class AgainstOne:
    """The labeler against one person, both held against the other people.

    Attributes:
        items: on which the person and at least one other decided.
        labeler: share of items on which the labeler agrees with the others at least as well as the person.
        person: the reverse; ties count for both.
        p_value: of the hypothesis that the labeler is worse than the person by `epsilon` or more.
        won: whether that is rejected, with the false discovery rate held over all people.
    """

    reviewer: str
    items: int
    labeler: float
    person: float
    p_value: float
    won: bool


@dataclass(frozen=True, slots=True)
class AltTest:
    """The verdict.

    Attributes:
        winning_rate: share of people against whom the labeler won; it may stand in from .5 on.
        advantage: mean share of items on which it agrees with the others at least as well as the person left out.
        assumptions: what the verdict rests on and the data do not meet; empty where they do.
    """

    passed: bool
    winning_rate: float
    advantage: float
    epsilon: float
    people: tuple[AgainstOne, ...]
    assumptions: tuple[str, ...]


def alt_test(
    labeler: Indices, people: Indices, reviewers: tuple[str, ...], epsilon: float = EPSILON
) -> AltTest:
    """Whether the labeler may stand in for a person.

    Each person in turn is left out, and labeler and person are compared by their agreement with the others: a
    one-sided paired t-test for each, Benjamini-Yekutieli's correction over all.

    Args:
        labeler: its label of each item, ``[n]``, -1 where it says nothing, which agrees with nobody.
        people: their labels, ``[n, m]``, -1 where a person did not decide.
        reviewers: their names, ``[m]``.
        epsilon: by how much a worse labeler is still preferred, for it costs less.
    """
    compared = [_against(labeler, people, person, epsilon) for person in range(people.shape[1])]
    met = [place for place, (items, *_) in enumerate(compared) if items > 1]
    won = _discoveries(np.array([compared[place][3] for place in met]))
    results = tuple(
        AgainstOne(reviewers[place], *compared[place], won=bool(rejected))
        for place, rejected in zip(met, won.tolist(), strict=True)
    )
    rate = float(np.mean([one.won for one in results])) if results else 0.0
    return AltTest(
        passed=bool(results) and rate >= HALF,
        winning_rate=rate,
        advantage=float(np.mean([one.labeler for one in results])) if results else 0.0,
        epsilon=epsilon,
        people=results,
        assumptions=_unmet(results, labeler),
    )


def _against(
    labeler: Indices, people: Indices, person: int, epsilon: float
) -> tuple[int, float, float, float]:
    """Items, both shares, and the p-value."""
    others = np.delete(people, person, axis=1)
    rows = (people[:, person] >= 0) & (others >= 0).any(axis=1)
    if rows.sum() < 2:
        return int(rows.sum()), 0.0, 0.0, 1.0
    ours = _agreement(labeler[rows], others[rows])
    theirs = _agreement(people[rows, person], others[rows])
    labeler_wins, person_wins = ours >= theirs - 1e-12, theirs >= ours - 1e-12
    lead = person_wins.astype(float) - labeler_wins
    return int(rows.sum()), float(labeler_wins.mean()), float(person_wins.mean()), _p_value(lead, epsilon)


def _agreement(label: Indices, others: Indices) -> Floats:
    """The share of the others who gave the same label."""
    given = others >= 0
    return np.asarray(((others == label[:, None]) & given).sum(axis=1) / given.sum(axis=1))


def _p_value(lead: Floats, epsilon: float) -> float:
    """Of the hypothesis that the mean lead of the person is `epsilon` or more."""
    from scipy.stats import t

    spread = float(lead.std(ddof=1)) / np.sqrt(len(lead))
    distance = float(lead.mean()) - epsilon
    if spread == 0:
        return 0.0 if distance < 0 else 1.0
    return float(t.cdf(distance / spread, df=len(lead) - 1))


def _discoveries(p_values: Floats) -> npt.NDArray[np.bool_]:
    """Which hypotheses are rejected at a false discovery rate of 5 % under any dependence (Benjamini & Yekutieli 2001)."""
    m = len(p_values)
    if m == 0:
        return np.zeros(0, dtype=bool)
    harmonic = (1 / np.arange(1, m + 1)).sum()
    order = np.argsort(p_values)
    below = p_values[order] <= LEVEL * np.arange(1, m + 1) / (m * harmonic)
    last = int(np.flatnonzero(below).max()) + 1 if below.any() else 0
    rejected = np.zeros(m, dtype=bool)
    rejected[order[:last]] = True
    return rejected


def _unmet(results: tuple[AgainstOne, ...], labeler: Indices) -> tuple[str, ...]:
    few = [one.reviewer for one in results if one.items < FEWEST_ITEMS]
    unmet = {
        f"the test asks for at least {FEWEST_PEOPLE} people who decide the same items; here are {len(results)}": (
            len(results) < FEWEST_PEOPLE
        ),
        f"fewer than {FEWEST_ITEMS} shared items, too few for a t-test: {', '.join(few)}": bool(few),
        f"the labeler says nothing of {int((labeler < 0).sum())} items, and agrees with nobody there": bool(
            (labeler < 0).any()
        ),
    }
    return tuple(sentence for sentence, holds in unmet.items() if holds)
