"""Months and the split in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from promptlabel.evals.periods import is_later, month
from promptlabel.records import Trace

MOMENT = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)


def test_the_month_of_a_trace() -> None:
    assert month(Trace("a", MOMENT)) == "2026-03"
    assert month(Trace("a")) == "none"


def test_later_is_strictly_later_and_needs_a_time() -> None:
    assert is_later(Trace("a", MOMENT + timedelta(seconds=1)), MOMENT)
    assert not is_later(Trace("a", MOMENT), MOMENT)
    assert not is_later(Trace("a"), MOMENT)


def test_without_a_moment_all_are_later() -> None:
    assert is_later(Trace("a"), None)
