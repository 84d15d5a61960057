"""What a task file and a rule file may say."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from promptlabel.errors import nearest
from promptlabel.label_sets import NONE, SEPARATOR, set_members, set_name
from promptlabel.records import ORDER, Decode, TaskKind
from promptlabel.rules.choices import Inputs, InputsChoice, Shots, ShotsChoice
from promptlabel.strict_yaml import Keys, StrictModel
from promptlabel.traces.asof import PredictAt

ABSTAIN_ANSWER: Final = "abstain"
"""The word that stands for no vote wherever a rule names a label."""

MAX_LABELS: Final = 127
_BALANCE_TOLERANCE: Final = 0.01
PAIR_LABELS: Final = {"first": "The first output is better.", "second": "The second output is better."}
"""The labels of a pairwise task that names none."""


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


def _as_set(value: object) -> object:
    """A list of labels as the name of their set; whatever else as it is."""
    if isinstance(value, list) and all(isinstance(label, str) for label in value):
        return set_name(value, ())
    return value


LabelOrSet = Annotated[
    str,
    BeforeValidator(_as_set),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""A label, or where several may apply a list of them, kept as the name of their set."""
Share = Annotated[float, Field(ge=0, le=1, strict=False)]
Moment = Annotated[datetime, BeforeValidator(_as_datetime)]


_NOT_TEXT: Final = frozenset(
    ("class_balance", "samples", "abstain_below", "rationale", "active", "shots", "inputs")
)


def is_text(path: Keys) -> bool:
    """Whether what stands at a path of a task or rule file is text, even if it looks like a number: all but a few."""
    return bool(path) and path[0] not in _NOT_TEXT and "metadata" not in path[:3]


class TaskSpec(StrictModel):
    """A parsed `task.yaml`.

    Attributes:
        kind: ``one`` label a trace, ``several`` labels or none, labels that are ``ordered`` from low to high, or
            ``pairwise``: which of two outputs is better.
        labels: name -> description, in the order in which labels are numbered. Of a pairwise task the first stands
            for the first output as logged, the second for the second, a third for a tie.
        class_balance: share of each label among all traces, None where it is not known; summing to one, unless
            several may apply.
        holdout_after: gold of traces from this moment on is never shown to a label model.
        predict_at: when a model that is trained on the labels must know them.
        matures_after_hours: how long after a trace its outcomes may still come in.
    """

    task: str = Field(min_length=1, description="The name of the task's folder.")
    kind: TaskKind = Field(
        default="one",
        description="one of the labels a trace; several, or none; ordered from low to high; pairwise: which of two "
        "outputs is better.",
    )
    labels: dict[str, str] = Field(
        description="Each label and what it means, or a list of names. A pairwise task may leave them out, or name "
        "what stands for the first output, for the second, and for a tie."
    )
    class_balance: dict[str, Annotated[float, Field(gt=0, lt=1, strict=False)]] | None = Field(
        default=None,
        description="The share of each label among all traces, where it is known; sums to 1 unless several apply.",
    )
    guidelines: str = Field(
        default="", description="How to judge: shown to reviewers, and {{ guidelines }} in prompts."
    )
    holdout_after: Moment | None = Field(
        default=None, description="Gold of traces later than this date teaches nothing: it judges."
    )
    predict_at: PredictAt = Field(
        default="end", description="What training rows may hold: all, up to the first answer, or before it."
    )
    matures_after_hours: float | None = Field(
        default=None, gt=0, strict=False, description="How long after a trace its outcomes may still come in."
    )

    @model_validator(mode="before")
    @classmethod
    def _pair(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("kind") == "pairwise":
            return {"labels": PAIR_LABELS, **given}
        return given

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
    def _named_well(cls, labels: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        kind = info.data.get("kind")
        if kind == "pairwise" and len(labels) not in (2, 3):
            raise ValueError(
                "a pairwise task has a label for the first output, one for the second, and at most a tie"
            )
        if kind == "several" and (odd := [name for name in labels if name == NONE or SEPARATOR in name]):
            raise ValueError(
                f"'{odd[0]}': where several labels apply, none is called '{NONE}' or holds a comma"
            )
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
        if info.data.get("kind") == "several":
            return {name: balance[name] for name in labels}
        if abs(total - 1) > _BALANCE_TOLERANCE:
            raise ValueError(f"sums to {total:g}, not 1")
        return {name: balance[name] / total for name in labels}

    def named(self, label: str) -> str:
        """The label in the one way of writing it: a set in the order of the task's labels, any other as it is."""
        return set_name(self.members(label), tuple(self.labels)) if self.kind == "several" else label

    def members(self, label: str) -> tuple[str, ...]:
        """The labels that a decision gives: one, or where several may apply those of its set."""
        return set_members(label) if self.kind == "several" else (label,)


class ExampleMessage(StrictModel):
    """One turn of an example's conversation."""

    role: str
    content: str


class Example(StrictModel):
    """A trace in small and the vote it should get; checked offline, and used as a worked example."""

    vote: LabelOrSet
    input: str | None = None
    output: str | None = None
    outputs: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(max_length=len(ORDER))] = ()
    messages: Annotated[tuple[ExampleMessage, ...], BeforeValidator(_as_tuple)] = ()
    category: str | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _shows_something(self) -> Example:
        if self.input is None and self.output is None and not self.messages and not self.outputs:
            raise ValueError("needs `input`, `output`, `outputs` or `messages`")
        if len(self.outputs) == 1:
            raise ValueError("`outputs` are two: a pairwise task compares them")
        return self


class AnyRuleSpec(StrictModel):
    """What every rule file may say, whoever decides: a model or a pattern.

    Attributes:
        when: an expression over trace fields; where it does not hold the rule abstains, and nothing is asked.
        inputs: the part of the trace that `text` is in a prompt, and that keywords and patterns are looked for in.
        active: whether the rule votes; an inactive one is still checked.
    """

    description: str = Field(default="", description="One line for people.")
    when: str | None = Field(
        default=None,
        description="The rule abstains unless this holds, such as trace.category == 'billing'; no call is made.",
    )
    inputs: InputsChoice = Field(
        default=Inputs("transcript"),
        description="The part of the trace to read: transcript, last_turn, {last_turns: 4}, "
        "{last_turn_of: user}, {last_tokens: 500}, or fields such as [input, metadata.plan].",
    )
    examples: Annotated[tuple[Example, ...], BeforeValidator(_as_tuple)] = Field(
        default=(), description="Traces in small and the vote each should get; the rule's unit tests."
    )
    tags: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        default=(), description="Words for people."
    )
    owner: str | None = Field(default=None, description="Who answers for the rule.")
    active: bool = Field(default=True, description="false: checked, not run.")


