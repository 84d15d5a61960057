"""Task and rule files, YAML or Jinja with front matter, read into what they say and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from promptlabel.errors import Fault, InputError, nearest, raise_if_any
from promptlabel.records import JsonValue
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import ABSTAIN_ANSWER, RuleSpec, TaskSpec, is_text
from promptlabel.rules.template import prompt_template
from promptlabel.strict_yaml import Document, Keys, StrictModel, faults_of, load_yaml, read_text, text_faults

_Model = TypeVar("_Model", bound=StrictModel)

_FRONT_MATTER: Final = re.compile(r"\A(---[ \t]*\n.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


def read_task(path: Path) -> tuple[TaskSpec | None, list[Fault]]:
    """The task that a `task.yaml` describes, None where there are faults."""
    try:
        document = load_yaml(read_text(path), str(path), is_text)
    except InputError as error:
        return None, list(error.faults)
    spec, faults = _validated(document, TaskSpec)
    folder = path.parent.name
    if spec is not None and spec.task != folder:
        faults.append(document.fault(f"is '{spec.task}', but the folder is named '{folder}'", ("task",)))
    return spec, faults


def read_rule(
    path: Path, task: TaskSpec | None, models: Iterable[str] | None
) -> tuple[PromptRule | None, list[Fault]]:
    """The rule in a file, None where there are faults; without a task its labels are not checked.

    Args:
        path: the file, whose name without its ending is the rule's.
        task: the task whose labels the rule votes for.
        models: the names of the configured models; None where they cannot be known.
    """
    try:
        document, prompt_line = _read_document(path)
    except InputError as error:
        return None, list(error.faults)
    spec, faults = _validated(document, RuleSpec)
    faults += _template_faults(document, prompt_line)
    faults += [] if models is None else _model_faults(document, tuple(models))
    if task is not None:
        faults += _label_faults(document, task)
    if spec is None or task is None or faults:
        return None, faults
    return PromptRule(path.stem, spec, task), []


def _validated(document: Document, model: type[_Model]) -> tuple[_Model | None, list[Fault]]:
    try:
        return model.model_validate({} if document.data is None else document.data), []
    except ValidationError as error:
        return None, faults_of(error, document, model)


# --- the two forms of a rule file


def _read_document(path: Path) -> tuple[Document, int]:
    """The rule's keys, the prompt among them, and the line of the file on which the prompt begins."""
    text = read_text(path)
    if path.suffix == ".jinja":
        return _with_front_matter(text, str(path))
    document = load_yaml(text, str(path), is_text)
    return document, document.first_line(("prompt",))


def _with_front_matter(text: str, file: str) -> tuple[Document, int]:
    raise_if_any(text_faults(text, file))
    found = _FRONT_MATTER.match(text)
    if found is None and text.startswith("---"):
        raise InputError(Fault("the front matter is not closed by a line of ---", file, 1))
    front, prompt = (found[1], text[found.end() :]) if found else ("", text)
    document = load_yaml(front, file, is_text)
    keys = {} if document.data is None else document.data
    if not isinstance(keys, Mapping):
        raise InputError(document.fault("the front matter must be a mapping"))
    if "prompt" in keys:
        raise InputError(document.fault("the prompt is what follows the front matter", ("prompt",)))
    return replace(document, data={**keys, "prompt": prompt}), text.count(
        "\n", 0, len(text) - len(prompt)
    ) + 1


# --- what a rule says, held against templates, models and labels


def _template_faults(document: Document, prompt_line: int) -> Iterator[Fault]:
    prompt = _under(document.data, "prompt")
    if isinstance(prompt, str):
        for fault in prompt_template(prompt).faults():
            yield Fault(fault.message, document.file, prompt_line + fault.line - 1, key="prompt")


def _model_faults(document: Document, configured: tuple[str, ...]) -> Iterator[Fault]:
    several: list[tuple[Keys, JsonValue]] = [
        (("models", place), name) for place, name in enumerate(_items(document.data, "models"))
    ]
    one = _under(document.data, "model")
    for path, name in several or [(("model",), "default" if one is None else one)]:
        if isinstance(name, str) and name not in configured:
            yield document.fault(
                f"no model is named '{name}' in promptlabel.yaml{nearest(name, configured)}", path
            )


def _label_faults(document: Document, task: TaskSpec) -> Iterator[Fault]:
    known = (*task.labels, ABSTAIN_ANSWER)
    answers = _under(document.data, "answers")
    meanings = answers if isinstance(answers, Mapping) else {label: label for label in task.labels}
    for answer, label in meanings.items():
        if isinstance(label, str) and label not in known:
            yield document.fault(_unknown_label(label, known), ("answers", answer))
    for place, example in enumerate(_items(document.data, "examples")):
        vote = _under(example, "vote")
        path = ("examples", place, "vote")
        if isinstance(vote, str) and vote not in known:
            yield document.fault(_unknown_label(vote, known), path)
        elif isinstance(vote, str) and vote not in meanings.values():
            yield document.fault(f"no answer of the rule stands for '{vote}'", path)


def _unknown_label(name: str, known: Iterable[str]) -> str:
    return f"'{name}' is not a label of the task{nearest(name, known)}"


def _under(data: JsonValue, key: str) -> JsonValue:
    return data.get(key) if isinstance(data, Mapping) else None


def _items(data: JsonValue, key: str) -> list[JsonValue]:
    found = _under(data, key)
    return found if isinstance(found, list) else []
