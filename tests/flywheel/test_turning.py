from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.evals.intervals import Estimate
from promptlabel.evals.versions import Case, EvalVersion
from promptlabel.flywheel.turning import cost_of_useful, edge_cases, flow, lag_days, median_estimate
from promptlabel.records import Pick, Trace

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def trace(name: str, days: float) -> Trace:
    return Trace(name, NOW - timedelta(days=days), input="x")


def pick(name: str, lane: str = "uncertain") -> Pick:
    return Pick(name, "t", lane, 1.0, 1.0, "")


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=80))
def test_the_median_lies_in_its_interval_of_values(values: list[float]) -> None:
    found = median_estimate(values)
    assert found is not None
    assert min(values) <= found.low <= found.estimate <= found.high <= max(values)


def test_the_interval_of_the_median_holds_it() -> None:
    rng = np.random.default_rng(0)
    held = [np.log(2) in median_estimate(rng.exponential(size=60).tolist()) for _ in range(2000)]  # type: ignore[operator]
    assert 0.94 <= np.mean(held) <= 0.985
    assert median_estimate([]) is None


def test_lag_is_that_of_new_cases_with_a_time() -> None:
    case = Case(trace("a", 10), "t", "good", "2", NOW, ("ann",))
    old, timeless = replace(case, since="1", trace=trace("b", 99)), replace(case, trace=Trace("c", input="x"))
    assert lag_days(EvalVersion("t", "2", (case, old, timeless), {})) == Estimate(10, 10, 10)
    assert lag_days(EvalVersion("t", "3", (case,), {})) is None


def test_edge_cases_are_those_of_the_month_before_the_newest() -> None:
    traces = [
        trace("new", 0),
        trace("a", 30),
        trace("b", 35),
        trace("c", 40),
        trace("old", 90),
        Trace("never", input="x"),
    ]
    picks = [pick("a"), pick("b", "conflict"), pick("c", "audit"), pick("old"), pick("new"), pick("never")]
    found = edge_cases(picks, traces, {"a", "c", "old"})
    assert (found.month, found.cases) == ("2026-10", 2)
    assert found.share is not None
    assert found.share.estimate == 0.5
    assert {lane: share.estimate for lane, share in found.lanes.items()} == {"conflict": 0, "uncertain": 1}
    assert "nothing was exported" in edge_cases(picks, traces, ()).missing
    assert "no edge case of 2026-10" in edge_cases([], traces, ()).missing
    assert "No trace has a time" in edge_cases([], [], ()).missing


def test_the_month_before_january_is_december() -> None:
    assert edge_cases([], [Trace("a", datetime(2026, 1, 2, tzinfo=UTC))], ()).month == "2025-12"


def test_flow_counts_whole_weeks_and_what_the_recent_pace_needs() -> None:
    times = [NOW - timedelta(days=days) for days in range(200)]
    found = flow(times, [NOW] * 8, 0.5, 10)
    assert found is not None
    assert len(found.weeks) == 12
    assert found.weeks[-1].decided == 8
    assert found.weeks[-2].queued == 3.5
    assert found.weeks_left == 5
    assert flow(times, [], 0.5, 3).weeks_left is None  # type: ignore[union-attr]
    assert flow([], [], 0.5, 0) is None


def test_cost_is_spend_over_labels_that_are_right() -> None:
    found = cost_of_useful(8.0, 100, Estimate(0.8, 0.5, 1.0))
    assert found is not None
    assert (found.estimate, found.low, found.high) == pytest.approx((0.1, 0.08, 0.16))
    assert cost_of_useful(8.0, 0, Estimate(0.8, 0.5, 1.0)) is None
    assert cost_of_useful(8.0, 9, None) is None
