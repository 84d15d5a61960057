"""May a labeler stand in for a person: the alternative annotator test (Calderon, Reichart & Dror 2025)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from promptlabel.evals.set_scoring import jaccard
from promptlabel.records import ABSTAIN

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

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
    silent = int((labeler < 0).sum())
    note = f"the labeler says nothing of {silent} items, and agrees with nobody there" if silent else None
    compared = _Compared(labeler, people, people >= 0, lambda one, others: one[:, None] == others)
    return _verdict(compared, reviewers, epsilon, note)


def alt_test_of_sets(
    applies: Floats, people: Indices, reviewers: tuple[str, ...], epsilon: float = EPSILON
) -> AltTest:
    """The same where several labels may apply: agreement is the Jaccard similarity of two sets.

    The test takes any score of alignment for an item; an item counts once, however many labels it has, for what is
    said of its labels is not independent.

    Args:
        applies: float ``[n, L]``, the probability that a label applies, NaN where the labeler says nothing of it: it
            is not in the labeler's set then, and an item of which nothing is said agrees with nobody.
        people: ``[n, m, L]`` of 1 and 0, -1 where a person did not decide.
        reviewers: their names, ``[m]``.
        epsilon: as in `alt_test`.
    """
    unsaid = np.isnan(applies)
    labeler = np.where(unsaid.all(axis=1, keepdims=True), ABSTAIN, applies > HALF)
    silent = int(unsaid.sum())
    note = (
        f"the labeler says nothing of {silent} labels of items, and they count as left out"
        if silent
        else None
    )
    return _verdict(_Compared(labeler, people, people[:, :, 0] >= 0, _alike), reviewers, epsilon, note)


def _alike(one: Indices, others: Indices) -> Floats:
    """The Jaccard similarity ``[n, m]`` of a set ``[n, L]`` and others ``[n, m, L]``; none with no set at all."""
    similar = jaccard(one[:, None, :] == 1, others == 1)
    return np.where(one[:, :1] < 0, 0.0, similar)


Alike: TypeAlias = Callable[[Indices, Indices], npt.NDArray[np.generic]]
"""How far what one says ``[n, ...]`` agrees with what others say ``[n, m, ...]``: ``[n, m]``, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a labeler and people said of the same items, who decided what, and how alike two opinions are."""

    labeler: Indices
    people: Indices
    given: Bools
    alike: Alike

    def against(self, person: int, epsilon: float) -> tuple[int, float, float, float]:
        """Items, both shares, and the p-value."""
        others, given = np.delete(self.people, person, axis=1), np.delete(self.given, person, axis=1)
        rows = self.given[:, person] & given.any(axis=1)
        if rows.sum() < 2:
            return int(rows.sum()), 0.0, 0.0, 1.0
        ours = self._agreement(self.labeler[rows], others[rows], given[rows])
        theirs = self._agreement(self.people[rows, person], others[rows], given[rows])
        labeler_wins, person_wins = ours >= theirs - 1e-12, theirs >= ours - 1e-12
        lead = person_wins.astype(float) - labeler_wins
        shares = float(labeler_wins.mean()), float(person_wins.mean())
        return int(rows.sum()), *shares, _p_value(lead, epsilon)

    def _agreement(self, one: Indices, others: Indices, given: Bools) -> Floats:
        """How far one agrees with the others on average, ``[n]``."""
        return np.asarray((self.alike(one, others) * given).sum(axis=1) / given.sum(axis=1))


def _verdict(compared: _Compared, reviewers: tuple[str, ...], epsilon: float, note: str | None) -> AltTest:
    each = [compared.against(person, epsilon) for person in range(compared.people.shape[1])]
    met = [place for place, (items, *_) in enumerate(each) if items > 1]
    won = _discoveries(np.array([each[place][3] for place in met]))
    results = tuple(
        AgainstOne(reviewers[place], *each[place], won=bool(rejected))
        for place, rejected in zip(met, won.tolist(), strict=True)
    )
    rate = float(np.mean([one.won for one in results])) if results else 0.0
    return AltTest(
        passed=bool(results) and rate >= HALF,
        winning_rate=rate,
        advantage=float(np.mean([one.labeler for one in results])) if results else 0.0,
        epsilon=epsilon,
        people=results,
        assumptions=(*_unmet(results), *([note] if note else [])),
    )


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


def _unmet(results: tuple[AgainstOne, ...]) -> tuple[str, ...]:
    few = [one.reviewer for one in results if one.items < FEWEST_ITEMS]
    unmet = {
        f"the test asks for at least {FEWEST_PEOPLE} people who decide the same items; here are {len(results)}": (
            len(results) < FEWEST_PEOPLE
        ),
        f"fewer than {FEWEST_ITEMS} shared items, too few for a t-test: {', '.join(few)}": bool(few),
    }
    return tuple(sentence for sentence, holds in unmet.items() if holds)
