"""Which questions are to be asked: the missing votes of prompt rules, rendered lazily, rule by rule in turns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from promptlabel.errors import Fault, ModelError, PromptlabelError, raise_if_any
from promptlabel.llm.client import Client
from promptlabel.llm.connecting import connect
from promptlabel.llm.jobs import Job
from promptlabel.pipeline.voting.casting import (
    answered_vote,
    failed_vote,
    request_digest,
    unasked_vote,
    vote_key,
)
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Answer, Decode, Question, RegisteredRule, Trace, Vote
from promptlabel.rules.loading import Task
from promptlabel.rules.prompt import PromptRule
from promptlabel.settings import ModelSettings, Project
from promptlabel.store.contract import WHOLE, Part

Item = TypeVar("Item")

CHUNK = 64
"""Traces taken from one rule before the next rule's turn: long enough for shared prefixes to stay cached,
short enough that a run cut off by its budget has asked every rule of the same traces."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One prompt rule asked of one model."""

    prompt: PromptRule
    rule: RegisteredRule
    client: Client
    decode: Decode
    few_shot: bool

    def question(self, trace: Trace, sample: int) -> Question:
        """The rendered question."""
        return self.prompt.question(trace, decode=self.decode, few_shot=self.few_shot, sample=sample)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A vote that is missing, with its question and the digest of the request that would answer it."""

    asking: Asking
    trace: Trace
    question: Question
    request: str
    sample: int = 0

    @property
    def key(self) -> str:
        """The key of the vote."""
        return vote_key(self.asking.rule, self.trace, self.sample)

    @property
    def job(self) -> Job:
        """The vote's question, for a sender."""
        return Job(self.question, self.request, self.asking.rule, self)

    def vote(self, result: Answer | ModelError) -> Vote:
        """The vote that this answer amounts to, or the dead letter that this failure leaves."""
        if isinstance(result, ModelError):
            return failed_vote(self.asking.rule, self.trace, self.sample, result, self.request)
        asking = self.asking
        return answered_vote(asking.prompt, asking.rule, self.trace, self.sample, self.request, result)


def connect_models(project: Project, names: Iterable[str]) -> dict[str, Client]:
    """A client for each named model."""
    return {name: connect(name, _located(project, name)) for name in sorted(set(names))}


def _located(project: Project, name: str) -> ModelSettings:
    """The model's settings; files they name are looked for from the project's folder."""
    settings = project.settings.models[name]
    files = ("tokenizer",) if settings.provider == "litellm" else ("model", "tokenizer", "python")
    named = {key: getattr(settings, key) for key in files}
    return settings.model_copy(
        update={
            key: str(project.root / path) for key, path in named.items() if path and not _on_path(key, path)
        }
    )


def _on_path(key: str, path: str) -> bool:
    """Whether an interpreter is named as a shell would find it."""
    return key == "python" and "/" not in path


def askings(
    task: Task,
    settings: Mapping[str, ModelSettings],
    clients: Mapping[str, Client],
    names: Sequence[str] = (),
) -> list[Asking]:
    """The task's prompt rules (those named, all without names), each with each of its models.

    Raises:
        InputError: where a rule asks for a decoding that its model cannot give.
    """
    registered = {(rule.rule, rule.model): rule for rule in task.registered(settings)}
    found, faults = [], []
    for prompt in task.prompts:
        for model in prompt.models if not names or prompt.name in names else ():
            client = clients[model]
            decode = prompt.spec.decode or settings[model].decode or client.decodes[0]
            if decode not in client.decodes:
                faults.append(_cannot_decode(task, prompt, model, decode, client))
            if decode == "logprobs" and prompt.asks_for_a_set:
                faults.append(_cannot_name_a_set(task, prompt, model))
            few_shot = settings[model].provider == "local"
            found.append(Asking(prompt, registered[prompt.name, model], client, decode, few_shot))
    raise_if_any(faults)
    return found


def all_askings(workspace: Workspace, rules: Sequence[str]) -> list[Asking]:
    """Every prompt rule of the tasks (those named, all without names), each with each of its models."""
    models = workspace.project.settings.models
    prompts = [
        prompt for task in workspace.tasks for prompt in task.prompts if not rules or prompt.name in rules
    ]
    clients = connect_models(workspace.project, (model for prompt in prompts for model in prompt.models))
    return [asking for task in workspace.tasks for asking in askings(task, models, clients, rules)]


def _cannot_decode(task: Task, prompt: PromptRule, model: str, decode: Decode, client: Client) -> Fault:
    able = ", ".join(client.decodes)
    return Fault(
        f"model '{model}' cannot answer by {decode} (it can: {able})",
        f"{task.name}/{prompt.name}",
        key="decode",
    )


def _cannot_name_a_set(task: Task, prompt: PromptRule, model: str) -> Fault:
    label = prompt.labels[0]
    return Fault(
        f"model '{model}' answers by the probabilities of single answers, and the rule asks for all labels that apply:"
        f' ask for one, with `answers: {{"yes": {label}, "no": none}}`, or decode by json or text',
        f"{task.name}/{prompt.name}",
        key="answers",
    )


def by_model(asked: Sequence[Asking]) -> dict[str, list[Asking]]:
    """The askings of each model, in their order."""
    groups: dict[str, list[Asking]] = {}
    for asking in asked:
        groups.setdefault(asking.rule.model, []).append(asking)
    return groups


def wanted(
    workspace: Workspace, asking: Asking, limit: int | None, part: Part = WHOLE
) -> Iterator[Wanted | Vote]:
    """The missing votes of one rule and model, rendered; for a trace that cannot be rendered, its dead letter."""
    pending = workspace.pending(asking.rule, samples=asking.prompt.asks, limit=limit, part=part)
    return (render(asking, trace, sample) for trace, sample in pending)


def render(asking: Asking, trace: Trace, sample: int = 0) -> Wanted | Vote:
    """The vote that is wanted of the trace; where nothing is to be asked an abstention, or a dead letter."""
    try:
        if not asking.prompt.applies(trace):
            return unasked_vote(asking.rule, trace, sample)
        question = asking.question(trace, sample)
    except PromptlabelError as error:
        return failed_vote(asking.rule, trace, sample, error)
    return Wanted(asking, trace, question, request_digest(asking.rule.model_hash, question), sample)


def interleaved(streams: Sequence[Iterator[Item]], size: int = CHUNK) -> Iterator[list[Item]]:
    """Chunks of up to `size` items, one stream after the other, round and round until all are empty."""
    waiting = list(streams)
    while waiting:
        for stream in tuple(waiting):
            chunk = list(islice(stream, size))
            if chunk:
                yield chunk
            if len(chunk) < size:
                waiting.remove(stream)
