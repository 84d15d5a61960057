from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.flywheel.history import KEPT, Cycle, Cycles, Headline, read_cycles, verdict


def headline(
    estimate: float, low: float | None = None, high: float | None = None, wanted: str | None = "up"
) -> Headline:
    return Headline("accuracy", "accuracy", "share", estimate, low, high, wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (headline(0.7, 0.6, 0.8), headline(0.9, 0.85, 0.95), "better"),
        (headline(0.9, 0.85, 0.95), headline(0.7, 0.6, 0.8), "worse"),
        (headline(0.9, 0.85, 0.95), headline(0.7, 0.6, 0.8, "down"), "better"),
        (headline(0.9, 0.85, 0.95), headline(0.7, 0.6, 0.8, None), "changed"),
        (headline(0.7, 0.6, 0.8), headline(0.81, 0.79, 0.83), "no change beyond chance"),
        (headline(0.7), headline(0.9, 0.85, 0.95), ""),
        (None, headline(0.9, 0.85, 0.95), ""),
    ],
)
def test_a_change_is_one_where_intervals_do_not_meet(
    before: Headline | None, now: Headline, expected: str
) -> None:
    assert verdict(before, now) == expected


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_a_cycle_of_the_same_name_is_corrected_and_old_ones_are_forgotten(names: list[int]) -> None:
    cycles = Cycles()
    for place, name in enumerate(names):
        cycles = cycles.followed_by(Cycle(str(name), (headline(place),)))
    assert len({one.name for one in cycles.known}) == len(cycles.known) <= KEPT
    assert cycles.now == Cycle(str(names[-1]), (headline(len(names) - 1),))


def test_cycles_are_read_as_they_were_kept() -> None:
    cycles = Cycles((Cycle("1", (headline(0.5, 0.4, 0.6),)), Cycle("2", (headline(0.5),))))
    assert read_cycles(orjson.loads(orjson.dumps([one.record() for one in cycles.known]))) == cycles
    assert read_cycles(None) == Cycles()
    assert cycles.before == cycles.known[0]
    assert [point.cycle for point in cycles.course("accuracy")] == ["1"]
