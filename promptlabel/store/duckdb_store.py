"""The embedded home of the store: one DuckDB file, one owner, one writer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Final, cast

from promptlabel.errors import StoreHeldError
from promptlabel.records import (
    Answer,
    Event,
    Gold,
    RegisteredRule,
    Trace,
)
from promptlabel.store import (
    forgetting_tables,
    loading,
    people_tables,
    replay,
    result_tables,
    signal_tables,
    trace_tables,
    verifying,
    vote_tables,
)
from promptlabel.store.connection import Connection, Row, connect, squeezed, store_errors, stream
from promptlabel.store.contract import (
    WHOLE,
    Added,
    LabelVotes,
    Part,
    PosteriorTable,
    VoteTable,
)
from promptlabel.store.forgettings import Forgetting
from promptlabel.store.holding import held
from promptlabel.store.journal import SEGMENT_BYTES, Journal, erase, read
from promptlabel.store.ledger import Commit, Ledger
from promptlabel.store.migrations import migrate
from promptlabel.store.moving import select
from promptlabel.store.rewriting import rewrite
from promptlabel.store.rows import (
    chunks,
    event_row,
    gold_row,
    to_json,
    trace_row,
)
from promptlabel.store.scrubbing import scrub
from promptlabel.store.sql import query
from promptlabel.store.staging import stage
from promptlabel.store.verifying import Verification
from promptlabel.store.writer import DuckDBWriter, Work
from promptlabel.store.writing import Tables, Writing

_ROWS_A_LOAD: Final = 20_000

_open_here: set[Path] = set()


class DuckDBStore(Writing):
    """A `Store` in one DuckDB file beside a journal folder; open it with `open_store`.

    Attributes:
        recovered: journal entries that the file lacked when it was opened, now in it.
        torn: bytes of a last journal line cut off when it was opened, as a crash leaves it.
    """

    _tables = Tables(
        insert_votes=vote_tables.insert_votes,
        insert_attempts=vote_tables.insert_attempts,
        replace_votes=vote_tables.replace_votes,
        drop_failed=vote_tables.drop_failed,
        register=vote_tables.register,
        save_fit=result_tables.save_fit,
        save_picks=result_tables.save_picks,
        save_value=result_tables.save_value,
        insert_review=people_tables.insert_review,
        insert_deed=people_tables.insert_deed,
    )

    def __init__(
        self, path: Path, journal: Path, *, lean: bool = False, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self.path = path.resolve()
        self.journal_folder = journal
        if self.path in _open_here:
            raise StoreHeldError(str(path), os.getpid())
        self._connection = connect(self.path, lean=lean)
        self._lean = lean
        try:
            self._start(segment_bytes)
        except BaseException:
            self._connection.close()
            raise
        self._closed = self._rewriting = False
        _open_here.add(self.path)

    def _start(self, segment_bytes: int) -> None:
        with store_errors():
            migrate(self._connection)
            ledger = Ledger.load(self._connection)
            self._journal = Journal(self.journal_folder, ledger.position, segment_bytes=segment_bytes)
            self.torn = self._journal.torn
            lines = read(self.journal_folder, ledger.position)
            self.recovered = replay.catch_up(self._connection, ledger, lines)
        self._writer = DuckDBWriter(self._connection.cursor(), self._journal, ledger)

    # --- what happened in production
    def add_traces(self, traces: Iterable[Trace]) -> Added:
        """See `Store.add_traces`."""
        return self._ingest("arriving_traces", map(trace_row, traces), trace_tables.insert_traces)

    def add_events(self, events: Iterable[Event]) -> Added:
        """See `Store.add_events`."""
        return self._ingest("arriving_events", map(event_row, events), trace_tables.insert_events)

    def add_gold(self, gold: Iterable[Gold]) -> Added:
        """See `Store.add_gold`."""
        return self._ingest("arriving_gold", map(gold_row, gold), trace_tables.insert_gold)

    def add_signals(self, signals: Iterable[tuple[str, Mapping[str, float]]]) -> None:
        """See `Store.add_signals`."""
        rows = [(trace_id, to_json(dict(values))) for trace_id, values in signals]
        self._writer.do(Work(rows={signal_tables.insert_signals: rows}))

    def traces_with_new_events(self) -> Sequence[str]:
        """See `Store.traces_with_new_events`."""
        with self._reading().cursor() as cursor, store_errors():
            signal_tables.stage_outdated(cursor)
            return [trace_id for (trace_id,) in cursor.execute(query("traces_with_new_events")).fetchall()]

    def update_signals(self) -> int:
        """See `ComputesSignals.update_signals`."""
        with self._reading().cursor() as cursor:
            with store_errors():
                outdated = signal_tables.stage_signals(cursor)
            if outdated:
                self._writer.do(Work(step=signal_tables.replace_signals, connection=cursor))
            return outdated

    # --- rules and their votes
    def pending(
        self, rule: RegisteredRule, *, samples: int = 1, limit: int | None = None, part: Part = WHOLE
    ) -> Iterator[tuple[Trace, int]]:
        """See `Store.pending`."""
        return trace_tables.read_pending(self._reading(), rule, samples, limit, part)

    def answers(self, requests: Sequence[str]) -> Mapping[str, Answer]:
        """See `Store.answers`."""
        self._writer.check()
        return vote_tables.read_answers(self._connection, requests) if requests else {}

    def vote_table(self, task: str, labels: Sequence[str]) -> VoteTable:
        """See `Store.vote_table`."""
        from promptlabel.store import vote_arrays

        with store_errors():
            return vote_arrays.read_vote_table(self._reading(), task, labels)

    def label_votes(self, task: str, labels: Sequence[str]) -> LabelVotes:
        """See `Store.label_votes`."""
        from promptlabel.store import vote_arrays

        with store_errors():
            return vote_arrays.read_label_votes(self._reading(), task, labels)

    # --- what follows from votes
    def posteriors(self, task: str) -> PosteriorTable | None:
        """See `Store.posteriors`."""
        with store_errors():
            return result_tables.read_fit(self._reading(), task)

    # --- versions and state
    def hold(self, name: str) -> AbstractContextManager[None]:
        """See `Store.hold`."""
        return held(self.journal_folder.parent, name)

    @contextmanager
    def squeezed(self) -> Iterator[None]:
        """See `Store.squeezed`."""
        with squeezed(self._reading()) if self._lean else nullcontext():
            yield

    # --- what is forgotten
    def forget(self, forgetting: Forgetting) -> Mapping[str, int]:
        """See `Store.forget`."""
        gone = self._step(lambda commit: forgetting_tables.forget_embedded(commit, forgetting))
        return cast("Mapping[str, int]", gone)

    def erase(self) -> None:
        """See `Store.erase`; the file is written anew when it is closed."""
        self._scrub()
        self._rewriting = not all(one.erased for one in self.forgettings())

    def _scrub(self) -> None:
        if self.forgettings():
            scrub(self.journal_folder, partial(self.forgotten, "trace"))

    # --- moving
    def dump(self, relation: str) -> Iterator[Row]:
        """See `Movable.dump`."""
        return stream(self._reading(), select(relation))

    def load(self, relation: str, rows: Iterable[Row]) -> None:
        """See `Movable.load`."""
        for chunk in chunks(rows, _ROWS_A_LOAD):
            self._step(partial(loading.LOADS[relation], rows=chunk))

    # --- soundness
    def verify(self) -> Verification:
        """What is wrong between the file, its ledger and the journal; call it while nobody writes."""
        if not all(one.erased for one in self.forgettings()):
            self._scrub()
        with self._reading().cursor() as cursor, store_errors():
            return verifying.verify(cursor, self.journal_folder)

    def repair(self) -> Verification:
        """What was wrong; damaged journal lines are set aside now, and file and journal agree.

        What neither has stays lost; it is in what this returns, and not found again.
        """
        found = self.verify()
        if found.sound:
            return found
        for line in found.damaged:
            erase(line)
        with self._reading().cursor() as cursor, store_errors():
            lines = verifying.lines_that_lack(cursor, self.journal_folder)
        self._writer.do(Work(lines, step=lambda commit: verifying.rebuild(commit, self.journal_folder)))
        return found

    def close(self) -> None:
        """See `Store.close`; closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        with ExitStack() as last:
            if self._rewriting:
                last.callback(rewrite, self.path)
            last.callback(_open_here.discard, self.path)
            last.callback(self._connection.close)
            last.callback(self._journal.close)
            self._writer.close()

    def _ingest(self, table: str, rows: Iterable[Row], insert: Callable[[Commit], Added]) -> Added:
        with self._reading().cursor() as cursor:
            with store_errors():
                stage(cursor, table, rows)
            return cast("Added", self._writer.do(Work(step=insert, connection=cursor)))

    def _reading(self) -> Connection:
        """The connection, once everything put before is to be seen on it."""
        self._writer.settle()
        return self._connection

    def read(self, name: str, /, **parameters: object) -> Iterator[Row]:
        """See `Reading.read`."""
        return stream(self._reading(), query(name), parameters)
