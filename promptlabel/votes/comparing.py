"""Whether votes are right, and agree with one another: of sets only the labels that a vote speaks of are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from promptlabel.label_sets import set_members
from promptlabel.records import TaskKind, Vote


@dataclass(frozen=True, slots=True)
class LabelTally:
    """How often votes say, of one label, that it applies or does not, rightly and wrongly; and how often nothing."""

    label: str
    applies_right: int
    applies_wrong: int
    denied_right: int
    denied_wrong: int
    silent: int


def said_of(vote: Vote) -> dict[str, bool]:
    """Of each label that a vote on a set speaks of whether it applies; empty for what is no vote.

    A label that is as likely as not is not spoken of.
    """
    if vote.label is None:
        return {}
    if vote.distribution is None:
        return dict.fromkeys(set_members(vote.label), True)
    return {label: share > 0.5 for label, share in vote.distribution.items() if share != 0.5}


def is_right(vote: Vote, gold: str | None, kind: TaskKind) -> bool | None:
    """Whether a vote says what people decided, of a set all that it says; None where either of them says nothing."""
    if vote.label is None or gold is None:
        return None
    if kind != "several":
        return vote.label == gold
    given = set_members(gold)
    return all(applies == (label in given) for label, applies in said_of(vote).items())


def contradict(one: Vote, other: Vote, kind: TaskKind) -> bool:
    """Whether two votes cannot both be right: other labels, or of sets another word on a label that both speak of."""
    if one.label is None or other.label is None:
        return False
    if kind != "several":
        return one.label != other.label
    theirs = said_of(other)
    return any(theirs.get(label, applies) != applies for label, applies in said_of(one).items())


def tallies(votes: Iterable[Vote], gold: Mapping[str, str], labels: Iterable[str]) -> list[LabelTally]:
    """For each label how right the votes on traces with gold are about it."""
    judged = [(said_of(vote), set_members(gold[vote.trace_id])) for vote in votes if vote.trace_id in gold]
    return [_tally(label, [(said.get(label), label in given) for said, given in judged]) for label in labels]


def _tally(label: str, pairs: list[tuple[bool | None, bool]]) -> LabelTally:
    return LabelTally(
        label,
        applies_right=pairs.count((True, True)),
        applies_wrong=pairs.count((True, False)),
        denied_right=pairs.count((False, False)),
        denied_wrong=pairs.count((False, True)),
        silent=sum(said is None for said, _ in pairs),
    )
