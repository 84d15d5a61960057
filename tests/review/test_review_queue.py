from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from promptlabel.records import ReviewAction, ReviewEvent
from promptlabel.review.queue import LEASE, Holder, ReviewQueue

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANNA, BEN = Holder("anna", "tab 1"), Holder("ben", "tab 1")


def event(
    item: str, reviewer: str, action: ReviewAction = "label", number: int = 0, undoes: str | None = None
) -> ReviewEvent:
    return ReviewEvent(
        event_id=f"{action}-{item}-{reviewer}-{number}",
        trace_id=item,
        task="task",
        reviewer=reviewer,
        action=action,
        at=NOON,
        label="good" if action in ("label", "change") else None,
        undoes=undoes,
    )


def test_items_come_in_order_and_are_leased_to_one_reviewer() -> None:
    queue = ReviewQueue(["a", "b", "c"])
    assert queue.take(ANNA, 2, NOON) == ["a", "b"]
    assert queue.take(BEN, 2, NOON) == ["c"]


def test_a_reloaded_tab_gets_its_own_items_again_and_another_tab_gets_others() -> None:
    queue = ReviewQueue(["a", "b", "c"])
    assert queue.take(ANNA, 1, NOON) == ["a"]
    assert queue.take(ANNA, 1, NOON) == ["a"]
    assert queue.take(Holder("anna", "tab 2"), 1, NOON) == ["b"]


def test_what_a_closed_tab_leased_is_handed_out_when_nothing_else_is_left() -> None:
    queue = ReviewQueue(["a"])
    assert queue.take(ANNA, 1, NOON) == ["a"]
    assert queue.take(Holder("anna", "tab 2"), 1, NOON) == ["a"]


def test_items_a_tab_has_are_not_handed_out_to_it_again() -> None:
    queue = ReviewQueue(["a", "b", "c"])
    assert queue.take(ANNA, 2, NOON) == ["a", "b"]
    assert queue.take(ANNA, 2, NOON, have=["a", "b"]) == ["c"]


def test_a_lease_expires_unless_it_is_renewed() -> None:
    queue = ReviewQueue(["a", "b"])
    queue.take(ANNA, 2, NOON)
    almost = NOON + LEASE - timedelta(seconds=1)
    assert queue.take(ANNA, 0, almost, have=["a"]) == []
    assert queue.take(BEN, 2, NOON + LEASE) == ["b"]


def test_a_labelled_item_is_gone_for_all_and_a_skipped_one_for_the_reviewer_alone() -> None:
    queue = ReviewQueue(["a", "b"])
    queue.apply(event("a", "anna"))
    queue.apply(event("b", "anna", "skip"))
    assert queue.take(ANNA, 2, NOON) == []
    assert queue.take(BEN, 2, NOON) == ["b"]
    assert queue.remaining("anna") == 0
    assert queue.remaining("ben") == 1


def test_a_flagged_item_is_shown_to_nobody() -> None:
    queue = ReviewQueue(["a"], reviewers_per_item=3)
    queue.apply(event("a", "anna", "flag"))
    assert queue.take(BEN, 1, NOON) == []


def test_k_different_reviewers_label_an_item() -> None:
    queue = ReviewQueue(["a"], reviewers_per_item=2)
    queue.apply(event("a", "anna"))
    assert queue.take(ANNA, 1, NOON) == []
    assert queue.take(BEN, 1, NOON) == ["a"]
    assert queue.take(Holder("cy"), 1, NOON) == []
    queue.apply(event("a", "ben"))
    assert queue.remaining("cy") == 0


def test_an_undone_item_comes_back_first() -> None:
    queue = ReviewQueue(["a", "b", "c"])
    queue.apply(event("a", "anna"))
    assert queue.take(ANNA, 1, NOON) == ["b"]
    queue.apply(event("b", "anna"))
    queue.apply(event("a", "anna", "undo", undoes="label-a-anna-0"))
    assert queue.take(ANNA, 1, NOON) == ["a"]


