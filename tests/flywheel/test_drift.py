"""Drift is told from chance: few false alarms without drift, many alarms with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from promptlabel.flywheel import drift
from promptlabel.flywheel.drift import (
    Divergence,
    beyond_chance,
    divergence,
    freshness,
    jensen_shannon,
    stability_index,
)
from promptlabel.flywheel.topics import topics_of
from promptlabel.records import Trace

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def few_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "PERMUTATIONS", 400)


def test_the_divergence_is_scipys() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(1, 30, (2, 5, 8))
    oracle = [
        jensenshannon(a / a.sum(), b / b.sum(), base=2) ** 2 for a, b in zip(first, second, strict=True)
    ]
    assert jensen_shannon(first, second) == pytest.approx(oracle)


def drawn(rng: np.random.Generator, kinds: int, n: int, shares: np.ndarray) -> list[str]:
    return [str(kind) for kind in rng.choice(kinds, n, p=shares)]


@pytest.mark.usefixtures("few_permutations")
@pytest.mark.parametrize(("kinds", "n"), [(4, 60), (50, 300)])
def test_without_drift_alarms_are_rare_and_the_excess_is_zero(kinds: int, n: int) -> None:
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(kinds))
    found = [
        divergence(drawn(rng, kinds, n, shares), drawn(rng, kinds, 2000, shares), rng) for _ in range(300)
    ]
    alarms = np.mean([one.p_value <= 0.05 for one in found if one])
    psi = np.mean([one.psi > 0.1 for one in found if one])
    excess = [one.excess for one in found if one]
    assert 0.02 <= alarms <= 0.085
    assert kinds < 50 or psi > 0.5
    assert abs(np.mean(excess)) < 3 * np.std(excess) / np.sqrt(len(excess)) + 1e-4


@pytest.mark.usefixtures("few_permutations")
def test_a_shift_of_ten_points_is_seen() -> None:
    rng = np.random.default_rng(4)
    before, after = np.array([0.3, 0.3, 0.2, 0.2]), np.array([0.4, 0.2, 0.2, 0.2])
    found = [divergence(drawn(rng, 4, 500, before), drawn(rng, 4, 5000, after), rng) for _ in range(60)]
    assert np.mean([one.p_value <= 0.05 for one in found if one]) >= 0.9


def test_an_empty_sample_says_nothing() -> None:
    assert divergence([], ["a"], np.random.default_rng(0)) is None


def test_freshness_compares_with_recent_traces_that_are_no_cases() -> None:
    old = [Trace(f"o{i}", NOW - timedelta(days=90), category="old") for i in range(50)]
    new = [Trace(f"n{i}", NOW - timedelta(days=i % 20), category="new") for i in range(50)]
    found = freshness(old[:20], old + new, np.random.default_rng(0))
    assert (found.cases, found.recent, found.median_age_days) == (20, 50, 90.0)
    assert found.category is not None
    assert found.category.observed == pytest.approx(1.0)
    assert found.category.p_value < 0.01
    assert found.month is not None
    assert found.month.excess > 0.1


def test_traces_without_time_have_no_age() -> None:
    traces = [Trace(f"t{i}", category="a") for i in range(10)]
    found = freshness(traces[:5], traces, np.random.default_rng(0))
    assert (found.median_age_days, found.month, found.recent) == (None, None, 5)


def test_ties_are_settled_by_lot_so_that_small_samples_alarm_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    found = [
        divergence(drawn(rng, 2, 12, np.array([0.5, 0.5])), ["0"] * 50 + ["1"] * 50, rng) for _ in range(600)
    ]
    p_values = np.array([one.p_value for one in found if one])
    assert np.mean(p_values <= 0.2) == pytest.approx(0.2, abs=0.05)


def test_the_stability_index_is_the_textbooks() -> None:
    first, second = np.array([30, 70]), np.array([500, 500])
    assert stability_index(first, second) == pytest.approx(-0.2 * np.log(0.6) + 0.2 * np.log(1.4))


def test_alarms_are_corrected_for_their_number() -> None:
    found = {name: Divergence(0, 0, p) for name, p in [("a", 0.012), ("b", 0.02), ("c", 0.03), ("d", 0.9)]}
    assert beyond_chance({**found, "e": None}) == ("a",)
    assert beyond_chance({"b": found["b"], "c": found["c"]}) == ("b", "c")


def test_lengths_models_and_topics_are_compared_too() -> None:
    rng = np.random.default_rng(6)
    words = np.array([f"word{i}" for i in range(40)])

    def trace(name: str, size: int, model: str, low: int) -> Trace:
        text = " ".join(words[low + rng.integers(0, 20, size)])
        return Trace(name, NOW, input=text, metadata={"model": model})

    cases = [trace(f"c{i}", 8, "old", 0) for i in range(80)]
    recent = [trace(f"r{i}", 16, "new", 20) for i in range(80)]
    found = freshness(cases, recent, rng, topics_of([*cases, *recent]))
    assert set(found.trails_in) == {"length", "model", "topic"}
    same = freshness(cases[:40], cases[40:], rng, topics_of(cases))
    assert same.trails_in == ()
