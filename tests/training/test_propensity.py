"""Propensities: context that explains what is missing is made good, an outcome that decides it is found out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats.contingency import odds_ratio

from promptlabel.evals.intervals import Estimate
from promptlabel.training.propensity import LEAST, dependence, inverse_weights, is_explained, propensities

RNG = np.random.default_rng(0)
N = 4_000
CATEGORY = RNG.integers(0, 3, N)
CONTEXT = [{"category": f"c{one}", "characters": float(one)} for one in CATEGORY.tolist()]
GOOD = RNG.random(N) < np.array([0.9, 0.6, 0.3])[CATEGORY]
BY_CONTEXT = RNG.random(N) < np.array([0.6, 0.3, 0.1])[CATEGORY]
BY_OUTCOME = RNG.random(N) < np.where(GOOD, 0.4, 0.1)


def test_what_context_explains_is_made_good() -> None:
    weights = inverse_weights(propensities(CONTEXT, BY_CONTEXT), BY_CONTEXT)
    assert abs(GOOD[BY_CONTEXT].mean() - GOOD.mean()) > 0.1
    assert np.average(GOOD[BY_CONTEXT], weights=weights.weights) == pytest.approx(GOOD.mean(), abs=0.03)
    assert weights.weights.mean() == pytest.approx(1)
    assert 0 < weights.ess < BY_CONTEXT.sum()


def test_what_the_outcome_decides_is_not() -> None:
    weights = inverse_weights(propensities(CONTEXT, BY_OUTCOME), BY_OUTCOME)
    assert np.average(GOOD[BY_OUTCOME], weights=weights.weights) - GOOD.mean() > 0.1


@pytest.mark.parametrize(("observed", "explained"), [(BY_CONTEXT, True), (BY_OUTCOME, False)])
def test_the_audit_tells_the_two_apart(observed: np.ndarray, explained: bool) -> None:
    assert is_explained(dependence(observed, GOOD, CATEGORY.astype(str).tolist())) is explained


def test_an_outcome_that_alone_decides_is_told_from_nothing_known() -> None:
    outcome = np.repeat([True, False], 50)
    found = dependence(outcome, outcome, ["all"] * 100)
    assert found is not None
    assert is_explained(found) is False
    assert dependence(np.ones(100, dtype=bool), outcome, ["all"] * 100) is None


def test_a_small_audit_says_that_it_cannot_tell() -> None:
    few = slice(0, 30)
    assert is_explained(dependence(BY_CONTEXT[few], GOOD[few], ["all"] * 30)) is None
    assert dependence(np.array([True, False]), np.array([True, True]), ["a", "a"]) is None
    assert is_explained(None) is None


@given(st.lists(st.integers(1, 60), min_size=4, max_size=4))
def test_in_one_stratum_it_is_the_odds_ratio_with_woolfs_interval(cells: list[int]) -> None:
    a, b, c, d = cells
    observed = np.repeat([True, True, False, False], cells)
    outcome = np.repeat([True, False, True, False], cells)
    found = dependence(observed, outcome, ["one"] * sum(cells))
    assert found is not None
    assert found.estimate == pytest.approx(odds_ratio([[a, b], [c, d]], kind="sample").statistic)
    spread = 1.959963984540054 * math.sqrt(sum(1 / cell for cell in cells))
    assert math.log(found.high / found.estimate) == pytest.approx(spread)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_no_weight_is_more_than_a_hundred_times_another(rows: list[tuple[float, bool]]) -> None:
    propensity, observed = (np.array(column) for column in zip(*rows, strict=True))
    weights = inverse_weights(propensity, observed).weights
    assert len(weights) == observed.sum()
    assert len(weights) == 0 or weights.max() <= weights.min() / LEAST + 1e-9


def test_where_all_or_nothing_is_observed_the_weights_are_even() -> None:
    for observed in (np.ones(20, dtype=bool), np.zeros(20, dtype=bool)):
        assert len(set(inverse_weights(propensities(CONTEXT[:20], observed), observed).weights)) <= 1


def test_the_borders_of_explained() -> None:
    assert [is_explained(Estimate(1, low, high)) for low, high in ((0.6, 1.9), (0.4, 1.5), (1.1, 1.5))] == [
        True,
        None,
        False,
    ]
