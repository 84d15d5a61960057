"""Files into a real store: all or nothing, the same again adds nothing, signals follow what arrives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from promptlabel.errors import InputError
from promptlabel.pipeline.ingest import Counts, IngestReport, ingest
from promptlabel.settings import Project, Settings
from promptlabel.store.contract import Store
from promptlabel.store.opening import open_store

MOMENT = "2026-01-31T12:00:00Z"
NOTHING = Counts(0, 0)


def trace(name: str, text: str = "x") -> dict[str, object]:
    return {"trace_id": name, "timestamp": MOMENT, "input": text}


def event(name: str, what: str) -> dict[str, object]:
    return {"trace_id": name, "timestamp": MOMENT, "event": what}


def gold(name: str, label: str) -> dict[str, object]:
    return {"trace_id": name, "task": "q", "label": label, "reviewer": "ann", "timestamp": MOMENT}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(Project(tmp_path / "project", Settings())) as store:
        yield store


def written(path: Path, *rows: object) -> Path:
    path.write_bytes(b"\n".join(row if isinstance(row, bytes) else orjson.dumps(row) for row in rows))
    return path


def contents(store: Store) -> tuple[int, int, int]:
    return store.count_traces(), len(list(store.events())), len(store.gold("q"))


def test_three_kinds_in_one_file(store: Store, tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", trace("a"), event("a", "copied"), gold("a", "good"), trace("b"))
    assert ingest(store, [file]) == IngestReport(Counts(2, 0), Counts(1, 0), Counts(1, 0), signals=2)
    stored = {found.trace_id: found for found in store.traces()}
    assert stored["a"].signal("copied") == 1.0
    assert stored["b"].signal("copied") is None
    assert stored["b"].signal("characters") == 1.0


def test_a_foreign_log_through_a_mapping_twice(store: Store, tmp_path: Path) -> None:
    mapping = tmp_path / "map.yaml"
    mapping.write_text(
        "trace: {trace_id: n, input: q}\nevents: [{event: =rated, value: stars, timestamp: at}]\n"
    )
    file = written(tmp_path / "log.jsonl", {"n": 1, "q": "x", "stars": 4, "at": MOMENT}, {"n": 2, "q": "y"})
    assert ingest(store, [file], mapping) == IngestReport(Counts(2, 0), Counts(1, 0), NOTHING, signals=2)
    assert ingest(store, [file], mapping) == IngestReport(Counts(0, 2), Counts(0, 1), NOTHING, signals=0)
    assert next(iter(store.traces(["1"]))).signal("rated") == 4


def test_a_place_that_no_row_has_stores_nothing(store: Store, tmp_path: Path) -> None:
    mapping = tmp_path / "map.yaml"
    mapping.write_text("trace: {trace_id: n, input: q, category: topc}")
    with pytest.raises(InputError, match="no row has 'topc'"):
        ingest(store, [written(tmp_path / "log.jsonl", {"n": 1, "q": "x"})], mapping)
    assert contents(store) == (0, 0, 0)


def test_the_same_again_adds_nothing(store: Store, tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", trace("a"), event("a", "copied"), gold("a", "good"))
    ingest(store, [file])
    assert ingest(store, [file]) == IngestReport(Counts(0, 1), Counts(0, 1), Counts(0, 1), signals=0)
    assert contents(store) == (1, 1, 1)


def test_signals_follow_events_that_come_later_or_first(store: Store, tmp_path: Path) -> None:
    early = written(tmp_path / "early.jsonl", event("a", "copied"), event("b", "copied"))
    ingest(store, [early])
    ingest(store, [written(tmp_path / "traces.jsonl", trace("a"), trace("b"))])
    report = ingest(store, [written(tmp_path / "late.jsonl", event("a", "rejected"))])
    assert report == IngestReport(NOTHING, Counts(1, 0), NOTHING, signals=1)
    stored = {found.trace_id: found.signals for found in store.traces()}
    assert stored["a"]["copied"] == stored["a"]["rejected"] == stored["b"]["copied"] == 1.0
    assert "rejected" not in stored["b"]


def test_a_fault_anywhere_leaves_the_store_as_it_was(store: Store, tmp_path: Path) -> None:
    ingest(store, [written(tmp_path / "sound.jsonl", trace("a"))])
    sound = written(tmp_path / "more.jsonl", trace("b"), event("b", "copied"), gold("b", "good"))
    faulty = written(tmp_path / "faulty.jsonl", *[trace(f"c{n}") for n in range(5000)], b"oops")
    with pytest.raises(InputError, match=r"faulty\.jsonl:5001"):
        ingest(store, [sound, faulty])
    assert contents(store) == (1, 0, 0)


def test_other_content_under_a_stored_id_is_refused_with_the_id(store: Store, tmp_path: Path) -> None:
    ingest(store, [written(tmp_path / "first.jsonl", trace("known-7"))])
    second = written(tmp_path / "second.jsonl", trace("b"), trace("known-7", "other"), event("b", "copied"))
    with pytest.raises(InputError, match="known-7"):
        ingest(store, [second])
    assert contents(store) == (1, 0, 0)


def test_more_traces_than_one_chunk_of_signals(store: Store, tmp_path: Path) -> None:
    rows = [trace(f"t{n}", "x" * (n % 7)) for n in range(4321)]
    assert ingest(store, [written(tmp_path / "many.jsonl", *rows)]).signals == 4321
    assert all(found.signal("characters") == len(found.input or "") for found in store.traces())
