"""From a model's answer to a vote; what is not exactly one of the rule's answers is malformed, never guessed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from promptlabel.label_sets import NONE, applying, set_members, set_name
from promptlabel.records import Answer, Status
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import normal_answer

Cause: TypeAlias = Literal[
    "empty",
    "not_json",
    "wrong_keys",
    "not_text",
    "several_answers",
    "refusal",
    "unknown_answer",
    "bad_distribution",
]

_ANSWER_KEY: Final = "answer"
_RATIONALE_KEY: Final = "rationale"
_LEAST_MASS: Final = 1e-12
_MAX_ANSWER: Final = 100_000
_REFUSAL: Final = re.compile(r"\b(sorry|unable to|can(?:no|['’])t|won['’]t|as an ai)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer amounts to: the fields of a vote that do not say whose it is.

    Attributes:
        confidence: probability of the label among all answers, those that abstain too; None for a text answer.
        label: of a task where several may apply the name of a set.
        distribution: probability of each label of the task, summing to one, for a vote of a rule that can vote
            for at least two labels; else None. Where several may apply, of each label that the rule speaks of the
            probability that it does.
    """

    status: Status
    label: str | None = None
    confidence: float | None = None
    distribution: Mapping[str, float] | None = None
    cause: Cause | None = None
    rationale: str | None = None


