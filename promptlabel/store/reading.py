"""The reading half of a store, the same in every home that answers queries by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from promptlabel.deeds import Entry
from promptlabel.records import Event, Gold, JsonValue, Pick, RegisteredRule, ReviewEvent, Trace, Vote
from promptlabel.store.connection import Row
from promptlabel.store.contract import DeadLetter, Spent, Whom
from promptlabel.store.forgettings import Forgetting, Forgotten, Kind
from promptlabel.store.rows import (
    answer_from,
    entry_from,
    event_from,
    fields_from,
    from_json,
    from_utc,
    gold_from,
    pick_from,
    review_from,
    to_utc,
    trace_from,
    vote_from,
)


class Reading(ABC):
    """What a `Store` returns of its rows; a home says how a named query is run."""

    @abstractmethod
    def read(self, name: str, /, **parameters: object) -> Iterator[Row]:
        """The rows of the query, once everything put before is to be seen."""

    # --- what happened in production
    def count_traces(self) -> int:
        """See `Store.count_traces`."""
        return sum(count for (count,) in self.read("count_traces"))

    def traces(self, ids: Sequence[str] | None = None, *, limit: int | None = None) -> Iterator[Trace]:
        """See `Store.traces`."""
        if ids is None:
            rows = self.read("traces", limit=limit)
        else:
            rows = self.read("traces_of_ids", ids=list(ids), limit=limit)
        return (trace_from(*row) for row in rows)

    def events(self, ids: Sequence[str] | None = None) -> Iterator[Event]:
        """See `Store.events`."""
        rows = self.read("events") if ids is None else self.read("events_of_ids", ids=list(ids))
        return map(event_from, rows)

    def traces_with_new_events(self) -> Sequence[str]:
        """See `Store.traces_with_new_events`."""
        return [trace_id for (trace_id,) in self.read("traces_with_new_events")]

    # --- rules and their votes
    def registered_rules(self, task: str) -> Sequence[RegisteredRule]:
        """See `Store.registered_rules`."""
        return [RegisteredRule(*row) for row in self.read("rules", task=task)]

    def votes(
        self, task: str, *, rule: str | None = None, trace_ids: Sequence[str] | None = None
    ) -> Iterator[tuple[RegisteredRule, Vote]]:
        """See `Store.votes`."""
        if trace_ids is None:
            rows = self.read("current_votes", task=task, rule=rule)
        else:
            rows = self.read("current_votes_of_ids", task=task, rule=rule, ids=list(trace_ids))
        return map(_whose_vote, rows)

    def count_votes(self, task: str) -> Mapping[tuple[str, str], Mapping[str, int]]:
        """See `Store.count_votes`."""
        counts: dict[tuple[str, str], dict[str, int]] = {}
        for rule, model, status, votes in self.read("count_votes", task=task):
            statuses = counts.setdefault((rule, model), {})
            if status is not None:
                statuses[status] = votes
        return counts

    def dead_letters(self, task: str) -> Sequence[DeadLetter]:
        """See `Store.dead_letters`."""
        return [
            DeadLetter(trace_id, task, rule, model, status, cause, answer_from(fields_from(raw)).text if raw else None)
            for trace_id, task, rule, model, status, cause, raw in self.read("dead_letters", task=task)
        ]  # fmt: skip

    def count_dead_letters(self, task: str) -> Mapping[str, int]:
        """See `Store.count_dead_letters`."""
        return {str(cause): count for cause, count in self.read("count_dead_letters", task=task)}

    def dead_keys(self, task: str) -> Sequence[str]:
        """Keys of current votes that are malformed or failed."""
        return [key.hex for (key,) in self.read("dead_keys", task=task)]

    def spent(self) -> Spent:
        """See `Store.spent`."""
        return Spent(*next(self.read("spent")))

    def cost(self, task: str) -> Mapping[tuple[str, str], Spent]:
        """See `Store.cost`."""
        rows = self.read("cost", task=task)
        return {(rule, model): Spent(usd, calls) for rule, model, usd, calls in rows}

    # --- what follows from votes, and what people said
    def queue(self, task: str, *, undecided: bool = False) -> Sequence[Pick]:
        """See `Store.queue`."""
        return list(map(pick_from, self.read("picks_undecided" if undecided else "picks", task=task)))

    def reviews(self, task: str) -> Sequence[ReviewEvent]:
        """See `Store.reviews`."""
        return list(map(review_from, self.read("reviews", task=task)))

    def gold(self, task: str) -> Sequence[Gold]:
        """See `Store.gold`."""
        return list(map(gold_from, self.read("gold", task=task)))

    def deeds(self) -> Iterator[Entry]:
        """See `Store.deeds`."""
        return map(entry_from, self.read("deeds"))

    # --- what is forgotten
    def matching(self, whom: Whom) -> Sequence[str]:
        """See `Store.matching`."""
        asked = {"traces": list(whom.traces), "users": list(whom.users), "sessions": list(whom.sessions)}
        return [name for (name,) in self.read("matching", **asked, before=to_utc(whom.before))]

    def footprint(self, ids: Sequence[str]) -> Mapping[str, int]:
        """See `Store.footprint`."""
        return {relation: rows for relation, rows in self.read("footprint", ids=list(ids)) if rows}

    def forgotten(self, kind: Kind, names: Sequence[str]) -> frozenset[str]:
        """See `Store.forgotten`."""
        rows = self.read("forgotten_names", kind=kind, names=list(names))
        return frozenset(name for (name,) in rows)

    def forgettings(self) -> Sequence[Forgotten]:
        """See `Store.forgettings`."""
        rows = self.read("forgettings")
        return [Forgotten(key.hex, from_utc(at), *rest) for key, at, *rest in rows]

    def forgetting(self, key: str) -> Forgetting:
        """See `Store.forgetting`."""
        known = next(one for one in self.forgettings() if one.key == key)
        marks = tuple(mark.hex for (mark,) in self.read("marks", key=key))
        return Forgetting(key, known.at, known.salt, marks, known.remembered)

    def state(self, name: str) -> JsonValue:
        """See `Store.state`."""
        return next((from_json(value) for (value,) in self.read("state", name=name)), None)


def _whose_vote(row: Row) -> tuple[RegisteredRule, Vote]:
    name, kind, model, *rest = row
    vote = vote_from(tuple(rest))
    return RegisteredRule(vote.task, name, kind, model, vote.rule_hash, vote.model_hash), vote
