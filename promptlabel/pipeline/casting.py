"""From a rule and a trace to a vote: its key, the request it stands for, and what the answer means."""

from __future__ import annotations

from promptlabel.errors import ModelError, PromptlabelError
from promptlabel.records import Answer, Question, RegisteredRule, Trace, Vote, digest
from promptlabel.rules.heuristic import Heuristic
from promptlabel.rules.prompt import PromptRule
from promptlabel.votes.parsing import read_vote


def vote_key(rule: RegisteredRule, trace: Trace, sample: int) -> str:
    """The digest that makes a vote exist once: rule meaning, model and parameters, trace content, sample."""
    return digest([rule.rule_hash, rule.model_hash, trace.trace_id, trace.content_hash, sample])


def request_digest(model_hash: str, question: Question) -> str:
    """The digest that makes a request be paid for once, whichever rules and traces need its answer."""
    return digest([model_hash, question])


def code_vote(heuristic: Heuristic, rule: RegisteredRule, trace: Trace) -> Vote:
    """What the heuristic says of the trace; an exception inside it costs this one vote, not the run."""
    label, cause = None, None
    try:
        label = heuristic.label(trace)
        status = "vote" if label is not None else "abstain"
    except PromptlabelError as error:
        status, cause = "error", _cause(error)
    return Vote(
        key=vote_key(rule, trace, 0),
        trace_id=trace.trace_id,
        task=rule.task,
        rule_hash=rule.rule_hash,
        model_hash=rule.model_hash,
        status=status,  # type: ignore[arg-type]
        label=label,
        confidence=1.0 if label is not None else None,
        cause=cause,
    )


def answered_vote(
    prompt: PromptRule, rule: RegisteredRule, trace: Trace, question: Question, answer: Answer
) -> Vote:
    """The vote that an answer of a model amounts to, malformed where it names none of the rule's answers."""
    said = read_vote(prompt, answer)
    return Vote(
        key=vote_key(rule, trace, question.sample),
        trace_id=trace.trace_id,
        task=rule.task,
        rule_hash=rule.rule_hash,
        model_hash=rule.model_hash,
        status=said.status,
        label=said.label,
        confidence=said.confidence,
        distribution=said.distribution,
        sample=question.sample,
        request=request_digest(rule.model_hash, question),
        raw=answer,
        cause=said.cause,
        rationale=said.rationale,
    )


def failed_vote(
    rule: RegisteredRule, trace: Trace, sample: int, error: PromptlabelError, request: str | None = None
) -> Vote:
    """The dead letter of a vote whose answer could not be had."""
    return Vote(
        key=vote_key(rule, trace, sample),
        trace_id=trace.trace_id,
        task=rule.task,
        rule_hash=rule.rule_hash,
        model_hash=rule.model_hash,
        status="error",
        sample=sample,
        request=request,
        cause=_cause(error),
    )


def _cause(error: PromptlabelError) -> str:
    """A model's cause word; else what went wrong, without the trace it went wrong on, so that equal causes group."""
    return error.cause if isinstance(error, ModelError) else repr(error.__cause__ or error)
