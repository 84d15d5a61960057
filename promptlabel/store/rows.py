"""Records as rows of the store's tables and as journal entries, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast

import orjson

from promptlabel.deeds import Deed, Entry
from promptlabel.records import (
    Answer,
    Attempt,
    Event,
    Gold,
    JsonValue,
    Message,
    Pick,
    RegisteredRule,
    ReviewEvent,
    Status,
    Trace,
    Usage,
    Vote,
    digest,
    trace_record,
)
from promptlabel.store.connection import Row

T = TypeVar("T")

_KEY_DIGITS: Final = 32
_STATUS: Final = 5
"""Where a vote's row has its status."""


def trace_row(trace: Trace) -> Row:
    """A row of `arriving_traces`."""
    return (
        trace.trace_id,
        to_utc(trace.timestamp),
        trace.category,
        trace.session_id,
        trace.user_id,
        trace.content_hash,
        to_json(trace_record(trace)),
    )


def trace_from(record: str, signals: str | None, content_hash: str) -> Trace:
    """The trace of a stored record, its stored signals and its stored digest, which need not be computed again."""
    fields: dict[str, Any] = orjson.loads(record)
    fields["messages"] = tuple(map(_message_from, fields.get("messages", ())))
    fields["outputs"] = tuple(fields.get("outputs", ()))
    fields["timestamp"] = _moment(fields.get("timestamp"))
    trace = Trace(**fields, signals=orjson.loads(signals) if signals else {})
    vars(trace)["content_hash"] = content_hash
    return trace


def event_row(event: Event) -> Row:
    """A row of `arriving_events`; equal events have equal keys."""
    content = (event.trace_id, event.timestamp, event.event, event.value, dict(event.metadata))
    return (
        digest(content),
        event.trace_id,
        to_utc(event.timestamp),
        event.event,
        to_json(event.value),
        to_json(dict(event.metadata)),
    )


def event_from(row: Row) -> Event:
    """The event of a stored row."""
    trace_id, timestamp, event, value, metadata = row
    return Event(trace_id, from_utc(timestamp), event, orjson.loads(value), orjson.loads(metadata))


def gold_row(gold: Gold) -> Row:
    """A row of `arriving_gold`."""
    return (
        gold.trace_id,
        gold.task,
        gold.label,
        gold.reviewer,
        to_utc(gold.timestamp),
        gold.blind,
        gold.lane,
        gold.probability,
    )


def gold_from(row: Row) -> Gold:
    """The label of a stored row."""
    trace_id, task, label, reviewer, timestamp, *rest = row
    return Gold(trace_id, task, label, reviewer, from_utc(timestamp), *rest)


def vote_row(vote: Vote) -> Row:
    """A row of `arriving_votes`.

    Raises:
        ValueError: if the key or the request is not a digest of 32 hexadecimal digits.
    """
    return (
        _digest(vote.key),
        vote.trace_id,
        vote.task,
        vote.rule_hash,
        vote.model_hash,
        vote.status,
        vote.label,
        vote.confidence,
        to_json(vote.distribution) if vote.distribution is not None else None,
        vote.sample,
        _digest(vote.request) if vote.request is not None else None,
        _answer_json(vote.raw) if vote.raw is not None else None,
        vote.cause,
        vote.rationale,
    )


def pack(votes: Sequence[Vote]) -> list[Row]:
    """The votes as a store takes them from another process; see `Store.add_packed_votes`."""
    return list(map(vote_row, votes))


def statuses(packed: Sequence[Row]) -> Counter[Status]:
    """How many packed votes there are of each status."""
    return Counter(cast("Status", row[_STATUS]) for row in packed)


def vote_from(row: Row) -> Vote:
    """The vote of a stored row, its columns in the order of `vote_row`."""
    key, trace_id, task, rule_hash, model_hash, status, label, confidence = row[:8]
    distribution, sample, request, raw, cause, rationale = row[8:]
    return Vote(
        key=key.hex,
        trace_id=trace_id,
        task=task,
        rule_hash=rule_hash,
        model_hash=model_hash,
        status=status,
        label=label,
        confidence=confidence,
        distribution=orjson.loads(distribution) if distribution else None,
        sample=sample,
        request=request.hex if request else None,
        raw=answer_from(orjson.loads(raw)) if raw else None,
        cause=cause,
        rationale=rationale,
    )


