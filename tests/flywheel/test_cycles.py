"""Simulated cycles: a model's own labels lose what the data are about, people under the guard keep it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from promptlabel.flywheel.cycles import (
    ACCUMULATE,
    ARMS,
    GUARDED,
    REPLACE,
    WITH_HUMAN,
    Plan,
    over_runs,
    simulate,
    smallest,
    tfidf,
)

PLAN = Plan(start=30, human=0.1, cycles=4)


def sparse_words(n: int = 600, classes: int = 3) -> tuple[sp.csr_array, np.ndarray]:
    """Traces of six words, a third of them of the class's own 40."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, n)
    texts = [
        " ".join([f"k{k}w{w}" for w in rng.integers(0, 40, 2)] + [f"all{w}" for w in rng.integers(0, 80, 4)])
        for k in truth
    ]
    return tfidf(texts), truth


def test_own_labels_do_harm_that_the_guard_prevents() -> None:
    arms = {arm.arm: arm for arm in simulate(*sparse_words(), PLAN, range(3))}
    assert arms.keys() == ARMS.keys()
    assert arms[REPLACE].change.estimate < -0.05
    assert arms[GUARDED].change.estimate > 0.02
    assert arms[REPLACE].accuracy[-1] < arms[ACCUMULATE].accuracy[-1] < arms[GUARDED].accuracy[-1]


def test_all_arms_begin_alike_and_count_the_labels_of_people() -> None:
    features, truth = sparse_words()
    arms = {arm.arm: arm for arm in simulate(features, truth, PLAN, [7])}
    assert len({arm.accuracy[0] for arm in arms.values()}) == 1
    assert all(len(arm.accuracy) == PLAN.cycles + 1 for arm in arms.values())
    of_cycles = sum(round(PLAN.human * len(part)) for part in np.array_split(range(600 - 180 - 30), 4))
    assert [arms[name].human for name in (REPLACE, ACCUMULATE)] == [0, 30]
    assert [arms[name].human for name in (WITH_HUMAN, GUARDED)] == [30 + of_cycles] * 2


def test_of_little_traffic_one_trace_is_reviewed_unless_none_is_to_be() -> None:
    assert [Plan(30, human).reviews(5) for human in (0.05, 0.5, 0.0)] == [1, 2, 0]


def test_equal_seeds_give_equal_figures() -> None:
    features, truth = sparse_words(200)
    assert simulate(features, truth, PLAN, [1]) == simulate(features, truth, PLAN, [1])


def test_one_class_alone_is_no_obstacle() -> None:
    features, _ = sparse_words(200)
    (first, *_) = simulate(features, np.zeros(200, dtype=np.int64), PLAN, [1])
    assert first.accuracy == (1.0,) * 5


def test_too_few_traces_are_refused_with_the_number_that_would_do() -> None:
    features, truth = sparse_words(60)
    with pytest.raises(ValueError, match=str(smallest(PLAN))):
        simulate(features, truth, PLAN, [1])


def test_the_interval_over_runs_is_students() -> None:
    values = np.array([0.1, 0.2, 0.15, 0.3])
    found = over_runs(values)
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (over_runs(values[:1]).low, over_runs(values[:1]).high) == (-1, 1)
