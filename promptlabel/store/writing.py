"""The writing half of a store, the same in every home that says how its tables are written."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Self, cast

from promptlabel.deeds import Deed, Entry
from promptlabel.records import Attempt, JsonValue, Pick, RegisteredRule, ReviewEvent, Vote
from promptlabel.store.connection import Row
from promptlabel.store.contract import PosteriorTable
from promptlabel.store.entries import drop_entry, replacement_entry, review_entry, vote_entries
from promptlabel.store.journal import encode
from promptlabel.store.reading import Reading
from promptlabel.store.rows import attempt_row, replacement_row, review_row, vote_row
from promptlabel.store.writer import Insert, Step, Work, Writer


@dataclass(frozen=True, slots=True)
class Tables:
    """How a home writes its tables; each function takes the home's commit first."""

    insert_votes: Insert
    insert_attempts: Insert
    replace_votes: Callable[[Any, Sequence[Row]], None]
    drop_failed: Callable[[Any, Sequence[str]], int]
    register: Callable[[Any, str, Sequence[RegisteredRule]], None]
    save_fit: Callable[[Any, PosteriorTable], None]
    save_picks: Callable[[Any, str, Sequence[Pick]], None]
    save_value: Callable[[Any, str, JsonValue], None]
    insert_review: Callable[[Any, Row], bool]
    insert_deed: Callable[[Any, Deed], Entry]


class Writing(Reading):
    """What a `Store` is told, but for what happened in production, which every home takes in its own way."""

    _tables: ClassVar[Tables]
    _writer: Writer

    # --- rules and their votes
    def register_rules(self, task: str, rules: Sequence[RegisteredRule]) -> None:
        """See `Store.register_rules`."""
        if list(rules) != list(self.registered_rules(task)):
            self._step(lambda commit: self._tables.register(commit, task, rules))

    def add_votes(self, votes: Sequence[Vote], attempts: Sequence[Attempt] = ()) -> None:
        """See `Store.add_votes`."""
        self._put(list(map(vote_row, votes)), list(map(attempt_row, attempts)))

    def add_packed_votes(self, packed: Sequence[Row]) -> None:
        """See `Store.add_packed_votes`."""
        self._put(packed, ())

    def _put(self, vote_rows: Sequence[Row], attempt_rows: Sequence[Row]) -> None:
        rows: Mapping[Insert, Sequence[Row]] = {
            self._tables.insert_votes: vote_rows,
            self._tables.insert_attempts: attempt_rows,
        }
        lines = list(map(encode, vote_entries(vote_rows, attempt_rows)))
        self._writer.put(Work(lines, {insert: some for insert, some in rows.items() if some}))

    def replace_votes(self, votes: Sequence[Vote]) -> None:
        """See `Store.replace_votes`."""
        rows = list(map(replacement_row, votes))
        lines = [encode(replacement_entry(row)) for row in rows]
        self._step(lambda commit: self._tables.replace_votes(commit, rows), lines)

    def drop_dead_letters(self, task: str) -> int:
        """See `Store.drop_dead_letters`."""
        keys = self.dead_keys(task)
        lines = [encode(drop_entry(keys))] if keys else []
        return cast("int", self._step(lambda commit: self._tables.drop_failed(commit, keys), lines))

    # --- what follows from votes
    def save_posteriors(self, table: PosteriorTable) -> None:
        """See `Store.save_posteriors`."""
        self._step(lambda commit: self._tables.save_fit(commit, table))

    def save_queue(self, task: str, picks: Sequence[Pick]) -> None:
        """See `Store.save_queue`."""
        self._step(lambda commit: self._tables.save_picks(commit, task, picks))

    # --- what people said
    def add_review(self, event: ReviewEvent) -> bool:
        """See `Store.add_review`."""
        row = review_row(event)
        line = encode(review_entry(row))
        work = Work([line], step=lambda commit: self._tables.insert_review(commit, row), urgent=True)
        return cast("bool", self._writer.do(work))

    def add_deed(self, deed: Deed) -> Entry:
        """See `Store.add_deed`."""
        return cast("Entry", self._step(lambda commit: self._tables.insert_deed(commit, deed)))

    # --- versions and state
    def save_state(self, name: str, value: JsonValue) -> None:
        """See `Store.save_state`."""
        self._step(lambda commit: self._tables.save_value(commit, name, value))

    def settle(self) -> None:
        """See `Store.settle`."""
        self._writer.settle()

    @abstractmethod
    def close(self) -> None:
        """See `Store.close`; closing again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _step(self, step: Step, lines: Sequence[bytes] = ()) -> object:
        return self._writer.do(Work(lines, step=step))
