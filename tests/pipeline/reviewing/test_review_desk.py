from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from promptlabel.errors import InputError, StoreError
from promptlabel.pipeline.reviewing.review import ReviewDesk
from promptlabel.pipeline.reviewing.task_desk import Receipt, Submission
from promptlabel.records import Gold, Pick, ReviewEvent, Trace
from promptlabel.review.adjudication import PROBE, decide
from promptlabel.review.queue import Holder
from promptlabel.rules.loading import Task
from promptlabel.rules.spec import TaskSpec
from promptlabel.settings import Project, Review, Settings
from promptlabel.store.contract import PosteriorTable, Store
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


def random_numbers() -> Iterator[float]:
    rng = random.Random(0)
    while True:
        yield rng.random()


def label(trace_id: str, event_id: str = "one") -> Submission:
    return Submission(event_id, "label", trace_id, "good")


@pytest.mark.parametrize("reviewers_per_item", [1, 2])
def test_eight_reviewers_at_once_lose_and_double_nothing(store: Store, reviewers_per_item: int) -> None:
    desk = ReviewDesk(store, [TASK], lambda: NOON, review=Review(reviewers=reviewers_per_item))
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


# --- several reviewers for a share


def test_a_share_of_the_traces_has_two_reviewers_the_same_ones_in_every_run(store: Store) -> None:
    review = Review(reviewers=2, share=0.25)
    for _ in range(2):
        desk = ReviewDesk(store, [TASK], lambda: NOON, review=review)
        for reviewer in ("anna", "ben", "cy"):
            while traces := desk.next_items("quality", Holder(reviewer), 5):
                for trace in traces:
                    desk.submit("quality", reviewer, label(trace.trace_id, f"{reviewer} {trace.trace_id}"))
    given = Counter(event.trace_id for event in store.reviews("quality"))
    assert len(given) == ITEMS
    assert set(given.values()) == {1, 2}
    assert 8 <= sum(count == 2 for count in given.values()) <= 32


# --- conflicts


def disputed(desk: ReviewDesk) -> list[tuple[str, dict[str, str]]]:
    return [(trace.trace_id, dict(one.labels)) for trace, one in desk.disputed("quality", 10)[0]]


@pytest.fixture
def pair(store: Store) -> ReviewDesk:
    """Two people who differ on t000 and agree on t001."""
    desk = ReviewDesk(store, [TASK], lambda: NOON, review=Review(reviewers=2))
    desk.submit("quality", "anna", Submission("a0", "label", "t000", "good"))
    desk.submit("quality", "ben", Submission("b0", "label", "t000", "bad"))
    desk.submit("quality", "anna", Submission("a1", "label", "t001", "good"))
    desk.submit("quality", "ben", Submission("b1", "label", "t001", "good"))
    return desk


def test_an_adjudicator_sees_what_both_said_and_settles_it(pair: ReviewDesk, store: Store) -> None:
    assert disputed(pair) == [("t000", {"anna": "good", "ben": "bad"})]
    assert pair.reveal("quality", "cy", "t000") is None
    assert pair.submit("quality", "cy", Submission("c0", "adjudicate", "t000", "bad")).outcome == "stored"
    assert (
        pair.submit("quality", "cy", Submission("c1", "adjudicate", "t001", "bad")).outcome == "superfluous"
    )
    assert disputed(pair) == []
    assert pair.reveal("quality", "cy", "t000") is not None
    settled, agreed = decide(store.reviews("quality"))
    assert (settled.label, settled.blind, settled.adjudicator) == ("bad", True, "cy")
    assert settled.reviewers == ("anna", "ben", "cy")
    assert (agreed.label, agreed.adjudicator) == ("good", None)


def test_who_has_seen_the_votes_settles_a_conflict_but_makes_no_gold(pair: ReviewDesk, store: Store) -> None:
    pair.submit("quality", "anna", Submission("c0", "adjudicate", "t000", "bad"))
    assert not decide(store.reviews("quality"))[0].blind
    pair.submit("quality", "anna", Submission("c1", "undo"))
    assert disputed(pair) == [("t000", {"anna": "good", "ben": "bad"})]


# --- probes and wrong suggestions