def test_events_of_items_that_are_not_queued_change_nothing() -> None:
    queue = ReviewQueue(["a"])
    queue.apply(event("elsewhere", "anna"))
    assert len(queue) == 1
    assert "elsewhere" not in queue
    assert queue.standing("elsewhere", "anna") == ()


@pytest.mark.parametrize("reviewers_per_item", [1, 2])
def test_eight_reviewers_share_a_thousand_items_without_one_done_twice(reviewers_per_item: int) -> None:
    queue = ReviewQueue([f"t{i}" for i in range(1000)], reviewers_per_item=reviewers_per_item)
    holders = [Holder(f"r{i}") for i in range(8)]
    done: dict[str, set[str]] = {}
    while any(queue.remaining(holder.reviewer) for holder in holders):
        for holder in holders:
            for item in queue.take(holder, 3, NOON)[:1]:
                assert holder.reviewer not in done.setdefault(item, set())
                done[item].add(holder.reviewer)
                queue.apply(event(item, holder.reviewer))
    assert {len(reviewers) for reviewers in done.values()} == {reviewers_per_item}
    assert len(done) == 1000


class QueueMachine(RuleBasedStateMachine):
    """Any mix of takes, decisions, undos and waiting: no double lease, no item twice, nothing lost."""

    reviewers = st.sampled_from(["anna", "ben", "cy"])

    @initialize(k=st.integers(1, 2))
    def start(self, k: int) -> None:
        self.k, self.now, self.number = k, NOON, 0
        self.items = [f"t{i}" for i in range(6)]
        self.queue = ReviewQueue(self.items, reviewers_per_item=k)
        self.held: dict[tuple[str, str], datetime] = {}
        self.standing: dict[tuple[str, str], ReviewEvent] = {}

    @rule(reviewer=reviewers, count=st.integers(1, 3))
    def take(self, reviewer: str, count: int) -> None:
        for item in self.queue.take(Holder(reviewer), count, self.now):
            assert (item, reviewer) not in self.standing
            self.held[item, reviewer] = self.now + LEASE

    @rule(reviewer=reviewers, action=st.sampled_from(["label", "skip", "flag"]), data=st.data())
    def act(self, reviewer: str, action: ReviewAction, data: st.DataObject) -> None:
        mine = sorted(item for item, who in self.held if who == reviewer)
        if mine:
            self.number += 1
            chosen = event(data.draw(st.sampled_from(mine)), reviewer, action, self.number)
            self.queue.apply(chosen)
            self.standing[chosen.trace_id, reviewer] = chosen
            del self.held[chosen.trace_id, reviewer]

    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        if self.standing:
            last = self.standing.pop(data.draw(st.sampled_from(sorted(self.standing))))
            self.number += 1
            self.queue.apply(event(last.trace_id, last.reviewer, "undo", self.number, last.event_id))

    @rule(minutes=st.integers(1, 12))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.held = {key: until for key, until in self.held.items() if until > self.now}

    @invariant()
    def never_more_people_on_an_item_than_wanted(self) -> None:
        for item in self.items:
            leases = sum(1 for held, _ in self.held if held == item)
            labelled = sum(1 for (done, _), e in self.standing.items() if done == item and e.label)
            assert leases == 0 or leases + labelled <= self.k

    @invariant()
    def every_open_item_is_counted(self) -> None:
        for reviewer in ("anna", "ben", "cy"):
            open_items = [item for item in self.items if self._is_open(item, reviewer)]
            assert self.queue.remaining(reviewer) == len(open_items)

    def _is_open(self, item: str, reviewer: str) -> bool:
        events = [e for (done, _), e in self.standing.items() if done == item]
        finished = any(e.action == "flag" for e in events) or sum(1 for e in events if e.label) >= self.k
        return not finished and (item, reviewer) not in self.standing


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestQueueMachine = QueueMachine.TestCase
