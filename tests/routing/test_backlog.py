from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from promptlabel.routing.backlog import Backlog, pace

HOUR = 3_600.0
NOW = 1_773_100_800.0
WEEK = timedelta(days=7)


def hourly(count: int, until: float = NOW) -> np.ndarray:
    return until - HOUR * np.arange(count)


def test_pace_counts_the_window_only() -> None:
    assert pace(hourly(24 * 30), NOW, WEEK) == pytest.approx(24, abs=0.2)
    assert pace(hourly(24 * 30, NOW - 8 * 24 * HOUR), NOW, WEEK) == 0


def test_pace_of_what_has_just_begun_counts_the_days_since_then_and_one_at_least() -> None:
    assert pace(hourly(48), NOW, WEEK) == pytest.approx(24, rel=0.05)
    assert pace(hourly(3), NOW, WEEK) == 3


def test_without_any_moment_there_is_no_pace() -> None:
    assert pace(np.array([]), NOW, WEEK) is None
    assert pace(np.array([NOW + HOUR]), NOW, WEEK) is None


def test_a_queue_that_gets_more_than_is_decided_grows_and_says_what_would_be_sustainable() -> None:
    backlog = Backlog.of(waiting=100, share=0.05, traces=1_000, decided=20)
    assert backlog.grows
    assert backlog.queued_per_day == 50
    assert backlog.sustainable_share == pytest.approx(0.02)
    same_pace = Backlog.of(100, backlog.sustainable_share, 1_000, 20)
    assert not same_pace.grows


@pytest.mark.parametrize(
    ("waiting", "traces", "decided"), [(0, 1_000, 20), (9, 1_000, 60), (9, None, 5), (9, 5, None)]
)
def test_no_alarm_for_an_empty_queue_a_quick_one_or_an_unknown_pace(
    waiting: int, traces: float | None, decided: float | None
) -> None:
    assert not Backlog.of(waiting, 0.05, traces, decided).grows