def probing_desk(store: Store, chances: Iterator[float], **review: float) -> ReviewDesk:
    """A desk over a store in which the last ten traces have gold that was brought, and a posterior that is right."""
    store.add_gold(Gold(f"t{number:03}", "quality", "good", "expert", NOON) for number in range(70, ITEMS))
    names = tuple(f"t{number:03}" for number in range(ITEMS))
    probs = np.tile([0.9, 0.1], (ITEMS, 1))
    store.save_posteriors(PosteriorTable("quality", ("good", "bad"), names, probs, NOON, "em", {}))
    return ReviewDesk(store, [TASK], lambda: NOON, review=Review(**review), chance=lambda: next(chances))


KNOWN = {f"t{number:03}" for number in range(70, ITEMS)}


def work_through(desk: ReviewDesk, reviewer: str, said: str = "good") -> list[str]:
    """All that the reviewer gets, decided alike, in order."""
    done: list[str] = []
    while traces := desk.next_items("quality", Holder(reviewer), 4):
        for trace in traces:
            done.append(trace.trace_id)
            receipt = desk.submit(
                "quality", reviewer, Submission(f"{reviewer} {trace.trace_id}", "label", trace.trace_id, said)
            )
            assert receipt.outcome == "stored"
    return done


def test_probes_come_mixed_in_once_each_and_are_never_gold(store: Store) -> None:
    desk = probing_desk(store, random_numbers(), probes=0.1)
    before = {one.trace_id: one for one in decide([], store.gold("quality"))}
    done = work_through(desk, "anna", said="bad")
    probes = [trace_id for trace_id in done if trace_id in KNOWN]
    assert len(done) == len(set(done)) == 70 + len(probes)
    assert 2 <= len(probes) <= 10
    events = store.reviews("quality")
    assert {event.trace_id for event in events if event.lane == PROBE} == set(probes)
    after = {one.trace_id: one for one in decide(events, store.gold("quality"))}
    assert {name: after[name] for name in before} == before
    assert desk.disputed("quality", 10)[1] == 0
    assert work_through(desk, "expert") == []


def test_a_probe_looks_like_any_other_trace_until_it_is_decided(store: Store) -> None:
    desk = probing_desk(store, iter([0.0] * 1000), probes=0.5)
    first = desk.next_items("quality", Holder("anna"), 1)
    assert len(first) == 2
    assert {trace.trace_id for trace in desk.next_items("quality", Holder("anna"), 1)} >= {
        trace.trace_id for trace in first
    }
    probe = next(trace.trace_id for trace in first if trace.trace_id in KNOWN)
    assert desk.trace("quality", "anna", probe) is not None
    assert desk.reveal("quality", "anna", probe) is None
    desk.submit("quality", "anna", label(probe))
    revealed = desk.reveal("quality", "anna", probe)
    assert revealed is not None
    assert "others had labelled it good" in revealed.reason
    desk.submit("quality", "anna", Submission("undo", "undo"))
    assert desk.progress("quality", "anna").labelled == 0


def test_a_wrong_suggestion_is_shown_told_afterwards_and_never_gold(store: Store) -> None:
    desk = probing_desk(store, iter([0.0] * 1000), probes=0.5, suggestions=0.5)
    (probe, *_) = [t.trace_id for t in desk.next_items("quality", Holder("anna"), 1) if t.trace_id in KNOWN]
    assert desk.submit("quality", "anna", label(probe)).told == ()
    revealed = desk.reveal("quality", "anna", probe)
    assert revealed is not None
    assert revealed.posterior == {"bad": 0.9, "good": 0.1}
    assert "others" not in revealed.reason
    later = ReviewDesk(store, [TASK], lambda: NOON, review=Review(probes=0.5, suggestions=0.5))
    for one in (desk, later):
        shown = one.reveal("quality", "anna", probe)
        assert shown is not None
        assert shown.posterior == {"bad": 0.9, "good": 0.1}
    told = desk.submit("quality", "anna", Submission("follow", "change", probe, "bad")).told
    assert [(one.trace_id, one.suggested, one.known) for one in told] == [(probe, "bad", "good")]
    assert desk.submit("quality", "anna", label("t000", "next")).told == ()
    true = desk.reveal("quality", "anna", probe)
    assert true is not None
    assert true.posterior == {"good": 0.9, "bad": 0.1}
    found = {one.trace_id: one for one in decide(store.reviews("quality"), store.gold("quality"))}
    assert (found[probe].label, found[probe].reviewers) == ("good", ("expert",))


