"""The shared home of the store: a PostgreSQL database, any number of processes, a journal in each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import psycopg

from promptlabel.records import (
    Answer,
    Event,
    Gold,
    RegisteredRule,
    ReviewEvent,
    Trace,
)
from promptlabel.store.connection import Row
from promptlabel.store.contract import (
    PLACES,
    WHOLE,
    Added,
    LabelVotes,
    LeaseRequest,
    Part,
    PosteriorTable,
    Tenure,
    VoteTable,
)
from promptlabel.store.forgettings import Forgetting
from promptlabel.store.journal import Journal, Position
from promptlabel.store.journal_slots import folders_of
from promptlabel.store.moving import select
from promptlabel.store.postgres import loading, tables, vacuuming
from promptlabel.store.postgres.committing import Commit, Committer, StaleWriterError, write_about_traces
from promptlabel.store.postgres.migrations import migrate
from promptlabel.store.postgres.reading import Readers, only
from promptlabel.store.postgres.recovering import recover
from promptlabel.store.postgres.session import (
    PATIENCE,
    Address,
    Connection,
    UnreachableError,
    connect,
    postgres_errors,
)
from promptlabel.store.postgres.tenures import Tenures
from promptlabel.store.rows import (
    answer_from,
    event_row,
    fields_from,
    gold_row,
    review_from,
    to_json,
    trace_from,
    trace_row,
)
from promptlabel.store.scrubbing import scrub
from promptlabel.store.writer import Work, Writer
from promptlabel.store.writer import apply as apply_work
from promptlabel.store.writing import Tables, Writing

_STREAMED: Final = frozenset({"traces", "events", "current_votes", "pending", "marks", "matching"})
"""Queries that may return more rows than fit in memory."""
_TRACES_A_PAGE: Final = 1024
_OPENING: Final = 3.0
"""Seconds that a server which does not answer is waited for when the store is opened: it may not be there at all."""


class PostgresStore(Writing):
    """A `Store` in a PostgreSQL database, with a journal of this process in a folder; open it with `open_store`.

    Attributes:
        recovered: journal entries of this machine that the database lacked when it was opened, now in it.
        server: the server's name and version.
        torn: bytes of a last journal line cut off when it was opened, as a crash leaves it.
    """

    _tables = Tables(
        insert_votes=tables.insert_votes,
        insert_attempts=tables.insert_attempts,
        replace_votes=tables.replace_votes,
        drop_failed=tables.drop_failed,
        register=tables.register,
        save_fit=tables.save_fit,
        save_picks=tables.save_picks,
        save_value=tables.save_value,
        insert_review=tables.insert_review,
        insert_deed=tables.insert_deed,
    )

    def __init__(self, address: str, journals: Path, *, patience: float = PATIENCE) -> None:
        self.address = Address(address)
        self._closed = False
        self._signals_as_of: int | None = None
        self.journals = journals
        with connect(self.address, patience=min(patience, _OPENING)) as connection, postgres_errors():
            self.server = f"PostgreSQL {connection.info.parameter_status('server_version')}"
            migrate(connection)
            self._own = recover(self.address, journals, patience)
        self.recovered, self.torn = self._own.entries, self._own.torn
        self._readers = Readers(self.address, patience)
        self._tenures = Tenures(self._own.committer, self._readers)
        self._writer = PostgresWriter(self._own.journal, self._own.committer)

    # --- what happened in production
    def add_traces(self, traces: Iterable[Trace]) -> Added:
        """See `Store.add_traces`."""
        return self._ingest("traces", map(trace_row, traces))

    def add_events(self, events: Iterable[Event]) -> Added:
        """See `Store.add_events`."""
        return self._ingest("events", map(event_row, events))

    def add_gold(self, gold: Iterable[Gold]) -> Added:
        """See `Store.add_gold`."""
        return self._ingest("gold", map(gold_row, gold))

    def add_signals(self, signals: Iterable[tuple[str, Mapping[str, float]]]) -> None:
        """See `Store.add_signals`."""
        rows = [(trace_id, to_json(dict(values))) for trace_id, values in signals]
        as_of, self._signals_as_of = self._signals_as_of, None
        self._step(lambda commit: tables.insert_signals(commit, rows, as_of or commit.batch))

    def traces_with_new_events(self) -> Sequence[str]:
        """See `Store.traces_with_new_events`; signals added next count as computed from what is there now."""
        self._signals_as_of = only(self._settled().rows("last_batch", {"lock": tables.INGEST}))
        return super().traces_with_new_events()

    # --- rules and their votes
    def pending(
        self, rule: RegisteredRule, *, samples: int = 1, limit: int | None = None, part: Part = WHOLE
    ) -> Iterator[tuple[Trace, int]]:
        """See `Store.pending`."""
        first, last = part.bounds
        found = self.read(
            "pending",
            first=first - PLACES // 2,
            last=last - PLACES // 2,
            task=rule.task,
            rule_hash=rule.rule_hash,
            model_hash=rule.model_hash,
            samples=samples,
            limit=limit,
        )
        places, sample_of = array("q"), array("i")
        for place, sample in found:
            places.append(place)
            sample_of.append(sample)
        return self._pages(places, sample_of)

    def answers(self, requests: Sequence[str]) -> Mapping[str, Answer]:
        """See `Store.answers`."""
        self._writer.check()
        rows = self._readers.rows("answers", {"requests": list(requests)}) if requests else []
        return {request.hex: answer_from(fields_from(raw)) for request, raw in rows}

    def vote_table(self, task: str, labels: Sequence[str]) -> VoteTable:
        """See `Store.vote_table`."""
        from promptlabel.store.postgres import arrays

        return self._settled().patiently(lambda session: arrays.read_vote_table(session, task, labels))

    def label_votes(self, task: str, labels: Sequence[str]) -> LabelVotes:
        """See `Store.label_votes`."""
        from promptlabel.store.postgres import arrays

        return self._settled().patiently(lambda session: arrays.read_label_votes(session, task, labels))

    # --- what follows from votes
    def posteriors(self, task: str) -> PosteriorTable | None:
        """See `Store.posteriors`."""
        from promptlabel.store.postgres import arrays

        return self._settled().patiently(lambda session: arrays.read_fit(session, task))

    # --- what people said
    def lease(self, asked: LeaseRequest) -> Sequence[str]:
        """See `SharedQueue.lease`."""
        return self._readers.patiently(lambda session: tables.lease(session, asked)) if asked.wanted else ()

    def reviews_since(self, task: str, arrival: int) -> tuple[Sequence[ReviewEvent], int]:
        """See `SharedQueue.reviews_since`."""
        rows = self._settled().rows("reviews_since", {"task": task, "arrival": arrival})
        return [review_from(row[1:]) for row in rows], rows[-1][0] if rows else arrival

    # --- versions and state
    def hold(self, name: str) -> AbstractContextManager[None]:
        """See `Store.hold`."""
        return self._tenures.hold(name)

    @property
    def tenures(self) -> Sequence[Tenure]:
        """See `Fences.tenures`."""
        return self._tenures.held

    def fence(self, name: str) -> Tenure:
        """See `Fences.fence`."""
        return self._tenures.fence(name)

    def under(self, tenures: Sequence[Tenure]) -> AbstractContextManager[None]:
        """See `Fences.under`."""
        return self._tenures.under(tenures)

    @contextmanager
    def squeezed(self) -> Iterator[None]:
        """See `Store.squeezed`; here the memory is the server's."""
        yield

    # --- what is forgotten
    def forget(self, forgetting: Forgetting) -> Mapping[str, int]:
        """See `Store.forget`."""
        with self._settled().session() as connection, connection.transaction():
            return tables.forget(connection, forgetting)

    def erase(self) -> None:
        """See `Store.erase`; tables are written anew, one after the other, while nobody can read them."""
        forgettings = self.forgettings()
        for journal in folders_of(self.journals) if forgettings else ():
            scrub(journal, partial(self.forgotten, "trace"))
        if not all(one.erased for one in forgettings):
            with self._settled().session() as connection:
                vacuuming.erase(connection)

    # --- moving
    def dump(self, relation: str) -> Iterator[Row]:
        """See `Movable.dump`."""
        return self._settled().stream_of(select(relation).encode())

    def load(self, relation: str, rows: Iterable[Row]) -> None:
        """See `Movable.load`."""
        with self._settled().session() as connection, connection.transaction():
            loading.load(Commit(connection, self._next_batch(connection)), relation, rows)

    def close(self) -> None:
        """See `Store.close`; closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        with ExitStack() as last:
            last.callback(self._own.close)
            last.callback(self._readers.close)
            self._writer.close()

    def read(self, name: str, /, **parameters: object) -> Iterator[Row]:
        """See `Reading.read`."""
        readers = self._settled()
        return readers.stream(name, parameters) if name in _STREAMED else iter(readers.rows(name, parameters))

    def _settled(self) -> Readers:
        """The readers, once everything put before is to be seen by them."""
        self._writer.settle()
        return self._readers

    def _pages(self, places: array[int], sample_of: array[int]) -> Iterator[tuple[Trace, int]]:
        for start in range(0, len(places), _TRACES_A_PAGE):
            page = places[start : start + _TRACES_A_PAGE]
            rows = self._readers.rows("traces_of_places", {"places": page.tolist()})
            traces = {place: trace_from(*row) for place, *row in rows}
            for place, sample in zip(page, sample_of[start : start + _TRACES_A_PAGE], strict=True):
                yield traces[place], sample

    def _ingest(self, relation: str, rows: Iterable[Row]) -> Added:
        with self._settled().session() as connection, connection.transaction():
            counted = _Counted(rows)
            tables.stage(connection, f"arriving_{relation}", counted)
            write_about_traces(connection)
            tables.lock(connection, tables.INGEST)
            return tables.insert_arrived(
                Commit(connection, self._next_batch(connection)), relation, counted.count
            )

    @staticmethod
    def _next_batch(connection: Connection) -> int:
        return int(only(connection.execute("SELECT nextval('batches')").fetchall()))


class PostgresWriter(Writer):
    """The writer of this process; a commit whose connection is lost is made again, once the database is back."""

    fatal = (psycopg.OperationalError, psycopg.InterfaceError, UnreachableError, StaleWriterError)

    def __init__(self, journal: Journal, committer: Committer) -> None:
        self._committer = committer
        super().__init__(journal, committer.position)

    def commit(self, group: Sequence[Work], position: Position) -> list[object]:
        """See `Writer.commit`."""
        return self._committer.write(lambda commit: apply_work(group, commit), position)

    def errors(self) -> AbstractContextManager[None]:
        """See `Writer.errors`."""
        return postgres_errors()


class _Counted:
    """Rows, counted as they are taken."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            yield row
