"""A prompt rule: a trace in, a question out, and the digest of what the rule means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Final, Literal

from promptlabel.errors import PromptlabelError
from promptlabel.records import Decode, JsonValue, Message, Question, Shot, Trace, digest
from promptlabel.rules.spec import Example, RuleSpec, TaskSpec
from promptlabel.rules.template import PromptTemplate, prompt_template

EXAMPLE_ID: Final = "example"


class RenderError(PromptlabelError, ValueError):
    """A prompt could not be made for one trace; names the rule and the trace, whose cell alone fails."""

    def __init__(self, rule: str, trace_id: str, cause: Exception) -> None:
        self.rule = rule
        self.trace_id = trace_id
        super().__init__(f"rule {rule}, trace {trace_id}: {cause}")


@dataclass(frozen=True, eq=False)
class PromptRule:
    """A checked prompt rule of a task; two rules are equal in meaning when their `rule_hash` is."""

    name: str
    spec: RuleSpec
    task_spec: TaskSpec
    kind: ClassVar[Literal["prompt"]] = "prompt"

    @property
    def task(self) -> str:
        """The task's name."""
        return self.task_spec.task

    @property
    def models(self) -> tuple[str, ...]:
        """The configured models to ask, a vote each."""
        return self.spec.model_names

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The task's labels in order."""
        return tuple(self.task_spec.labels)

    @cached_property
    def answers(self) -> Mapping[str, str | None]:
        """Each admitted answer and the label it stands for, None where it abstains, in the order asked."""
        return self.spec.answers_for(self.task_spec.labels)

    @cached_property
    def template(self) -> PromptTemplate:
        """The prompt as a template."""
        return prompt_template(self.spec.prompt)

    @cached_property
    def rule_hash(self) -> str:
        """The digest of all that decides its votes besides the model: template, answers, decoding, shots, threshold.

        Names, descriptions, comments, tags, owner and order of keys are no part of it. Examples, labels'
        descriptions and guidelines are part of it only where a question can show them. What acts after the
        answer (the label of an answer, `abstain_below`) is part of it: changed, votes are derived anew, and
        since the request stays the same, from the answers already paid for.
        """
        spec = self.spec
        return digest(
            {
                "template": self.template.meaning,
                "answers": list(self.answers.items()),
                "decode": spec.decode,
                "rationale": spec.rationale,
                "samples": spec.samples,
                "abstain_below": spec.abstain_below,
                "shots": spec.shots if self._may_show_shots else "none",
                "shown": self._shown,
            }
        )

    def question(self, trace: Trace, *, decode: Decode, few_shot: bool, sample: int = 0) -> Question:
        """The question for a trace; `few_shot` says whether the model needs worked examples.

        Raises:
            RenderError: the template cannot be rendered for this trace.
        """
        return Question(
            prompt=self._render(trace.trace_id, {"trace": _read(trace, self.template.trace_fields)}),
            answers=self._admitted,
            shots=self._shots if self._may_show_shots and (few_shot or self.spec.shots == "fixed") else (),
            decode=decode,
            rationale=self.spec.rationale,
            sample=sample,
        )

    def example_questions(self, *, decode: Decode, few_shot: bool) -> tuple[tuple[Trace, Question], ...]:
        """Each of the rule's examples as a trace and its question, in which the other examples are the shots.

        Raises:
            RenderError: the template cannot be rendered for an example.
        """
        traces = [
            replace(_example_trace(example), trace_id=f"{EXAMPLE_ID}-{number}")
            for number, example in enumerate(self.spec.examples, start=1)
        ]
        asked = [self.question(trace, decode=decode, few_shot=few_shot) for trace in traces]
        return tuple(
            (trace, replace(question, shots=_without(question.shots, place)))
            for place, (trace, question) in enumerate(zip(traces, asked, strict=True))
        )

    @cached_property
    def _admitted(self) -> tuple[str, ...]:
        return tuple(self.answers)

    @cached_property
    def _may_show_shots(self) -> bool:
        """Examples become shots unless the rule says no, or shows them in its prompt itself."""
        if self.spec.shots == "auto":
            return bool(self.spec.examples) and "examples" not in self.template.variables
        return bool(self.spec.examples) and self.spec.shots == "fixed"

    @cached_property
    def _shots(self) -> tuple[Shot, ...]:
        return tuple(self._shot(example) for example in self.spec.examples)

    def _shot(self, example: Example) -> Shot:
        fields = _read(_example_trace(example), self.template.trace_fields)
        return Shot(self._render(EXAMPLE_ID, {"trace": fields}), self.answer_of(example.vote))

    def answer_of(self, vote: str) -> str:
        """The first answer that stands for a label, or for ``abstain``.

        Raises:
            ValueError: none does.
        """
        wanted = vote if vote in self.task_spec.labels else None
        for answer, label in self.answers.items():
            if label == wanted:
                return answer
        raise ValueError(f"no answer stands for '{vote}'")

    @cached_property
    def _task_values(self) -> dict[str, JsonValue]:
        """The variables that are the same for every trace."""
        return {
            "labels": dict(self.task_spec.labels),
            "guidelines": self.task_spec.guidelines,
            "examples": [example.model_dump(mode="json") for example in self.spec.examples],
        }

    @cached_property
    def _shown(self) -> dict[str, JsonValue]:
        """Of the variables that are the same for every trace, those that a question can show."""
        shown = set(self.template.variables) | ({"examples"} if self._may_show_shots else set())
        return {name: value for name, value in self._task_values.items() if name in shown}

    def _render(self, trace_id: str, values: dict[str, JsonValue]) -> str:
        try:
            return self.template.render(self._task_values | values)
        except Exception as error:  # a template is a program: whatever it raises fails this cell
            raise RenderError(self.name, trace_id, error) from error


# --- a trace as plain data: templates never meet an object of ours

_FIELDS: Final[Mapping[str, Callable[[Trace], JsonValue]]] = {
    "trace_id": lambda trace: trace.trace_id,
    "input": lambda trace: trace.input or "",
    "output": lambda trace: trace.output or "",
    "messages": lambda trace: [_message(message) for message in trace.messages],
    "transcript": lambda trace: trace.transcript,
    "category": lambda trace: trace.category or "",
    "metadata": lambda trace: _plain(trace.metadata),
}


def _read(trace: Trace, fields: Sequence[str]) -> dict[str, JsonValue]:
    return {name: _FIELDS[name](trace) for name in fields}


def _without(shots: tuple[Shot, ...], place: int) -> tuple[Shot, ...]:
    return shots[:place] + shots[place + 1 :]


def _message(message: Message) -> dict[str, JsonValue]:
    timestamp = message.timestamp.isoformat() if message.timestamp else ""
    return {"role": message.role, "content": message.content, "timestamp": timestamp}


def _plain(value: object) -> JsonValue:
    """A copy made of dicts, lists and scalars; anything else becomes text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or type(value) in (bool, int, float, str) else str(value)  # type: ignore[return-value]


def _example_trace(example: Example) -> Trace:
    return Trace(
        trace_id=EXAMPLE_ID,
        input=example.input,
        output=example.output,
        messages=tuple(Message(message.role, message.content) for message in example.messages),
        category=example.category,
        metadata=example.metadata,
    )
