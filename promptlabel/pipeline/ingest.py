"""Files into the store: read for faults first, stored after, signals brought up to date last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final, TypeVar

from promptlabel.records import Event, Gold, Pick, ReviewEvent, Trace
from promptlabel.store.contract import Added, ComputesSignals, Store
from promptlabel.traces.field_map import read_field_map
from promptlabel.traces.plain import UNDATED, Record
from promptlabel.traces.reading import read_files
from promptlabel.traces.sessions import Sessions, keys_of
from promptlabel.traces.signals import compute_signals

_CHUNK: Final = 2000
_NONE: Final = Added(0, 0)
_Record = TypeVar("_Record", Trace, Event, Gold, ReviewEvent)


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows that were new, and rows that were there already."""

    added: int = 0
    present: int = 0

    @classmethod
    def of(cls, rows: Added) -> Counts:
        """What the store says of the rows that it holds now."""
        return cls(rows.added, rows.present)


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did, by kind of row.

    Attributes:
        signals: traces whose signals were computed anew.
        forgotten: rows that stayed out, for the store has forgotten whom they are about.
    """

    traces: Counts
    events: Counts
    gold: Counts
    signals: int
    reviews: Counts = Counts()
    forgotten: int = 0


def ingest(store: Store, paths: Sequence[Path], mapping: Path | None = None) -> IngestReport:
    """Counts of what the files added to the store; the same files again add nothing.

    Args:
        store: where to.
        paths: files, or patterns of them.
        mapping: the file that says where rows have our fields; without one their format is recognised.

    Raises:
        InputError: with every fault of the files, or with every trace id that is stored with other content;
            nothing is stored then.
    """
    field_map = None if mapping is None else read_field_map(mapping)
    read = partial(read_files, paths, field_map)
    kinds = {type(record) for record in read()}  # raises on any fault before anything is stored
    traces = store.add_traces(_only(Trace, read())) if Trace in kinds else _NONE
    events = store.add_events(_only(Event, read())) if Event in kinds else _NONE
    gold = store.add_gold(_only(Gold, read())) if Gold in kinds else _NONE
    reviews = _add_reviews(store, _only(ReviewEvent, read())) if ReviewEvent in kinds else _NONE
    return IngestReport(
        traces=Counts.of(traces),
        events=Counts.of(events),
        gold=Counts.of(gold),
        reviews=Counts.of(reviews),
        signals=update_signals(store),
        forgotten=sum(rows.forgotten for rows in (traces, events, gold, reviews)),
    )


def _add_reviews(store: Store, events: Iterable[ReviewEvent]) -> Added:
    """What people decided elsewhere becomes events like those of the page, with the lane that asked for them."""
    queues: dict[str, dict[str, Pick]] = {}
    now, new = datetime.now(UTC), Counter[bool]()
    for event in events:
        if event.task not in queues:
            queues[event.task] = {pick.trace_id: pick for pick in store.queue(event.task)}
        pick = queues[event.task].get(event.trace_id)
        at = now if event.at == UNDATED else event.at
        lane, probability = (pick.lane, pick.probability) if pick else (None, None)
        new[store.add_review(replace(event, at=at, lane=lane, probability=probability))] += 1
    return Added(new[True], new[False])


def update_signals(store: Store) -> int:
    """The number of traces whose signals were out of date and are computed anew, in the store where it can."""
    if isinstance(store, ComputesSignals):
        return store.update_signals()
    ids = store.traces_with_new_events()
    sessions = _sessions(store, ids)
    for start in range(0, len(ids), _CHUNK):
        store.add_signals(_signals(store, ids[start : start + _CHUNK], sessions))
    return len(ids)


def _sessions(store: Store, ids: Sequence[str]) -> Sessions:
    """All traces of the sessions and persons that these traces are of; none where no trace has either."""
    asked = {key for trace in store.traces(ids) for key in keys_of(trace)} if ids else set()
    every = store.traces() if asked else iter(())
    return Sessions(trace for trace in every if not asked.isdisjoint(keys_of(trace)))


def _only(kind: type[_Record], records: Iterable[Record]) -> Iterator[_Record]:
    return (record for record in records if isinstance(record, kind))


def _signals(store: Store, ids: Sequence[str], sessions: Sessions) -> list[tuple[str, dict[str, float]]]:
    events = {
        trace_id: list(same) for trace_id, same in groupby(store.events(ids), lambda event: event.trace_id)
    }
    return [
        (
            trace.trace_id,
            compute_signals(trace, events.get(trace.trace_id, ()), later=sessions.later(trace)),
        )
        for trace in store.traces(ids)
    ]
