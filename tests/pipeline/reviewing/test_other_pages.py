from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from postgres_server import Server
from store_samples import a_trace

from promptlabel.pipeline.reviewing.review import ReviewDesk
from promptlabel.pipeline.reviewing.task_desk import Submission
from promptlabel.records import Pick
from promptlabel.review.queue import Holder
from promptlabel.rules.loading import Task
from promptlabel.rules.spec import TaskSpec
from promptlabel.settings import Review
from promptlabel.store.contract import Store

psycopg = pytest.importorskip("psycopg", reason="needs the postgres extra")

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TASK = Task(TaskSpec(task="quality", labels={"good": "", "bad": ""}), (), ())


@pytest.fixture
def stores(postgres: Server, tmp_path: Path) -> Iterator[list[Store]]:
    from promptlabel.store.postgres.postgres_store import PostgresStore

    address = postgres.new_schema()
    opened: list[Store] = [PostgresStore(address, tmp_path / name) for name in ("one", "two")]
    opened[0].add_traces(map(a_trace, range(6)))
    opened[0].save_queue(
        "quality", [Pick(f"trace-{n:05d}", "quality", "audit", 0.5, 0.5, "") for n in range(6)]
    )
    yield opened
    for store in opened:
        store.close()


def desks(stores: list[Store], **review: int) -> tuple[ReviewDesk, ReviewDesk]:
    one, two = (ReviewDesk(store, [TASK], lambda: NOON, review=Review(**review)) for store in stores)
    return one, two


def names(desk: ReviewDesk, reviewer: str, count: int, have: tuple[str, ...] = ()) -> list[str]:
    return [trace.trace_id[-1] for trace in desk.next_items("quality", Holder(reviewer), count, have)]


def test_two_pages_hand_out_different_traces(stores: list[Store]) -> None:
    one, two = desks(stores)
    assert names(one, "ada", 2) == ["0", "1"]
    assert names(two, "bob", 3) == ["2", "3", "4"]
    assert names(one, "cyd", 3) == ["5"]
    assert names(two, "dan", 3) == []


def test_what_one_page_decided_no_other_asks_about(stores: list[Store]) -> None:
    one, two = desks(stores)
    assert names(one, "ada", 2) == ["0", "1"]
    one.submit("quality", "ada", Submission("e1", "label", "trace-00000", "good"))
    assert names(two, "bob", 6) == ["2", "3", "4", "5"]
    assert two.progress("quality", "bob").left == 5
    assert (
        two.submit("quality", "ada", Submission("e1", "label", "trace-00000", "good")).outcome == "repeated"
    )


def test_a_trace_for_two_reviewers_has_two_on_any_page(stores: list[Store]) -> None:
    one, two = desks(stores, reviewers=2)
    assert names(one, "ada", 1) == ["0"]
    assert names(two, "bob", 1) == ["0"]
    assert names(two, "cyd", 1) == ["1"]
    assert names(one, "dan", 2) == ["1", "2"]


def test_a_lease_that_ran_out_frees_the_trace_for_other_pages(stores: list[Store]) -> None:
    now = NOON
    one = ReviewDesk(stores[0], [TASK], lambda: now)
    two = ReviewDesk(stores[1], [TASK], lambda: now)
    assert len(names(one, "ada", 6)) == 6
    assert names(two, "bob", 1) == []
    with stores[0]._readers.session() as session:  # type: ignore[attr-defined]
        session.execute("UPDATE review_leases SET until = now()")
    now = NOON + timedelta(minutes=11)
    assert names(two, "bob", 1) == ["0"]
