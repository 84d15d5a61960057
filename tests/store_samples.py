"""Records for tests of the store, each told apart by a number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from promptlabel.records import (
    Answer,
    Attempt,
    Message,
    RegisteredRule,
    ReviewEvent,
    Status,
    Trace,
    Usage,
    Vote,
    digest,
)

START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
TASK = "quality"
LABELS = ("good", "bad")


def a_rule(name: str = "asks_again", *, meaning: str | None = None, model: str = "default") -> RegisteredRule:
    return RegisteredRule(
        TASK, name, "prompt", model, digest(["rule", meaning or name]), digest(["model", model])
    )


RULE = a_rule()


def a_trace(number: int, **fields: object) -> Trace:
    plain = {
        "timestamp": START + timedelta(minutes=number),
        "input": f"question {number}",
        "output": f"answer {number}",
        "messages": (Message("user", f"question {number}", START), Message("assistant", f"answer {number}")),
        "category": "billing" if number % 2 else "login",
        "metadata": {"number": number, "nested": {"list": [1, 2.5, None, "ü"]}},
    }
    return Trace(f"trace-{number:05d}", **{**plain, **fields})  # type: ignore[arg-type]


def a_vote(
    number: int,
    *,
    rule: RegisteredRule = RULE,
    label: str | None = "good",
    status: Status = "vote",
    sample: int = 0,
    distribution: dict[str, float] | None = None,
) -> Vote:
    trace_id = f"trace-{number:05d}"
    question = [rule.rule_hash, rule.model_hash, trace_id, sample]
    return Vote(
        key=digest(["vote", *question]),
        trace_id=trace_id,
        task=rule.task,
        rule_hash=rule.rule_hash,
        model_hash=rule.model_hash,
        status=status,
        label=label if status == "vote" else None,
        confidence=0.75 if status == "vote" else None,
        distribution=distribution,
        sample=sample,
        request=digest(["request", *question]),
        raw=Answer("yes", {"yes": 0.7, "no": 0.3}, 0.125, Usage(90, 2, 40), 0.0003)
        if status != "error"
        else None,
        cause="no_label" if status == "malformed" else "timeout" if status == "error" else None,
        rationale="because",
    )


def a_code_vote(number: int, *, rule: RegisteredRule = RULE, label: str = "good") -> Vote:
    vote = a_vote(number, rule=rule, label=label)
    return Vote(vote.key, vote.trace_id, vote.task, vote.rule_hash, vote.model_hash, "vote", label)


def an_attempt(vote: Vote, *, usd: float = 0.25, cause: str = "ok") -> Attempt:
    assert vote.request
    return Attempt(vote.request, vote.task, RULE.rule, RULE.model, START, 0.5, cause, Usage(90, 2), usd)


def a_review(number: int, *, event: str | None = None, **fields: object) -> ReviewEvent:
    plain = {"action": "label", "label": "bad", "seconds": 2.5, "lane": "audit", "probability": 0.125}
    return ReviewEvent(  # type: ignore[arg-type]
        event or f"event-{number}",
        f"trace-{number:05d}",
        TASK,
        "ada",
        at=START,
        **{**plain, **fields},
    )


def by_key(votes: Sequence[Vote]) -> dict[str, Vote]:
    return {vote.key: vote for vote in votes}
