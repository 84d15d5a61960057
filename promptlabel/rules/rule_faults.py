"""What is wrong with a rule file: its keys, its template, its conditions, and the models and labels it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, TypeVar

from pydantic import ValidationError

from promptlabel.errors import Fault, nearest
from promptlabel.label_sets import NONE, set_members
from promptlabel.records import ORDER, JsonValue
from promptlabel.rules.partials import Partials
from promptlabel.rules.rule_expressions import signal_faults, when_faults
from promptlabel.rules.spec import ABSTAIN_ANSWER, CONDITIONS, DeclarativeSpec, TaskSpec, normal_answer
from promptlabel.rules.sql_conditions import condition_faults, pattern_fault
from promptlabel.rules.template import prompt_template
from promptlabel.strict_yaml import Document, Keys, StrictModel, faults_of

_Model = TypeVar("_Model", bound=StrictModel)


@dataclass(frozen=True, slots=True)
class Written:
    """A rule file as written: its keys, the line of the file on which the prompt begins, and all lines."""

    document: Document
    prompt_line: int
    lines: Sequence[str]

    def column(self, line: int, word: str) -> int | None:
        """Where a word, or without one the first tag, stands in a line of the file, from 1; None where it does not."""
        if line > len(self.lines):
            return None
        sought = rf"(?<!\w){re.escape(word)}(?!\w)" if word else r"{[{%]"
        found = re.search(sought, self.lines[line - 1])
        return found.start() + 1 if found else None


def validated(document: Document, model: type[_Model]) -> tuple[_Model | None, list[Fault]]:
    """The document as the model, None where there are faults."""
    try:
        return model.model_validate({} if document.data is None else document.data), []
    except ValidationError as error:
        return None, faults_of(error, document, model)


def is_declarative(document: Document) -> bool:
    """Whether the file says, or with a slip of the pen means to say, without a prompt what decides."""
    keys = document.data
    if not isinstance(keys, Mapping) or "prompt" in keys:
        return False
    meant = (get_close_matches(key, ("prompt", *CONDITIONS), n=1) for key in keys)
    return any(match and match[0] in CONDITIONS for match in meant)


def _way(document: Document) -> str:
    keys = document.data
    return next((way for way in CONDITIONS if isinstance(keys, Mapping) and way in keys), "")


def template_faults(written: Written, partials: Partials) -> Iterator[Fault]:
    """What is wrong with the prompt as a template."""
    prompt = _under(written.document.data, "prompt")
    if isinstance(prompt, str):
        for fault in prompt_template(prompt, partials).faults():
            line = written.prompt_line + fault.line - 1
            column = written.column(line, fault.word)
            yield Fault(fault.message, written.document.file, line, column, key="prompt")


def expression_faults(document: Document) -> Iterator[Fault]:
    """What is wrong with `when`."""
    when = _under(document.data, "when")
    if isinstance(when, str):
        for fault in when_faults(when):
            yield document.fault(fault.message, ("when",))


def condition_faults_of(document: Document, spec: DeclarativeSpec) -> Iterator[Fault]:
    """What is wrong with the patterns and conditions of a rule without a model."""
    for label, texts in spec.conditions.items():
        written = _under(_under(document.data, spec.way), label)
        for place, text in enumerate(texts):
            path = (spec.way, label, place) if isinstance(written, list) else (spec.way, label)
            for message in _CHECKS[spec.way](text):
                yield document.fault(message, path)


def _keyword_faults(words: str) -> list[str]:
    return [] if normal_answer(words.removesuffix("*")) else ["holds no letter or digit"]


def _regex_faults(pattern: str) -> list[str]:
    message = pattern_fault(pattern)
    return [] if message is None else [f"is no regular expression of RE2: {message}"]


def _signal_faults(source: str) -> list[str]:
    return [fault.message for fault in signal_faults(source)]


_CHECKS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "keyword": _keyword_faults,
    "regex": _regex_faults,
    "sql": condition_faults,
    "signal": _signal_faults,
}


def model_faults(document: Document, configured: tuple[str, ...]) -> Iterator[Fault]:
    """Models that are not configured."""
    several: list[tuple[Keys, JsonValue]] = [
        (("models", place), name) for place, name in enumerate(_items(document.data, "models"))
    ]
    one = _under(document.data, "model")
    for path, name in several or [(("model",), "default" if one is None else one)]:
        if isinstance(name, str) and name not in configured:
            yield document.fault(
                f"no model is named '{name}' in promptlabel.yaml{nearest(name, configured)}", path
            )


def label_faults(document: Document, task: TaskSpec) -> Iterator[Fault]:
    """Labels that the task does not have, in answers, conditions and examples."""
    if task.kind == "several":
        yield from _set_faults(document, task)
        return
    known = (*task.labels, ABSTAIN_ANSWER)
    meanings = _meanings(document, task)
    for path, label in meanings.items():
        if isinstance(label, list):
            yield document.fault("stands for one label: only a task of kind `several` takes a list", path)
        if isinstance(label, str) and label not in known:
            yield document.fault(_unknown_label(label, known), path)
    for place, example in enumerate(_items(document.data, "examples")):
        vote = _under(example, "vote")
        path = ("examples", place, "vote")
        if isinstance(vote, str) and vote not in known:
            yield document.fault(_unknown_label(vote, known), path)
        elif isinstance(vote, str) and vote not in meanings.values():
            yield document.fault(f"no answer of the rule stands for '{vote}'", path)


def _set_faults(document: Document, task: TaskSpec) -> Iterator[Fault]:
    """Labels that the task does not have, where answers and examples stand for any number of labels."""
    known = (*task.labels, NONE, ABSTAIN_ANSWER)
    votes: dict[Keys, JsonValue] = {
        ("examples", place, "vote"): _under(example, "vote")
        for place, example in enumerate(_items(document.data, "examples"))
    }
    for path, said in (_meanings(document, task) | votes).items():
        for label in _members(said):
            if label not in known:
                yield document.fault(_unknown_label(label, known), path)


def _members(said: JsonValue) -> Sequence[str]:
    if isinstance(said, list):
        return [str(label) for label in said]
    return set_members(said) if isinstance(said, str) else ()


def pair_faults(document: Document, task: TaskSpec) -> Iterator[Fault]:
    """A prompt of a pairwise task that does not show both outputs, and examples without them."""
    if task.kind != "pairwise":
        return
    prompt = _under(document.data, "prompt")
    if isinstance(prompt, str) and not shows_a_pair(prompt):
        yield document.fault(
            "must show {{ trace.first }} and {{ trace.second }}, the outputs to compare", ("prompt",)
        )
    for place, example in enumerate(_items(document.data, "examples")):
        if len(_items(example, "outputs")) != len(ORDER):
            yield document.fault("a pair to compare has `outputs: [first, second]`", ("examples", place))


def shows_a_pair(prompt: str) -> bool:
    """Whether a template shows both outputs, by name or in all of the text."""
    return all(f"trace.{name}" in prompt for name in ORDER) or "transcript" in prompt or "text" in prompt


def _meanings(document: Document, task: TaskSpec) -> dict[Keys, JsonValue]:
    """The labels that the rule may vote for, by where the file names them."""
    answers = _under(document.data, "answers")
    if isinstance(answers, Mapping):
        return {("answers", answer): label for answer, label in answers.items()}
    conditions = _under(document.data, _way(document))
    if isinstance(conditions, Mapping):
        named: dict[Keys, JsonValue] = {(_way(document), label): label for label in conditions}
        return {**named, (): ABSTAIN_ANSWER}
    return {("answers", label): label for label in task.labels}


def _unknown_label(name: str, known: Iterable[str]) -> str:
    return f"'{name}' is not a label of the task{nearest(name, known)}"


def _under(data: JsonValue, key: str) -> JsonValue:
    return data.get(key) if isinstance(data, Mapping) else None


def _items(data: JsonValue, key: str) -> list[JsonValue]:
    found = _under(data, key)
    return found if isinstance(found, list) else []