def answer_from(fields: Mapping[str, Any]) -> Answer:
    """The answer of its JSON object."""
    return Answer(**{**fields, "usage": Usage(**fields["usage"])})


def replacement_row(vote: Vote) -> Row:
    """A row of `replacing_votes`: all that calibration may change."""
    row = vote_row(vote)
    return (row[0], *row[5:9])


def attempt_row(attempt: Attempt) -> Row:
    """A row of `attempts`, but for its batch."""
    return (
        _digest(attempt.request),
        attempt.task,
        attempt.rule,
        attempt.model,
        to_utc(attempt.at),
        attempt.seconds,
        attempt.cause,
        attempt.usage.input_tokens,
        attempt.usage.output_tokens,
        attempt.usage.cached_tokens,
        attempt.usd,
    )


def review_row(event: ReviewEvent) -> Row:
    """A row of `reviews`, but for its batch and arrival."""
    return (
        event.event_id,
        event.trace_id,
        event.task,
        event.reviewer,
        event.action,
        to_utc(event.at),
        event.label,
        event.blind,
        event.seconds,
        event.lane,
        event.probability,
        event.undoes,
    )


def review_from(row: Row) -> ReviewEvent:
    """The event of a stored row."""
    event_id, trace_id, task, reviewer, action, at, *rest = row
    return ReviewEvent(event_id, trace_id, task, reviewer, action, from_utc(at), *rest)


def entry_row(entry: Entry) -> Row:
    """A row of `deeds`, but for its batch."""
    deed = entry.deed
    return (
        entry.number, to_utc(deed.at), deed.person, deed.via, deed.host, deed.verb, deed.task, deed.outcome,
        to_json(dict(deed.details)), entry.seal,
    )  # fmt: skip


def entry_from(row: Row) -> Entry:
    """The entry of a stored row."""
    number, at, person, via, host, verb, task, outcome, details, seal = row
    deed = Deed(from_utc(at), person, via, host, verb, task, outcome, fields_from(details))
    return Entry(number, deed, seal)


def rule_row(position: int, rule: RegisteredRule) -> Row:
    """A row of `rules`."""
    return (rule.task, position, rule.rule, rule.kind, rule.model, rule.rule_hash, rule.model_hash)


def pick_row(position: int, pick: Pick) -> Row:
    """A row of `arriving_picks`."""
    return (
        position,
        pick.trace_id,
        pick.lane,
        pick.score,
        pick.probability,
        pick.reason,
        to_json(dict(pick.parts)),
    )


def pick_from(row: Row) -> Pick:
    """The pick of a stored row."""
    trace_id, task, lane, score, probability, reason, parts = row
    return Pick(trace_id, task, lane, score, probability, reason, orjson.loads(parts))


def to_json(value: object) -> str:
    """Compact JSON; dataclasses become objects."""
    return orjson.dumps(value, default=dict).decode()


def from_json(text: str) -> JsonValue:
    """The value of the JSON text."""
    value: JsonValue = orjson.loads(text)
    return value


def fields_from(text: str) -> Mapping[str, JsonValue]:
    """The JSON object of a column that holds objects only."""
    fields: Mapping[str, JsonValue] = orjson.loads(text)
    return fields


def to_utc(moment: datetime | None) -> datetime | None:
    """The moment in UTC without a zone, as columns hold it; one without a zone is taken as UTC."""
    if moment is None or moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)


def from_utc(moment: datetime) -> datetime:
    """The moment of a column, with its zone."""
    return moment.replace(tzinfo=UTC)


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _message_from(fields: Mapping[str, Any]) -> Message:
    return Message(fields["role"], fields["content"], _moment(fields.get("timestamp")))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _answer_json(answer: Answer) -> str:
    # Spelled out because a dataclass with slots takes orjson four times as long as a dict.
    usage = answer.usage
    return to_json(
        {
            "text": answer.text,
            "distribution": answer.distribution,
            "outside": answer.outside,
            "usage": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cached_tokens": usage.cached_tokens,
            },
            "usd": answer.usd,
        }
    )


def _digest(key: str) -> str:
    if len(key) != _KEY_DIGITS or int(key, 16) < 0:
        raise ValueError(f"{key!r} is not a digest of {_KEY_DIGITS} hexadecimal digits")
    return key
