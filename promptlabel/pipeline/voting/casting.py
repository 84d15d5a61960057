"""From a rule and a trace to a vote: its key, the request it stands for, and what the answer means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from promptlabel.errors import ModelError, PromptlabelError
from promptlabel.label_sets import applying, set_name
from promptlabel.records import Answer, Question, RegisteredRule, Trace, Vote, digest
from promptlabel.rules.heuristic import CodeRule, HeuristicError, Said
from promptlabel.rules.prompt import PromptRule, is_swapped
from promptlabel.votes.parsing import read_vote


def vote_key(rule: RegisteredRule, trace: Trace, sample: int) -> str:
    """The digest that makes a vote exist once: rule meaning, model and parameters, trace content, sample."""
    return digest([rule.rule_hash, rule.model_hash, trace.trace_id, trace.content_hash, sample])


def request_digest(model_hash: str, question: Question) -> str:
    """The digest that makes a request be paid for once, whichever rules and traces need its answer."""
    return digest([model_hash, question, "several"] if question.several else [model_hash, question])


class _Whose(TypedDict):
    key: str
    trace_id: str
    task: str
    rule_hash: str
    model_hash: str
    sample: int


def _whose(rule: RegisteredRule, trace: Trace, sample: int = 0) -> _Whose:
    return _Whose(
        key=vote_key(rule, trace, sample),
        trace_id=trace.trace_id,
        task=rule.task,
        rule_hash=rule.rule_hash,
        model_hash=rule.model_hash,
        sample=sample,
    )


def code_votes(code: CodeRule, rule: RegisteredRule, traces: Sequence[Trace]) -> list[Vote]:
    """What the rule says of each trace; an exception inside it costs that one vote, not the run."""
    said = code.labels_of(traces)
    return [_code_vote(rule, trace, label) for trace, label in zip(traces, said, strict=True)]


def _code_vote(rule: RegisteredRule, trace: Trace, said: Said) -> Vote:
    whose = _whose(rule, trace)
    if isinstance(said, PromptlabelError):
        return Vote(**whose, status="error", cause=_cause(said))
    if said is None:
        return Vote(**whose, status="abstain")
    if isinstance(said, Mapping):
        name = set_name(applying(said), tuple(said))
        return Vote(**whose, status="vote", label=name, confidence=1.0, distribution=said)
    return Vote(**whose, status="vote", label=said, confidence=1.0)


def unasked_vote(rule: RegisteredRule, trace: Trace, sample: int) -> Vote:
    """The abstention of a rule whose `when` the trace does not meet."""
    return Vote(**_whose(rule, trace, sample), status="abstain")


def answered_vote(
    prompt: PromptRule, rule: RegisteredRule, trace: Trace, sample: int, request: str, answer: Answer
) -> Vote:
    """The vote that an answer of a model amounts to, malformed where it names none of the rule's answers."""
    said = read_vote(prompt, answer, swapped=prompt.is_pairwise and is_swapped(sample))
    return Vote(
        **_whose(rule, trace, sample),
        status=said.status,
        label=said.label,
        confidence=said.confidence,
        distribution=said.distribution,
        request=request,
        raw=answer,
        cause=said.cause,
        rationale=said.rationale,
    )


def failed_vote(
    rule: RegisteredRule, trace: Trace, sample: int, error: PromptlabelError, request: str | None = None
) -> Vote:
    """The dead letter of a vote whose answer could not be had."""
    return Vote(**_whose(rule, trace, sample), status="error", request=request, cause=_cause(error))


def _cause(error: PromptlabelError) -> str:
    """A model's cause word; else what went wrong, without the trace it went wrong on, so that equal causes group."""
    return error.cause if isinstance(error, ModelError | HeuristicError) else repr(error.__cause__ or error)
