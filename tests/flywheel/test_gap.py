"""The gap between categories is not made of noise."""

from __future__ import annotations

import numpy as np
import pytest

from promptlabel.flywheel import gap as gap_module
from promptlabel.flywheel.gap import category_gap, shrink


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_module, "RESAMPLES", 500)


def names(sizes: list[int]) -> list[str]:
    return [f"c{c}" for c, n in enumerate(sizes) for _ in range(n)]


def test_ten_equal_categories_of_thirty_have_no_gap() -> None:
    rng = np.random.default_rng(0)
    found = [category_gap(names([30] * 10), rng.random(300) < 0.9, rng) for _ in range(1000)]
    assert np.mean([0 in one.gap for one in found if one]) >= 0.95
    assert np.mean([one.naive for one in found if one]) == pytest.approx(0.164, abs=0.01)
    assert np.mean([one.gap.estimate for one in found if one]) < 0.05


def test_a_real_gap_is_found_and_covered() -> None:
    rng = np.random.default_rng(1)
    rates = np.repeat([0.95, 0.9, 0.6], 200)
    found = [category_gap(names([200] * 3), rng.random(600) < rates, rng) for _ in range(200)]
    assert all(one.is_real and one.worst == "c2" for one in found if one)
    assert np.mean([0.35 in one.gap for one in found if one]) >= 0.95


def test_small_categories_do_not_count() -> None:
    rng = np.random.default_rng(2)
    assert category_gap(names([40, 3]), np.ones(43, dtype=bool), rng) is None
    assert category_gap([], np.zeros(0, dtype=bool), rng) is None


def test_all_right_is_no_gap() -> None:
    found = category_gap(names([20, 20]), np.ones(40, dtype=bool), np.random.default_rng(0))
    assert found is not None
    assert (found.gap.estimate, found.gap.low) == (0.0, 0.0)
    assert found.gap.high > 0


def test_shrinkage_keeps_order_and_moves_towards_the_mean() -> None:
    hits, n = np.array([50.0, 80.0, 95.0]), np.array([100, 100, 100])
    found = shrink(hits, n)
    assert np.all(np.diff(found) > 0)
    assert np.all(np.abs(found - 0.75) <= np.abs(hits / n - 0.75))
