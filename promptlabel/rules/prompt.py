"""A prompt rule: a trace in, a question out, and the digest of what the rule means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

from promptlabel.errors import PromptlabelError
from promptlabel.label_sets import set_members
from promptlabel.records import ORDER, Decode, JsonValue, Question, SetQuestion, Shot, Trace, digest
from promptlabel.redaction import redacted
from promptlabel.rules.choices import Shots
from promptlabel.rules.fencing import Fence
from promptlabel.rules.partials import Partials
from promptlabel.rules.parts import text_of
from promptlabel.rules.shots import Neighbours, balanced
from promptlabel.rules.spec import ABSTAIN_ANSWER, Example, RuleSpec, TaskSpec
from promptlabel.rules.template import Condition, PromptTemplate, prompt_template
from promptlabel.rules.trace_values import EXAMPLE_ID, all_fields, example_trace, read_fields


class RenderError(PromptlabelError, ValueError):
    """A prompt could not be made for one trace; names the rule and the trace, whose cell alone fails."""

    def __init__(self, rule: str, trace_id: str, cause: Exception) -> None:
        self.rule = rule
        self.trace_id = trace_id
        super().__init__(f"rule {rule}, trace {trace_id}: {cause}")


@dataclass(frozen=True, eq=False)
class PromptRule:
    """A checked prompt rule of a task; two rules are equal in meaning when their `rule_hash` is.

    Attributes:
        partials: the files of the task's folder that its prompt may include.
        secret: the project's, from which the delimiters around what traces say are made.
    """

    name: str
    spec: RuleSpec
    task_spec: TaskSpec
    partials: Partials = ()
    secret: bytes = b""
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
        answers = self.spec.answers_for(self.task_spec.labels)
        return {answer: said and self.task_spec.named(said) for answer, said in answers.items()}

    @cached_property
    def asks_for_a_set(self) -> bool:
        """Whether the model may give any number of the answers: where several labels may apply, and none are mapped."""
        return self.task_spec.kind == "several" and self.spec.answers is None

    @cached_property
    def spoken_of(self) -> tuple[str, ...]:
        """The labels that its answers name; where several may apply, it says nothing of the others."""
        named = {label for said in self.answers.values() if said for label in set_members(said)}
        return tuple(label for label in self.labels if label in named)

    @property
    def is_pairwise(self) -> bool:
        """Whether it compares two outputs, so that models are asked in both orders."""
        return self.task_spec.kind == "pairwise"

    @property
    def asks(self) -> int:
        """How many votes it casts a trace and model: samples, of a pairwise rule each in both orders."""
        return self.spec.samples * (2 if self.is_pairwise else 1)

    @cached_property
    def template(self) -> PromptTemplate:
        """The prompt as a template."""
        return prompt_template(self.spec.prompt, self.partials)

    @cached_property
    def rule_hash(self) -> str:
        """The digest of all that decides its votes besides the model: template, answers, decoding, shots, threshold.

        Names, descriptions, comments, tags, owner and order of keys are no part of it. Examples, labels'
        descriptions and guidelines are part of it only where a question can show them. What acts after the
        answer (the label of an answer, `abstain_below`) is part of it: changed, votes are derived anew, and
        since the request stays the same, from the answers already paid for.
        """
        spec = self.spec
        meaning: dict[str, object] = {
            "template": self.template.meaning,
            "answers": list(self.answers.items()),
            "decode": spec.decode,
            "rationale": spec.rationale,
            "samples": spec.samples,
            "abstain_below": spec.abstain_below,
            "shots": _shots_meaning(spec.shots) if self._may_show_shots else "none",
            "shown": self._shown,
        }
        return digest(meaning | self._rarer_meaning)

    @property
    def _rarer_meaning(self) -> dict[str, object]:
        """What few rules say, and only where they do: a key that comes into the language changes no other rule."""
        said: dict[str, object] = {}
        if self.condition is not None:
            said["when"] = self.condition.meaning
        if "text" in self.template.variables and self.spec.inputs.way != "transcript":
            said["inputs"] = [self.spec.inputs.way, self.spec.inputs.argument]
        if self.spec.fence != "auto":
            said["fence"] = self.spec.fence
        if self.task_spec.kind in ("several", "pairwise"):
            said["kind"] = self.task_spec.kind
        return said

    @cached_property
    def condition(self) -> Condition | None:
        """What a trace must meet to be asked about."""
        return None if self.spec.when is None else Condition(self.spec.when)

    def applies(self, trace: Trace) -> bool:
        """Whether the trace meets the rule's `when`, and of a pairwise rule has two outputs.

        Raises:
            RenderError: the condition cannot be evaluated for this trace.
        """
        if self.is_pairwise and len(trace.outputs) != len(ORDER):
            return False
        if self.condition is None:
            return True
        try:
            return self.condition.holds(all_fields(trace, self.condition, self.spec.inputs))
        except Exception as error:  # an expression is a program: whatever it raises fails this cell
            raise RenderError(self.name, trace.trace_id, error) from error

    def question(self, trace: Trace, *, decode: Decode, few_shot: bool, sample: int = 0) -> Question:
        """The question for a trace; `few_shot` says whether the model needs worked examples.

        Of a pairwise rule, samples with odd numbers are asked with the outputs in the other order.

        Raises:
            RenderError: the template cannot be rendered for this trace.
        """
        fence = self._fence(few_shot)
        if self.is_pairwise:
            trace, sample = (swapped(trace) if is_swapped(sample) else trace), sample // 2
        form = SetQuestion if self.asks_for_a_set else Question
        return form(
            prompt=self._render(trace, fence),
            answers=self._admitted,
            shots=self._shots_for(trace, few_shot, fence),
            decode=decode,
            rationale=self.spec.rationale,
            sample=sample,
        )

    def example_questions(
        self, *, decode: Decode, few_shot: bool, sample: int = 0
    ) -> tuple[tuple[Trace, Question], ...]:
        """Each of the rule's examples as a trace and its question, in which the other examples are the shots.

        Raises:
            RenderError: the template cannot be rendered for an example.
        """
        traces = [
            replace(example_trace(example), trace_id=f"{EXAMPLE_ID}-{number}")
            for number, example in enumerate(self.spec.examples, start=1)
        ]
        return tuple(
            (trace, self._without(place).question(trace, decode=decode, few_shot=few_shot, sample=sample))
            for place, trace in enumerate(traces)
        )

    def _without(self, place: int) -> PromptRule:
        """The rule without one of its examples, which is to be asked about; its prompt goes on showing all of them."""
        if "examples" in self.template.variables:
            return self
        others = self.spec.examples[:place] + self.spec.examples[place + 1 :]
        return replace(self, spec=self.spec.model_copy(update={"examples": others}))

    @cached_property
    def _admitted(self) -> tuple[str, ...]:
        return tuple(self.answers)

    @cached_property
    def _may_show_shots(self) -> bool:
        """Examples become shots unless the rule says no, or shows them in its prompt itself."""
        if self.spec.shots.way == "auto":
            return bool(self.spec.examples) and "examples" not in self.template.variables
        return bool(self.spec.examples) and self.spec.shots.way != "none"

    def _shots_for(self, trace: Trace, few_shot: bool, fence: Fence | None) -> tuple[Shot, ...]:
        way, number = self.spec.shots.way, self.spec.shots.number
        if not self._may_show_shots or (way == "auto" and not few_shot):
            return ()
        if way == "nearest":
            places = self._neighbours.nearest(text_of(trace, self.spec.inputs), number)
        elif way == "balanced":
            places = self._balanced
        else:
            return self._shots(fence)
        shots = self._shots(fence)
        return tuple(shots[place] for place in places)

    @cached_property
    def _balanced(self) -> list[int]:
        return balanced([example.vote for example in self.spec.examples], self.spec.shots.number)

    @cached_property
    def _neighbours(self) -> Neighbours:
        return Neighbours(
            [text_of(example_trace(example), self.spec.inputs) for example in self.spec.examples]
        )

    def _shots(self, fence: Fence | None) -> tuple[Shot, ...]:
        """All examples as worked examples, rendered once."""
        if fence not in self._rendered_shots:
            self._rendered_shots[fence] = tuple(
                Shot(self._render(example_trace(example), fence), self.answer_of(example.vote))
                for example in self.spec.examples
            )
        return self._rendered_shots[fence]

    @cached_property
    def _rendered_shots(self) -> dict[Fence | None, tuple[Shot, ...]]:
        return {}

    def _fence(self, few_shot: bool) -> Fence | None:
        """How what traces say is set apart; small models, which follow no explanation, are by default not given any."""
        if self.spec.fence == "none" or not self.secret or (self.spec.fence == "auto" and few_shot):
            return None
        return self._fences[self.spec.fence == "mark"]

    @cached_property
    def _fences(self) -> tuple[Fence, Fence]:
        return Fence(self.secret), Fence(self.secret, mark=True)

    def answer_of(self, vote: str) -> str:
        """The first answer that stands for a label, or for ``abstain``.

        Raises:
            ValueError: none does.
        """
        if self.asks_for_a_set:
            return self.task_spec.named(vote)
        wanted = None if vote == ABSTAIN_ANSWER else self.task_spec.named(vote)
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
            "examples": [_shown_example(example) for example in self.spec.examples],
        }

    @cached_property
    def _shown(self) -> dict[str, JsonValue]:
        """Of the variables that are the same for every trace, those that a question can show."""
        shown = set(self.template.variables) | ({"examples"} if self._may_show_shots else set())
        return {name: value for name, value in self._task_values.items() if name in shown}

    def _render(self, trace: Trace, fence: Fence | None) -> str:
        try:
            values: dict[str, JsonValue] = {"trace": read_fields(trace, self.template.trace_fields)}
            if "text" in self.template.variables:
                values["text"] = redacted(text_of(trace, self.spec.inputs))
            return self.template.render(self._task_values | values, fence)
        except Exception as error:  # a template is a program: whatever it raises fails this cell
            raise RenderError(self.name, trace.trace_id, error) from error


def swapped(trace: Trace) -> Trace:
    """The trace with its two outputs in the other order."""
    return replace(trace, outputs=trace.outputs[::-1])


def is_swapped(sample: int) -> bool:
    """Whether this sample of a pairwise rule is asked in the other order than the one logged."""
    return sample % 2 == 1


def _shown_example(example: Example) -> JsonValue:
    """An example as prompts see it; `outputs` only where it has some, so that other rules mean what they meant."""
    return example.model_dump(mode="json", exclude=None if example.outputs else {"outputs"})


def _shots_meaning(shots: Shots) -> JsonValue:
    return [shots.way, shots.number] if shots.number else shots.way
