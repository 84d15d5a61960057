from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from promptlabel.errors import InputError, StoreError
from promptlabel.pipeline.review import Receipt, ReviewDesk, Submission
from promptlabel.records import Gold, Pick, ReviewEvent, Trace
from promptlabel.review.queue import Holder
from promptlabel.rules.loading import Task
from promptlabel.rules.spec import TaskSpec
from promptlabel.settings import Project, Settings
from promptlabel.store.contract import Store
from promptlabel.store.opening import open_store

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TASK = Task(TaskSpec(task="quality", labels={"good": "", "bad": ""}), (), ())
ITEMS = 80


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(Project(tmp_path, Settings())) as opened:
        opened.add_traces([Trace(f"t{number:03}", NOON, input="question") for number in range(ITEMS)])
        picks = [Pick(f"t{number:03}", "quality", "audit", 0.5, 0.1, "why") for number in range(ITEMS)]
        opened.save_queue("quality", picks)
        yield opened


@pytest.fixture
def desk(store: Store) -> ReviewDesk:
    return ReviewDesk(store, [TASK], lambda: NOON)


def label(trace_id: str, event_id: str = "one") -> Submission:
    return Submission(event_id, "label", trace_id, "good")


@pytest.mark.parametrize("reviewers_per_item", [1, 2])
def test_eight_reviewers_at_once_lose_and_double_nothing(store: Store, reviewers_per_item: int) -> None:
    desk = ReviewDesk(store, [TASK], lambda: NOON, reviewers_per_item=reviewers_per_item)
    receipts: list[Receipt] = []

    def work(reviewer: str) -> None:
        while traces := desk.next_items("quality", Holder(reviewer), 3):
            trace_id = traces[0].trace_id
            receipts.append(desk.submit("quality", reviewer, label(trace_id, f"{reviewer} {trace_id}")))

    reviewers = [threading.Thread(target=work, args=(f"r{number}",)) for number in range(8)]
    for reviewer in reviewers:
        reviewer.start()
    for reviewer in reviewers:
        reviewer.join()
    events = store.reviews("quality")
    assert {receipt.outcome for receipt in receipts} == {"stored"}
    assert {event.event_id for event in events} == {receipt.event_id for receipt in receipts}
    given = Counter(event.trace_id for event in events)
    assert set(given.values()) == {reviewers_per_item}
    assert len({(event.trace_id, event.reviewer) for event in events}) == ITEMS * reviewers_per_item


def test_a_decision_the_store_refuses_leaves_no_trace(
    desk: ReviewDesk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(event: ReviewEvent) -> bool:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "add_review", full)
        with pytest.raises(StoreError):
            desk.submit("quality", "anna", label("t000"))
    assert desk.progress("quality", "anna").labelled == 0
    assert desk.submit("quality", "anna", label("t000")).outcome == "stored"


def test_nothing_is_revealed_before_the_label_stands(desk: ReviewDesk) -> None:
    assert desk.reveal("quality", "anna", "t000") is None
    desk.submit("quality", "anna", label("t000"))
    assert desk.reveal("quality", "ben", "t000") is None
    revealed = desk.reveal("quality", "anna", "t000")
    assert revealed is not None
    assert (revealed.label, revealed.posterior, revealed.reason) == ("good", None, "why")
    desk.submit("quality", "anna", Submission("undo", "undo"))
    assert desk.reveal("quality", "anna", "t000") is None


def test_a_desk_opened_later_goes_on_where_the_first_was(desk: ReviewDesk, store: Store) -> None:
    desk.submit("quality", "anna", label("t000"))
    desk.submit("quality", "anna", Submission("skipped", "skip", "t001"))
    later = ReviewDesk(store, [TASK], lambda: NOON)
    assert later.progress("quality", "anna") == desk.progress("quality", "anna")
    assert [trace.trace_id for trace in later.next_items("quality", Holder("anna"), 1)] == ["t002"]
    assert later.submit("quality", "anna", label("t000", "again")).outcome == "superfluous"
    assert later.submit("quality", "anna", label("t000")).outcome == "repeated"


def test_traces_labelled_elsewhere_are_not_asked_about(store: Store) -> None:
    store.add_gold([Gold(trace_id, "quality", "good", "ben", NOON) for trace_id in ("t000", "t001")])
    store.add_review(ReviewEvent("shown", "t001", "quality", "cy", "skip", NOON))
    desk = ReviewDesk(store, [TASK], lambda: NOON)
    assert [trace.trace_id for trace in desk.next_items("quality", Holder("anna"), 2)] == ["t001", "t002"]


def test_a_change_of_ones_mind_is_a_second_event_that_is_not_blind(desk: ReviewDesk, store: Store) -> None:
    assert (
        desk.submit("quality", "anna", Submission("early", "change", "t000", "bad")).outcome == "superfluous"
    )
    desk.submit("quality", "anna", label("t000"))
    assert (
        desk.submit("quality", "anna", Submission("same", "change", "t000", "good")).outcome == "superfluous"
    )
    desk.submit("quality", "anna", Submission("changed", "change", "t000", "bad"))
    assert [(event.label, event.blind) for event in store.reviews("quality")] == [
        ("good", True),
        ("bad", False),
    ]


def test_unknown_traces_and_labels_are_named(desk: ReviewDesk) -> None:
    with pytest.raises(InputError, match="nowhere is not in the queue"):
        desk.submit("quality", "anna", label("nowhere"))
    with pytest.raises(InputError, match="has no label superb"):
        desk.submit("quality", "anna", Submission("one", "label", "t000", "superb"))
