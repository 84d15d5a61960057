"""From a model's answer to a vote; what is not exactly one of the rule's answers is malformed, never guessed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

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
_MAX_ANSWER: Final = 100_000
_REFUSAL: Final = re.compile(r"\b(sorry|unable to|can(?:no|['’])t|won['’]t|as an ai)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer amounts to: the fields of a vote that do not say whose it is.

    Attributes:
        confidence: probability of the label among all answers, those that abstain too; None for a text answer.
        distribution: probability of each label of the task, summing to one, for a vote of a rule that can vote
            for at least two labels; else None.
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


def read_vote(rule: PromptRule, answer: Answer) -> Reading:
    """The vote, abstention or malformed answer that a model's answer to this rule's question is.

    A distribution decides where there is one: answers' probabilities are summed by label, and the rule abstains
    where abstaining is at least as likely as every label, where two labels tie, or below `abstain_below`.
    A text is one of the answers, plain or as ``{"answer": ...}``, but for case, quotes and closing punctuation.
    """
    try:
        if answer.distribution is not None:
            return _read_distribution(rule, answer.distribution)
        return _read_text(rule, answer.text)
    except _MalformedError as malformed:
        return Reading("malformed", cause=malformed.cause)


# --- distributions over the answers


def _read_distribution(rule: PromptRule, distribution: Mapping[str, float]) -> Reading:
    masses, abstaining = _label_masses(rule, distribution)
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
    label = rule.answers[_match(rule, said)]
    return Reading("abstain" if label is None else "vote", label, rationale=rationale)


def _read_json(text: str, rule: PromptRule) -> tuple[str, str | None]:
    """The answer and the rationale of a JSON object that holds these and nothing else."""
    try:
        found = _DECODER.decode(text)
    except (json.JSONDecodeError, RecursionError):
        raise _MalformedError("not_json") from None
    allowed = {_ANSWER_KEY, _RATIONALE_KEY} if rule.spec.rationale else {_ANSWER_KEY}
    if _ANSWER_KEY not in found or not found.keys() <= allowed:
        raise _MalformedError("wrong_keys")
    said, rationale = found[_ANSWER_KEY], found.get(_RATIONALE_KEY)
    if not isinstance(said, str) or not isinstance(rationale, str | None):
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
