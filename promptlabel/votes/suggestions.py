"""What a rule does on gold and beside its fellows, and what its writer could do about it, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from promptlabel.votes.dependence import LEAST_SHARED

Integers: TypeAlias = npt.NDArray[np.integer]
Floats: TypeAlias = npt.NDArray[np.float64]

LEAST_JUDGED: Final = 20
"""Votes with gold before anything is said of how right a rule is."""

_SAME: Final = 0.95
_GAIN: Final = 0.05
_THRESHOLDS: Final = (0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Twin:
    """Another rule that says the same: on how many traces both vote, and on what share of these they agree."""

    column: int
    shared: int
    agreement: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """What `abstain_below` would do on gold: the share of votes kept, and how right these are."""

    abstain_below: float
    kept: float
    accuracy: float
    before: float


def alone(votes: Integers, column: int) -> npt.NDArray[np.intp]:
    """Rows on which the rule votes and no other does."""
    voted = votes >= 0
    return np.flatnonzero(voted[:, column] & (voted.sum(axis=1) == 1))


def decisive(votes: Integers, column: int, n_classes: int) -> npt.NDArray[np.intp]:
    """Rows on which the others vote, and their majority is not what it is with this rule, ties counting as none."""
    others = np.delete(votes, column, axis=1)
    before, after = _majority(others, n_classes), _majority(votes, n_classes)
    return np.flatnonzero((votes[:, column] >= 0) & (others >= 0).any(axis=1) & (before != after))


def _majority(votes: Integers, n_classes: int) -> Integers:
    counts = np.stack([(votes == label).sum(axis=1) for label in range(n_classes)], axis=1)
    best = counts.max(axis=1, keepdims=True)
    tied = (counts == best).sum(axis=1) > 1
    return np.where(tied, -1, counts.argmax(axis=1))


def twins(votes: Integers, column: int) -> list[Twin]:
    """The rules that vote on most of what this one votes on, and nearly always the same, the likest first."""
    mine = votes[:, column] >= 0
    found = []
    for other in range(votes.shape[1]):
        both = mine & (votes[:, other] >= 0)
        shared = int(both.sum())
        if other == column or shared < LEAST_SHARED or shared < mine.sum() / 2:
            continue
        agreement = float((votes[both, other] == votes[both, column]).mean())
        if agreement >= _SAME and not _constant(votes[both, column]):
            found.append(Twin(other, shared, agreement))
    return sorted(found, key=lambda twin: -twin.agreement)


def _constant(votes: Integers) -> bool:
    return bool((votes == votes[0]).all())


def best_threshold(votes: Integers, gold: Integers, confidence: Floats) -> Threshold | None:
    """The lowest `abstain_below` that makes the votes clearly righter and keeps at least half of them, or None.

    Args:
        votes: ``[n]``, -1 where the rule abstained.
        gold: ``[n]``, -1 where unknown.
        confidence: ``[n]``, NaN where unknown.
    """
    judged = (votes >= 0) & (gold >= 0) & np.isfinite(confidence)
    if judged.sum() < LEAST_JUDGED:
        return None
    right, sure = (votes == gold)[judged], confidence[judged]
    before = float(right.mean())
    for threshold in _THRESHOLDS:
        kept = sure >= threshold
        if kept.sum() < max(LEAST_JUDGED, judged.sum() / 2):
            return None
        accuracy = float(right[kept].mean())
        if accuracy >= before + _GAIN and not kept.all():
            return Threshold(threshold, float(kept.mean()), accuracy, before)
    return None


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What is known of one rule and model; `precision` and `judged` are per label, in the order of `labels`.

    Attributes:
        base_rate: share of the commonest label in gold.
        unreadable: share of answers that were malformed or failed.
        unit: what its votes are on.
    """

    labels: Sequence[str]
    traces: int
    votes: int
    judged: Sequence[int]
    precision: Sequence[float | None]
    accuracy: float | None
    base_rate: float | None
    unreadable: float
    usd: float
    advice: str
    threshold: Threshold | None
    twins: Sequence[tuple[str, Twin]]
    alone: int
    is_prompt: bool
    unit: str = "traces"


def suggestions(facts: RuleFacts) -> list[str]:
    """What the rule's writer could do, the most pressing first; empty where all is well."""
    if facts.votes == 0:
        return [
            "It has never voted: loosen its condition, or look at its answers with `promptlabel preview`."
        ]
    found = [*_about_answers(facts), *_about_accuracy(facts), *_about_fellows(facts), *_about_cost(facts)]
    return found or ["Nothing stands out: keep it."]


def _about_answers(facts: RuleFacts) -> list[str]:
    if facts.unreadable < _GAIN:
        return []
    share = f"{facts.unreadable:.0%}"
    return [
        f"{share} of its answers could not be read: name the answers in the prompt, or use `decode: json`."
    ]


def _about_accuracy(facts: RuleFacts) -> list[str]:
    if sum(facts.judged) < LEAST_JUDGED or facts.accuracy is None:
        missing = LEAST_JUDGED - sum(facts.judged)
        return [f"Too little gold to judge it: {missing} more of its votes need a human label."]
    found = []
    if facts.base_rate is not None and facts.accuracy < facts.base_rate - _GAIN and _says_several(facts):
        found.append(
            f"It is right {facts.accuracy:.0%} of the time; always saying the commonest label would be {facts.base_rate:.0%}: "
            "reword the question, or give examples of both kinds."
        )
    found += _weak_labels(facts)
    if facts.threshold is not None:
        bound = facts.threshold
        found.append(
            f"`abstain_below: {bound.abstain_below}` would keep {bound.kept:.0%} of its votes and be right "
            f"{bound.accuracy:.0%} instead of {bound.before:.0%} of the time (on the gold there is)."
        )
    return found


def _says_several(facts: RuleFacts) -> bool:
    return sum(count > 0 for count in facts.judged) > 1


def _weak_labels(facts: RuleFacts) -> list[str]:
    """Labels that a rule of several labels should rather not vote for."""
    if not _says_several(facts):
        return []
    return [
        f"When it says {label} it is right {precision:.0%} of the time ({judged} judged): let that answer abstain, "
        "or say in the prompt what is not meant."
        for label, precision, judged in zip(facts.labels, facts.precision, facts.judged, strict=True)
        if precision is not None and judged >= LEAST_JUDGED / 2 and precision < 0.6
    ]


def _about_fellows(facts: RuleFacts) -> list[str]:
    found = [
        f"It says the same as {name} on {twin.agreement:.0%} of the {twin.shared:,} {facts.unit} on which both vote: "
        "one of them could go."
        for name, twin in facts.twins[:2]
    ]
    if facts.alone > facts.traces / 10:
        found.append(
            f"It alone speaks for {facts.alone:,} traces: a second rule for these would show where it errs."
        )
    return found


def _about_cost(facts: RuleFacts) -> list[str]:
    if not facts.is_prompt or not facts.usd:
        return []
    if facts.advice in ("drop", "fix"):
        return [
            f"It has cost ${facts.usd:,.4f} and the other rules decide as well without it: narrow it with `when`."
        ]
    return []
