"""Leakage alarms: what the future tells is found, clean rows raise no alarm beyond the stated rate."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from promptlabel.training.leakage import LEVEL, TOO_WELL, Leak, _auc, leaks, split_gap

N = 400
RNG = np.random.default_rng(5)
LABELS = RNG.choice(["good", "bad"], N, p=[0.7, 0.3])
GOOD = LABELS == "good"
CLEAN = {"length": RNG.normal(size=N).tolist(), "plan": RNG.choice(["free", "pro", "team"], N).tolist()}
FUTURE = {
    "the outcome": [float(one) for one in GOOD],
    "its noisy copy": (GOOD + RNG.normal(scale=0.3, size=N)).tolist(),
    "a word for it": np.where(RNG.random(N) < 0.95, LABELS, "open").tolist(),
    "only where good": [1.0 if one else None for one in GOOD],
    "far from its mean": np.where(GOOD, RNG.normal(size=N), RNG.choice([-9, 9], N)).tolist(),
}


def found(features: dict[str, list], labels: np.ndarray = LABELS, **options) -> list[Leak]:
    return leaks(features, labels.tolist(), np.random.default_rng(0), **options)


@pytest.mark.parametrize("name", FUTURE)
def test_a_feature_from_the_future_is_found_among_clean_ones(name: str) -> None:
    (leak,) = found(CLEAN | {name: FUTURE[name]})
    assert leak.feature == name
    assert leak.auc >= TOO_WELL
    assert leak.p <= LEVEL


def test_all_are_found_together_best_first() -> None:
    made = found(CLEAN | FUTURE)
    assert {leak.feature for leak in made} == FUTURE.keys()
    assert [leak.auc for leak in made] == sorted((leak.auc for leak in made), reverse=True)


def test_clean_shuffles_raise_no_alarm() -> None:
    rng = np.random.default_rng(9)
    assert not any(found(CLEAN | FUTURE, rng.permutation(LABELS)) for _ in range(10))


def test_what_was_known_in_time_may_predict_well() -> None:
    well = {"turns": (GOOD + np.random.default_rng(4).normal(scale=0.5, size=N)).tolist()}
    assert found(well)
    assert not found(well, timed=frozenset(well))
    assert found({"outcome": FUTURE["the outcome"]}, timed=frozenset({"outcome"}))


def test_of_few_rows_one_label_or_no_feature_nothing_is_said() -> None:
    few = {name: values[:40] for name, values in FUTURE.items()}
    assert found(few, LABELS[:40]) == []
    assert found(FUTURE, np.full(N, "good")) == []
    assert found({}) == []
    assert found({"nothing": [None] * N, "one": [1.0] * N}) == []


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40))
@settings(max_examples=50)
def test_the_auc_is_scikit_learns(rows: list[tuple[int, bool]]) -> None:
    scores, positive = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    if 0 < positive.sum() < len(rows):
        assert _auc(scores, positive, np.ones(len(rows))) == pytest.approx(roc_auc_score(positive, scores))


def words(kinds: np.ndarray, rng: np.random.Generator) -> sp.csr_array:
    """Ten words a row, three of them of its kind's own fifteen."""
    counts = np.zeros((len(kinds), 15 * (int(kinds.max()) + 1) + 40))
    for row, kind in enumerate(kinds.tolist()):
        counts[row, 15 * kind + rng.integers(0, 15, 3)] += 1
        counts[row, -1 - rng.integers(0, 40, 7)] += 1
    return sp.csr_array(counts)


def test_a_split_that_knows_its_test_is_found() -> None:
    """Every week has words of its own for the same label: a random split has seen them, a split in time has not."""
    rng = np.random.default_rng(1)
    week, good = np.arange(N) // 40, rng.integers(0, 2, N)
    gap = split_gap(words(2 * week + good, rng), good.astype(str).tolist(), np.arange(N).tolist(), rng)
    assert gap is not None
    assert gap.random - gap.in_time > 0.2
    assert gap.is_alarming


def test_where_time_changes_nothing_there_is_no_alarm_beyond_the_rate() -> None:
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        good = rng.integers(0, 2, 200)
        gap = split_gap(words(good, rng), good.astype(str).tolist(), np.arange(200).tolist(), rng)
        assert gap is not None
        alarms += gap.is_alarming
    assert alarms <= 1


def test_of_few_rows_no_split_is_judged() -> None:
    rng = np.random.default_rng(1)
    assert split_gap(words(np.zeros(20, dtype=int), rng), ["a", "b"] * 10, list(range(20)), rng) is None
