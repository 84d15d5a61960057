"""The nouns that all stages share: traces, questions, answers, votes, posteriors, picks, gold."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Final, Literal, TypeAlias

import orjson

from promptlabel.label_sets import applying, set_name

ABSTAIN: Final = -1

ORDER: Final = ("first", "second")
"""What the two outputs that are compared are called, in the order shown."""

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
Status: TypeAlias = Literal["vote", "abstain", "malformed", "error"]
Decode: TypeAlias = Literal["logprobs", "json", "text"]
TaskKind: TypeAlias = Literal["one", "several", "ordered", "pairwise"]
RuleKind: TypeAlias = Literal["prompt", "heuristic", "signal"]
ReviewAction: TypeAlias = Literal["label", "skip", "flag", "undo", "change", "adjudicate", "suggest", "told"]


def digest(content: object) -> str:
    """32 hexadecimal digits (128 bits of SHA-256) of the canonical JSON of `content`."""
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str
    timestamp: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something a person did around a trace: copied, edited, rated, left."""

    trace_id: str
    timestamp: datetime
    event: str
    value: JsonValue = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """One interaction of a product with a person, as it was logged, and the signals of its events.

    Attributes:
        outputs: the two outputs of one input that a pairwise task compares, in the order in which they were logged.
    """

    trace_id: str
    timestamp: datetime | None = None
    input: str | None = None
    output: str | None = None
    messages: tuple[Message, ...] = ()
    category: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    signals: Mapping[str, float] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()

    def signal(self, name: str) -> float | None:
        """The value of a behavioural signal, or None where nothing was observed for this trace."""
        return self.signals.get(name)

    @cached_property
    def turns(self) -> tuple[Message, ...]:
        """The messages, with input and output as first and last where no message holds them."""
        contents = {message.content for message in self.messages}
        turns = list(self.messages)
        if self.input is not None and self.input not in contents:
            turns.insert(0, Message("user", self.input))
        if self.output is not None and self.output not in contents:
            turns.append(Message("assistant", self.output))
        turns += map(Message, ORDER, self.outputs)
        return tuple(turns)

    @cached_property
    def transcript(self) -> str:
        """The turns as ``role: content`` lines; input and output are always in it."""
        return "\n".join(f"{turn.role}: {turn.content}" for turn in self.turns)

    @cached_property
    def content_hash(self) -> str:
        """The digest of all that was logged; signals, which grow later, are not part of it."""
        return digest(trace_record(self))


def trace_record(trace: Trace) -> dict[str, Any]:
    """The trace as the JSON object of the interface, without empty fields and without signals."""
    record: dict[str, Any] = {
        "trace_id": trace.trace_id,
        "timestamp": trace.timestamp,
        "input": trace.input,
        "output": trace.output,
        "outputs": list(trace.outputs),
        "messages": [message_record(message) for message in trace.messages],
        "category": trace.category,
        "session_id": trace.session_id,
        "user_id": trace.user_id,
        "metadata": dict(trace.metadata),
    }
    return {key: value for key, value in record.items() if value not in (None, [], {})}


def message_record(message: Message) -> dict[str, Any]:
    """The message as a JSON object, its timestamp left out where there is none."""
    record: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.timestamp is not None:
        record["timestamp"] = message.timestamp
    return record


@dataclass(frozen=True, slots=True)
class Gold:
    """A label a person gave. Only `blind` decisions, made before seeing any vote, may enter an eval set."""

    trace_id: str
    task: str
    label: str
    reviewer: str
    timestamp: datetime
    blind: bool = True
    lane: str | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Shot:
    """A worked example inside a question: a prompt rendered like the question's, and its answer."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Question:
    """A rendered prompt and the answers it admits; all a model needs to know.

    Attributes:
        several: whether any number of the answers may be given, none too; said by the class, not by a field, so that
            the digests of all other questions are what they were.
    """

    several: ClassVar[bool] = False

    prompt: str
    answers: tuple[str, ...]
    shots: tuple[Shot, ...] = ()
    decode: Decode = "json"
    rationale: bool = False
    sample: int = 0


@dataclass(frozen=True, slots=True)
class SetQuestion(Question):
    """A question to which any number of its answers may be given."""

    several: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens one request took, as the server counted them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, unparsed.

    Attributes:
        text: the answer as received; with `logprobs` decoding the likeliest of the question's answers.
        distribution: probability of each of the question's answers, renormalised over them, or None.
        outside: probability mass that fell on none of the answers, or None where it is not known.
    """

    text: str
    distribution: Mapping[str, float] | None = None
    outside: float | None = None
    usage: Usage = Usage()
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Vote:
    """What one rule says of one trace; `label` is set when, and only when, `status` is ``vote``.

    Attributes:
        key: digest of rule meaning, model and parameters, trace content and sample index.
        request: digest of the request that was sent, shared by equal requests; None for code.
        distribution: probability of each label after calibration, or None for a hard vote. Where several labels may
            apply, of each label the rule speaks of the probability that it does.
        raw: the model's answer as received: the text, and the distribution over answers where there is one.
        cause: why there is no vote, for ``malformed`` and ``error``.
    """

    key: str
    trace_id: str
    task: str
    rule_hash: str
    model_hash: str
    status: Status
    label: str | None = None
    confidence: float | None = None
    distribution: Mapping[str, float] | None = None
    sample: int = 0
    request: str | None = None
    raw: Answer | None = None
    cause: str | None = None
    rationale: str | None = None


@dataclass(frozen=True, slots=True)
class RegisteredRule:
    """A rule as the store knows it: a name today, and the hashes that say whose votes are its own."""

    task: str
    rule: str
    kind: RuleKind
    model: str
    rule_hash: str
    model_hash: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One paid or failed request, as the ledger keeps it."""

    request: str
    task: str
    rule: str
    model: str
    at: datetime
    seconds: float
    cause: str
    usage: Usage
    usd: float


@dataclass(frozen=True, slots=True)
class Posterior:
    """What the label model believes of one trace.

    Attributes:
        probs: of every label; they sum to one, but where several may apply each is the probability that it does.
    """

    trace_id: str
    task: str
    probs: Mapping[str, float]
    kind: TaskKind = "one"

    @property
    def label(self) -> str:
        """The likeliest label, the first of equals in the task's order.

        Where several may apply, the name of the likeliest set.
        """
        if self.kind == "several":
            return set_name(applying(self.probs), tuple(self.probs))
        return max(self.probs, key=self.probs.__getitem__)

    @property
    def confidence(self) -> float:
        """The probability of `label`."""
        if self.kind == "several":
            return math.prod(max(share, 1 - share) for share in self.probs.values())
        return self.probs[self.label]


@dataclass(frozen=True, slots=True)
class Pick:
    """A trace chosen for review: by which lane, how strongly, with what probability, and why."""

    trace_id: str
    task: str
    lane: str
    score: float
    probability: float
    reason: str
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReviewEvent:
    """One append-only event of a reviewer; `event_id` is the idempotency key the page made.

    ``suggest`` and ``told`` say what the server showed the reviewer: a label that is wrong on purpose, and later
    that it was.

    Attributes:
        blind: decided before the reviewer could see any vote; a ``change`` never is.
        undoes: the event this one takes back, for ``undo``.
    """

    event_id: str
    trace_id: str
    task: str
    reviewer: str
    action: ReviewAction
    at: datetime
    label: str | None = None
    blind: bool = True
    seconds: float | None = None
    lane: str | None = None
    probability: float | None = None
    undoes: str | None = None