def test_a_suggestion_that_was_not_followed_is_told_with_the_next_decision(store: Store) -> None:
    desk = probing_desk(store, iter([0.0] * 1000), probes=0.5, suggestions=0.5)
    probe = next(t.trace_id for t in desk.next_items("quality", Holder("anna"), 1) if t.trace_id in KNOWN)
    desk.submit("quality", "anna", label(probe))
    assert [one.trace_id for one in desk.submit("quality", "anna", label("t000", "next")).told] == [probe]
    assert desk.submit("quality", "anna", label("t001", "last")).told == ()


def test_a_trace_on_which_two_agree_is_no_probe_while_a_third_is_asked_about_it(store: Store) -> None:
    for reviewer in ("anna", "ben"):
        store.add_review(ReviewEvent(reviewer, "t000", "quality", reviewer, "label", NOON, "good"))
    review = Review(reviewers=3, probes=0.5)
    desk = ReviewDesk(store, [TASK], lambda: NOON, review=review, chance=lambda: 0.0)
    assert work_through(desk, "cy").count("t000") == 1
    assert {event.lane for event in store.reviews("quality") if event.reviewer == "cy"} == {"audit"}
    later = ReviewDesk(store, [TASK], lambda: NOON, review=review, chance=lambda: 0.0)
    assert "t000" in [trace.trace_id for trace in later.next_items("quality", Holder("dee"), 1)]
    later.submit("quality", "anna", Submission("undo", "undo", undoes="anna"))
    assert later.submit("quality", "eva", label("t000", "eva")).outcome == "stored"
    assert later.submit("quality", "dee", label("t000", "dee")).outcome == "stored"
    lanes = {event.reviewer: event.lane for event in store.reviews("quality") if event.trace_id == "t000"}
    assert (lanes["dee"], lanes["eva"]) == (PROBE, "audit")


# --- killed in the middle


def test_leases_outlive_the_desk_that_gave_them_and_end_when_they_would_have(
    store: Store, tmp_path: Path
) -> None:
    now = [NOON]

    def started() -> ReviewDesk:
        return ReviewDesk(store, [TASK], lambda: now[0], folder=tmp_path)

    def taken(desk: ReviewDesk, reviewer: str, tab: str, have: tuple[str, ...] = ()) -> list[str]:
        return [trace.trace_id for trace in desk.next_items("quality", Holder(reviewer, tab), 2, have)]

    first = started()
    assert taken(first, "anna", "one") == ["t000", "t001"]
    first.submit("quality", "anna", label("t000"))
    with (tmp_path / "leases.jsonl").open("ab") as file:
        file.write(b'["quality","t050","an')
    again = started()
    assert taken(again, "ben", "two") == ["t002", "t003"]
    assert taken(again, "anna", "one")[0] == "t001"
    now[0] += timedelta(minutes=9)
    assert taken(again, "ben", "two", ("t002", "t003")) == ["t005", "t006"]
    now[0] += timedelta(minutes=2)
    late = started()
    assert taken(late, "cy", "three") == ["t001", "t004"]
    assert taken(late, "ben", "two") == ["t002", "t003"]


# --- a queue made anew


def test_a_refreshed_desk_hands_out_the_new_queue_and_keeps_leases(desk: ReviewDesk, store: Store) -> None:
    assert [trace.trace_id for trace in desk.next_items("quality", Holder("anna"), 1)] == ["t000"]
    desk.submit("quality", "ben", label("t001"))
    order = [Pick(f"t{number:03}", "quality", "audit", 0.5, 0.1, "why") for number in (2, 0, 1)]
    store.save_queue("quality", order)
    desk.refresh("quality")
    assert [trace.trace_id for trace in desk.next_items("quality", Holder("ben"), 5)] == ["t002"]
    assert [trace.trace_id for trace in desk.next_items("quality", Holder("anna"), 5)] == ["t000"]
