"""What several events say together, against what can be counted by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.records import Event, Message, Trace
from promptlabel.traces.reactions import changed_share
from promptlabel.traces.signals import compute_signals

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ANSWERED = Trace(
    "t", messages=(Message("user", "sort my list", NOON), Message("assistant", "use sorted of xs", NOON))
)


def event(name: str, minutes: float = 0, value: Any = None, **metadata: Any) -> Event:
    return Event("t", NOON + timedelta(minutes=minutes), name, value, metadata)


def signal(name: str, *events: Event, trace: Trace = ANSWERED) -> float | None:
    return compute_signals(trace, events).get(name)


class TestReverts:
    @pytest.mark.parametrize(
        ("events", "minutes"),
        [
            ([event("accepted"), event("reverted", 7)], 7),
            ([event("copied", 2), event("reverted", 7)], 5),
            ([event("accepted"), event("accepted", 6), event("reverted", 7)], 1),
            ([event("accepted"), event("reverted", 9), event("accepted", 10), event("reverted", 13)], 3),
            ([event("reverted", 1), event("accepted", 2)], None),
            ([event("accepted")], None),
        ],
    )
    def test_minutes_from_taking_to_taking_back(self, events: list[Event], minutes: float | None) -> None:
        assert signal("reverted_after_minutes", *events) == minutes


class TestDecisions:
    @pytest.mark.parametrize(
        ("events", "seconds"),
        [
            ([event("shown"), event("accepted", 1)], 60),
            ([event("shown"), event("shown", 1), event("rejected", 1.5), event("accepted", 9)], 30),
            ([event("rejected"), event("shown", 1), event("copied", 2)], 60),
            ([event("shown"), event("left", 1)], None),
            ([event("accepted")], None),
        ],
    )
    def test_seconds_from_showing_to_deciding(self, events: list[Event], seconds: float | None) -> None:
        assert signal("decision_seconds", *events) == seconds


class TestEdits:
    @pytest.mark.parametrize(
        ("edit", "share"),
        [
            (event("edited", 1, 0.35), 0.35),
            (event("edited", 1, "use sorted of ys"), 0.25),
            (event("edited", 1, None, before="a b", after="a c"), 0.5),
            (event("edited", 1, None, after="use sorted of xs"), 0),
            (event("edited", 1, 17), None),
            (event("edited", 1, True), None),
            (event("edited", 1), None),
        ],
    )
    def test_the_share_that_was_changed(self, edit: Event, share: float | None) -> None:
        assert signal("edited_share", edit) == share

    def test_the_last_edit_counts(self) -> None:
        assert signal("edited_share", event("edited", 2, 0.9), event("edited", 1, 0.1)) == 0.9

    @given(st.text("ab "), st.text("ab "))
    def test_bounds_and_symmetry(self, before: str, after: str) -> None:
        assert changed_share(before, after) == changed_share(after, before)
        assert 0 <= changed_share(before, after) <= 1
        assert changed_share(before, before) == 0
        assert changed_share(before, "") == (1 if before.split() else 0)


class TestAbandoning:
    @pytest.mark.parametrize(
        ("events", "abandoned"),
        [
            ([event("shown")], 1),
            ([event("dwell", 1, 40), event("left", 2)], 1),
            ([event("copied", 30)], 0),
            ([event("copied", 30.1)], 1),
            ([], None),
        ],
    )
    def test_nothing_done_within_half_an_hour(self, events: list[Event], abandoned: float | None) -> None:
        assert signal("abandoned", *events) == abandoned

    def test_nobody_abandons_what_was_not_answered(self) -> None:
        unanswered = Trace("t", messages=(Message("user", "hi", NOON),))
        assert signal("abandoned", event("shown"), trace=unanswered) is None


class TestRatings:
    @pytest.mark.parametrize(
        ("rating", "share"),
        [
            (event("rated", 0, "up"), 1), (event("rated", 0, " Down"), 0), (event("thumbs", 0, "👎"), 0),
            (event("feedback", 0, True), 1), (event("rated", 0, False), 0),
            (event("thumbs", 0, 1), 1), (event("thumbs", 0, 0), 0), (event("thumbs", 0, -1), 0),
            (event("rated", 0, 4, max=5), 0.75), (event("rated", 0, 7, min=0, max=10), 0.7),
            (event("rated", 0, 6, max=5), None), (event("rated", 0, 1, max=1), None),
            (event("rated", 0, 4), None), (event("rated", 0, "meh"), None), (event("rated"), None),
        ],
    )  # fmt: skip
    def test_from_worst_to_best(self, rating: Event, share: float | None) -> None:
        assert signal("rating_share", rating) == share

    def test_the_last_counts_whatever_its_name(self) -> None:
        assert signal("rating_share", event("thumbs", 5, "up"), event("rated", 1, "down")) == 1


class TestAskingAgain:
    @pytest.mark.parametrize(
        ("request_", "likeness", "changed"),
        [
            (event("regenerated", 1, None, prompt="sort my list"), 1, 0),
            (event("regenerated", 1, None, prompt="sort  my list "), 1, 0),
            (event("retried", 1, "sort my list backwards please"), 3 / 5, 1),
            (event("requested", 1), None, None),
        ],
    )
    def test_with_the_same_prompt_or_a_changed_one(
        self, request_: Event, likeness: float | None, changed: float | None
    ) -> None:
        assert signal("rerequest_similarity", request_) == likeness
        assert signal("rerequest_changed", request_) == changed
