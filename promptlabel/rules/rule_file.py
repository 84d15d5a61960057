"""Task and rule files, YAML or Jinja with front matter, read into what they say and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from promptlabel.errors import Fault, InputError, raise_if_any
from promptlabel.rules.declarative import DeclarativeRule
from promptlabel.rules.partials import Partials
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.rule_faults import (
    Written,
    condition_faults_of,
    expression_faults,
    is_declarative,
    label_faults,
    model_faults,
    pair_faults,
    template_faults,
    validated,
)
from promptlabel.rules.spec import DeclarativeSpec, RuleSpec, TaskSpec, is_text
from promptlabel.strict_yaml import load_yaml, read_text, text_faults

_FRONT_MATTER: Final = re.compile(r"\A(---[ \t]*\n.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


def read_task(path: Path) -> tuple[TaskSpec | None, list[Fault]]:
    """The task that a `task.yaml` describes, None where there are faults."""
    try:
        document = load_yaml(read_text(path), str(path), is_text)
    except InputError as error:
        return None, list(error.faults)
    spec, faults = validated(document, TaskSpec)
    folder = path.parent.name
    if spec is not None and spec.task != folder:
        faults.append(document.fault(f"is '{spec.task}', but the folder is named '{folder}'", ("task",)))
    return spec, faults


def read_rule(
    path: Path, task: TaskSpec | None, models: Iterable[str] | None, partials: Partials = ()
) -> tuple[PromptRule | DeclarativeRule | None, list[Fault]]:
    """The rule in a file, None where there are faults; without a task its labels are not checked."""
    try:
        text = read_text(path)
    except InputError as error:
        return None, list(error.faults)
    return read_rule_text(text, path, task, models, partials)


def read_rule_text(
    text: str, path: Path, task: TaskSpec | None, models: Iterable[str] | None, partials: Partials = ()
) -> tuple[PromptRule | DeclarativeRule | None, list[Fault]]:
    """The rule that a text is, None where there are faults; without a task its labels are not checked.

    Args:
        text: what the file says, or will say.
        path: the file, whose name without its ending is the rule's; it is not read.
        task: the task whose labels the rule votes for.
        models: the names of the configured models; None where they cannot be known.
        partials: the files of the task's folder that prompts may include.
    """
    try:
        written = _document(text, path)
    except InputError as error:
        return None, list(error.faults)
    document = written.document
    if is_declarative(document):
        return _declarative(path.stem, written, task)
    spec, faults = validated(document, RuleSpec)
    faults += template_faults(written, partials)
    faults += expression_faults(document)
    faults += [] if models is None else model_faults(document, tuple(models))
    if task is not None:
        faults += [*label_faults(document, task), *pair_faults(document, task)]
    if spec is None or task is None or faults:
        return None, faults
    return PromptRule(path.stem, spec, task, partials), []


def _declarative(
    name: str, written: Written, task: TaskSpec | None
) -> tuple[DeclarativeRule | None, list[Fault]]:
    document = written.document
    spec, faults = validated(document, DeclarativeSpec)
    faults += expression_faults(document)
    if spec is not None:
        faults += condition_faults_of(document, spec)
    if task is not None:
        faults += label_faults(document, task)
    if spec is None or task is None or faults:
        return None, faults
    return DeclarativeRule(name, spec, task), []


# --- the two forms of a rule file


def _document(text: str, path: Path) -> Written:
    text = text.removeprefix("\ufeff")
    if path.suffix == ".jinja":
        return _with_front_matter(text, str(path))
    document = load_yaml(text, str(path), is_text)
    return Written(document, document.first_line(("prompt",)), text.splitlines())


def _with_front_matter(text: str, file: str) -> Written:
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
    first_line = text.count("\n", 0, len(text) - len(prompt)) + 1
    return Written(replace(document, data={**keys, "prompt": prompt}), first_line, text.splitlines())
