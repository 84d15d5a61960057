"""What a task file and a rule file may say."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, JsonValue, ValidationInfo, field_validator, model_validator

from promptlabel.errors import nearest
from promptlabel.records import Decode
from promptlabel.strict_yaml import Keys, StrictModel

ABSTAIN_ANSWER: Final = "abstain"
"""The word that stands for no vote wherever a rule names a label."""

MAX_LABELS: Final = 127
_BALANCE_TOLERANCE: Final = 0.01


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _as_datetime(value: object) -> object:
    """The moment an ISO date or date-time names; UTC where it names no zone."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"'{value}' is not an ISO date such as 2026-01-31") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Share = Annotated[float, Field(ge=0, le=1, strict=False)]
Moment = Annotated[datetime, BeforeValidator(_as_datetime)]


_NOT_TEXT: Final = frozenset(("class_balance", "samples", "abstain_below", "rationale", "active"))


def is_text(path: Keys) -> bool:
    """Whether what stands at a path of a task or rule file is text, even if it looks like a number: all but a few."""
    return bool(path) and path[0] not in _NOT_TEXT and "metadata" not in path[:3]


class TaskSpec(StrictModel):
    """A parsed `task.yaml`.

    Attributes:
        labels: name -> description, in the order in which labels are numbered.
        class_balance: share of each label among all traces, summing to one; None where it is not known.
        holdout_after: gold of traces from this moment on is never shown to a label model.
    """

    task: str = Field(min_length=1)
    labels: dict[str, str]
    class_balance: dict[str, Annotated[float, Field(gt=0, lt=1, strict=False)]] | None = None
    guidelines: str = ""
    holdout_after: Moment | None = None

    @field_validator("labels", mode="before")
    @classmethod
    def _from_list(cls, labels: object) -> object:
        if not isinstance(labels, list):
            return labels
        if len(set(map(str, labels))) < len(labels):
            raise ValueError("a label is listed twice")
        return {str(name): "" for name in labels}

    @field_validator("labels")
    @classmethod
    def _named_well(cls, labels: dict[str, str]) -> dict[str, str]:
        if not 2 <= len(labels) <= MAX_LABELS:
            raise ValueError(f"needs 2 to {MAX_LABELS} labels, has {len(labels)}")
        if ABSTAIN_ANSWER in labels:
            raise ValueError(f"'{ABSTAIN_ANSWER}' cannot be a label: it means no vote")
        if any(not name or name != name.strip() for name in labels):
            raise ValueError("a label's name must not be empty, nor begin or end with a space")
        return labels

    @field_validator("class_balance")
    @classmethod
    def _over_labels(cls, balance: dict[str, float] | None, info: ValidationInfo) -> dict[str, float] | None:
        labels = info.data.get("labels")
        if balance is None or labels is None:
            return balance
        for name in balance:
            if name not in labels:
                raise ValueError(f"'{name}' is not a label of the task{nearest(name, labels)}")
        if missing := [name for name in labels if name not in balance]:
            raise ValueError(f"lacks {', '.join(missing)}")
        total = math.fsum(balance.values())
        if abs(total - 1) > _BALANCE_TOLERANCE:
            raise ValueError(f"sums to {total:g}, not 1")
        return {name: balance[name] / total for name in labels}


class ExampleMessage(StrictModel):
    """One turn of an example's conversation."""

    role: str
    content: str


class Example(StrictModel):
    """A trace in small and the vote it should get; checked offline, and used as a worked example."""

    vote: str
    input: str | None = None
    output: str | None = None
    messages: Annotated[tuple[ExampleMessage, ...], BeforeValidator(_as_tuple)] = ()
    category: str | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _shows_something(self) -> Example:
        if self.input is None and self.output is None and not self.messages:
            raise ValueError("needs `input`, `output` or `messages`")
        return self


class RuleSpec(StrictModel):
    """A parsed rule file, YAML or Jinja with front matter.

    Attributes:
        model: the configured model that is asked; `models` names several, a vote each.
        answers: what the model may say -> a label or ``abstain``; by default each label as itself.
        shots: examples as worked examples in the question: where the model needs them, never, or always.
        abstain_below: least confidence of a vote; below it the rule abstains.
        samples: how often each trace is asked.
        active: whether the rule votes; an inactive one is still checked.
    """

    prompt: str
    description: str = ""
    model: str | None = None
    models: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)] | None = None
    answers: dict[str, str] | None = None
    decode: Decode | None = None
    examples: Annotated[tuple[Example, ...], BeforeValidator(_as_tuple)] = ()
    shots: Literal["auto", "none", "fixed"] = "auto"
    abstain_below: Share | None = None
    rationale: bool = False
    samples: int = Field(default=1, ge=1, le=100)
    tags: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    owner: str | None = None
    active: bool = True

    @field_validator("prompt")
    @classmethod
    def _not_blank(cls, prompt: str) -> str:
        if not prompt.strip():
            raise ValueError("is empty")
        return prompt

    @field_validator("models")
    @classmethod
    def _listed_once(cls, models: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if models is not None and len(set(models)) < len(models):
            raise ValueError("a model is listed twice")
        return models

    @field_validator("answers")
    @classmethod
    def _told_apart(cls, answers: dict[str, str] | None) -> dict[str, str] | None:
        if answers is None:
            return None
        if len(answers) < 2:
            raise ValueError("needs at least two answers")
        plain = [normal_answer(answer) for answer in answers]
        if "" in plain:
            raise ValueError("an answer is empty but for spaces, quotes and punctuation")
        if len(set(plain)) < len(plain):
            raise ValueError("two answers differ only in case, spaces, quotes or closing punctuation")
        if set(answers.values()) == {ABSTAIN_ANSWER}:
            raise ValueError("no answer is a label")
        return answers

    @model_validator(mode="after")
    def _one_way_to_name_models(self) -> RuleSpec:
        if self.model is not None and self.models is not None:
            raise ValueError("has both `model` and `models`: keep one")
        return self

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models to ask, in order."""
        return self.models or (self.model or "default",)

    def answers_for(self, labels: Mapping[str, str]) -> dict[str, str | None]:
        """Each answer's label, None where it means abstain, in the order of the file."""
        answers = self.answers or {label: label for label in labels}
        return {answer: None if label == ABSTAIN_ANSWER else label for answer, label in answers.items()}


_AROUND: Final = string.whitespace + "\xa0\"'`“”„‘’«»"
_CLOSING: Final = _AROUND + ".,;:!?…"


def normal_answer(text: str) -> str:
    """The answer without surrounding spaces, quotes and closing punctuation, in one case."""
    return text.lstrip(_AROUND).rstrip(_CLOSING).casefold()