class RuleSpec(AnyRuleSpec):
    """A parsed prompt rule, YAML or Jinja with front matter.

    Attributes:
        model: the configured model that is asked; `models` names several, a vote each.
        answers: what the model may say -> a label or ``abstain``; by default each label as itself.
        shots: examples as worked examples in the question: where the model needs them, never, or always.
        abstain_below: least confidence of a vote; below it the rule abstains.
        samples: how often each trace is asked.
        fence: how what the trace says is set apart from what the rule says.
    """

    prompt: str = Field(description="A Jinja template over trace, text, labels, guidelines and examples.")
    model: str | None = Field(default=None, description="The model of promptlabel.yaml that is asked.")
    models: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)] | None = Field(
        default=None, description="Several models, a vote each."
    )
    answers: dict[str, LabelOrSet] | None = Field(
        default=None,
        description="Each admitted answer and the label it stands for, or abstain; where several labels may apply, "
        "a list of them, or none.",
    )
    decode: Decode | None = Field(default=None, description="How the answer is read; the model's best way.")
    shots: ShotsChoice = Field(
        default=Shots(),
        description="Which examples models are shown: fixed, none, auto (all, to small models), "
        "{balanced: 4} or {nearest: 4}.",
    )
    abstain_below: Share | None = Field(
        default=None, description="Abstain when the label is less likely than this."
    )
    rationale: bool = Field(default=False, description="Ask for the reason, and keep it.")
    samples: int = Field(default=1, ge=1, le=100, description="Ask so many times.")
    fence: Literal["auto", "none", "delimit", "mark"] = Field(
        default="auto",
        description="How the trace's text is fenced against instructions in it: delimit, mark every line too, none.",
    )

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


Texts: TypeAlias = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else _as_tuple(value)),
    Field(min_length=1),
]

CONDITIONS: Final = ("keyword", "regex", "sql", "signal")
"""The ways a rule can decide without a model and without Python."""


class DeclarativeSpec(AnyRuleSpec):
    """A parsed rule file that needs no model: each label and what speaks for it; exactly one way of `CONDITIONS`."""

    keyword: dict[str, Texts] | None = Field(
        default=None, description="Each label and the words or phrases that speak for it, in any case."
    )
    regex: dict[str, Texts] | None = Field(
        default=None, description="Each label and the regular expressions (RE2) that speak for it."
    )
    sql: dict[str, str] | None = Field(
        default=None,
        description="Each label and the SQL condition over trace_id, timestamp, input, output, transcript, text, "
        "messages, category, session_id, user_id and metadata under which it is voted.",
    )
    signal: dict[str, str] | None = Field(
        default=None, description="Each label and the condition on behavioural signals, such as copied >= 1."
    )

    @model_validator(mode="after")
    def _decides_one_way(self) -> Self:
        given = [name for name in CONDITIONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of prompt, {', '.join(CONDITIONS)}")
        if not getattr(self, given[0]):
            raise ValueError(f"`{given[0]}` names no label")
        return self

    @property
    def way(self) -> str:
        """The one of `CONDITIONS` by which it decides."""
        return next(name for name in CONDITIONS if getattr(self, name) is not None)

    @property
    def conditions(self) -> dict[str, tuple[str, ...]]:
        """Each label and the texts that speak for it, in the order of the file."""
        found: dict[str, str | tuple[str, ...]] = getattr(self, self.way)
        return {label: (texts,) if isinstance(texts, str) else texts for label, texts in found.items()}


_AROUND: Final = string.whitespace + "\xa0\"'`“”„‘’«»"
_CLOSING: Final = _AROUND + ".,;:!?…"


def normal_answer(text: str) -> str:
    """The answer without surrounding spaces, quotes and closing punctuation, in one case."""
    return text.lstrip(_AROUND).rstrip(_CLOSING).casefold()