class _MalformedError(ValueError):
    """An answer that is none of the rule's, and the word for why."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause = cause


def read_vote(rule: PromptRule, answer: Answer, *, swapped: bool = False) -> Reading:
    """The vote, abstention or malformed answer that a model's answer to this rule's question is.

    A distribution decides where there is one: answers' probabilities are summed by label, and the rule abstains
    where abstaining is at least as likely as every label, where two labels tie, or below `abstain_below`.
    A text is one of the answers, plain or as ``{"answer": ...}``, but for case, quotes and closing punctuation.

    Args:
        rule: whose question was answered.
        answer: as received.
        swapped: whether a pairwise rule showed its outputs in the other order; the vote speaks of them as logged.
    """
    said = _read(rule, answer)
    return _turned(said, rule) if swapped else said


def read_pair(rule: PromptRule, as_logged: Answer, swapped: Answer) -> Reading:
    """The vote that the answers to both orders of a pair amount to.

    Distributions are joined by their geometric mean, the midpoint of their log-odds, which cancels whatever liking
    the model has for a place. Plain answers count where they name the same output; else the rule abstains.
    """
    readings = read_vote(rule, as_logged), read_vote(rule, swapped, swapped=True)
    if any(one.status == "malformed" for one in readings):
        return next(one for one in readings if one.status == "malformed")
    if as_logged.distribution is None or swapped.distribution is None:
        same = readings[0].status == "vote" and readings[0].label == readings[1].label
        return readings[0] if same else Reading("abstain")
    shown = _label_masses(rule, as_logged.distribution), _label_masses(rule, swapped.distribution)
    here, there = shown[0][0], _in_other_order(shown[1][0], rule)
    joined = {label: math.sqrt(mass * there.get(label, 0.0)) for label, mass in here.items()}
    abstaining = math.sqrt(shown[0][1] * shown[1][1])
    whole = math.fsum(joined.values()) + abstaining
    if whole <= 0:
        return Reading("abstain")
    return _decided(rule, {label: mass / whole for label, mass in joined.items()}, abstaining / whole)


def side_log_odds(rule: PromptRule, answer: Answer) -> float | None:
    """How much likelier the answer makes the output shown first than the other, as log-odds; None for a plain one."""
    if answer.distribution is None:
        return None
    masses, _ = _label_masses(rule, answer.distribution)
    first, second = (max(masses.get(label, 0.0), _LEAST_MASS) for label in rule.labels[:2])
    return math.log(first / second)


def _turned(said: Reading, rule: PromptRule) -> Reading:
    """The reading in terms of the outputs as logged, of an answer to the other order."""
    distribution = None if said.distribution is None else _in_other_order(said.distribution, rule)
    other = _other_side(rule)
    label = said.label if said.label is None else other.get(said.label, said.label)
    return replace(said, label=label, distribution=distribution)


def _in_other_order(masses: Mapping[str, float], rule: PromptRule) -> dict[str, float]:
    other = _other_side(rule)
    found = {other.get(label, label): mass for label, mass in masses.items()}
    return {label: found[label] for label in rule.labels if label in found}


def _other_side(rule: PromptRule) -> dict[str, str]:
    first, second = rule.labels[:2]
    return {first: second, second: first}


def _read(rule: PromptRule, answer: Answer) -> Reading:
    try:
        if rule.task_spec.kind == "several":
            return _read_set(rule, answer)
        if answer.distribution is not None:
            return _read_distribution(rule, answer.distribution)
        return _read_text(rule, answer.text)
    except _MalformedError as malformed:
        return Reading("malformed", cause=malformed.cause)


# --- distributions over the answers


def _read_distribution(rule: PromptRule, distribution: Mapping[str, float]) -> Reading:
    return _decided(rule, *_label_masses(rule, distribution))


def _decided(rule: PromptRule, masses: Mapping[str, float], abstaining: float) -> Reading:
    label = max(masses, key=masses.__getitem__)
    confidence = masses[label]
    if abstaining >= confidence:
        return Reading("abstain", confidence=abstaining)
    if list(masses.values()).count(confidence) > 1 or confidence < (rule.spec.abstain_below or 0.0):
        return Reading("abstain", confidence=confidence)
    return Reading("vote", label, confidence, _over_labels(rule, masses))


def _label_masses(rule: PromptRule, distribution: Mapping[str, float]) -> tuple[dict[str, float], float]:
    """Probability of each label that an answer stands for, and of abstaining; together they are one."""
    probabilities = distribution.values()
    if distribution.keys() != rule.answers.keys() or not all(0 <= mass < math.inf for mass in probabilities):
        raise _MalformedError("bad_distribution")
    total = math.fsum(probabilities)
    if total <= 0:
        raise _MalformedError("bad_distribution")
    masses = {label: 0.0 for label in rule.answers.values() if label is not None}
    abstaining = 0.0
    for answer, label in rule.answers.items():
        if label is None:
            abstaining += distribution[answer] / total
        else:
            masses[label] += distribution[answer] / total
    return masses, abstaining


# --- sets of labels


def _read_set(rule: PromptRule, answer: Answer) -> Reading:
    """The labels that the answer says apply, and by leaving them out those it says do not.

    A distribution over answers becomes, of each label, the share of the answers that name it; the rule abstains where
    abstaining is at least as likely as any other answer, where a label is as likely as not, or less certain than
    `abstain_below`.
    """
    if answer.distribution is None:
        return _read_named_set(rule, answer.text)
    masses, abstaining = _label_masses(rule, answer.distribution)
    if abstaining >= max(masses.values()):
        return Reading("abstain", confidence=abstaining)
    speaking = math.fsum(masses.values())
    shares = {
        label: math.fsum(mass for said, mass in masses.items() if label in set_members(said)) / speaking
        for label in rule.spoken_of
    }
    confidence = min(max(share, 1 - share) for share in shares.values())
    if confidence <= 0.5 or confidence < (rule.spec.abstain_below or 0.0):
        return Reading("abstain", confidence=confidence)
    return Reading("vote", set_name(applying(shares), rule.labels), confidence, shares)


def _read_named_set(rule: PromptRule, text: str) -> Reading:
    if not text.strip():
        raise _MalformedError("empty")
    said, rationale = _read_json(text, rule) if text.lstrip().startswith("{") else (text, None)
    if rule.asks_for_a_set:
        named = list(set_members(said)) if isinstance(said, str) else said
        if isinstance(said, str) and normal_answer(said) == NONE:
            named = []
        members = {label for one in named for label in set_members(rule.answers[_match(rule, one)] or NONE)}
    else:
        found = rule.answers[_match(rule, _one_text(said))]
        if found is None:
            return Reading("abstain", rationale=rationale)
        members = set(set_members(found))
    shares = {label: float(label in members) for label in rule.spoken_of}
    return Reading("vote", set_name(members, rule.labels), None, shares, rationale=rationale)


def _one_text(said: str | list[str]) -> str:
    if isinstance(said, list):
        raise _MalformedError("not_text")
    return said


def _over_labels(rule: PromptRule, masses: Mapping[str, float]) -> dict[str, float] | None:
    if len(masses) < 2:
        return None
    total = math.fsum(masses.values())
    return {label: masses.get(label, 0.0) / total for label in rule.labels}


# --- texts


def _read_text(rule: PromptRule, text: str) -> Reading:
    if not text.strip():
        raise _MalformedError("empty")
    said, rationale = _read_json(text, rule) if text.lstrip().startswith("{") else (text, None)
    label = rule.answers[_match(rule, _one_text(said))]
    return Reading("abstain" if label is None else "vote", label, rationale=rationale)


def _read_json(text: str, rule: PromptRule) -> tuple[str | list[str], str | None]:
    """The answer and the rationale of a JSON object that holds these and nothing else."""
    try:
        found = _DECODER.decode(text)
    except (json.JSONDecodeError, RecursionError):
        raise _MalformedError("not_json") from None
    allowed = {_ANSWER_KEY, _RATIONALE_KEY} if rule.spec.rationale else {_ANSWER_KEY}
    if _ANSWER_KEY not in found or not found.keys() <= allowed:
        raise _MalformedError("wrong_keys")
    said, rationale = found[_ANSWER_KEY], found.get(_RATIONALE_KEY)
    is_set = rule.asks_for_a_set and isinstance(said, list) and all(isinstance(one, str) for one in said)
    if not (is_set or isinstance(said, str)) or not isinstance(rationale, str | None):
        raise _MalformedError("not_text")
    return said, rationale


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _MalformedError("several_answers")
    return found


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once_each)


def _match(rule: PromptRule, said: str) -> str:
    """The rule's answer that the text is."""
    if said in rule.answers:
        return said
    normal = {normal_answer(answer): answer for answer in rule.answers}
    found = normal.get(normal_answer(said)) if len(said) <= _MAX_ANSWER else None
    if found is None:
        raise _MalformedError(_why_none(said, normal))
    return found


def _why_none(said: str, answers: Mapping[str, str]) -> Cause:
    if not normal_answer(said):
        return "empty"
    words = said[:_MAX_ANSWER].casefold()
    mentioned = [answer for answer in answers if re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", words)]
    if len(mentioned) > 1:
        return "several_answers"
    return "refusal" if _REFUSAL.search(words) else "unknown_answer"
