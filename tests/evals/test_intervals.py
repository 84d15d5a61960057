"""Intervals hold what they say: against SciPy, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from promptlabel.evals.intervals import Estimate, difference, mover, paired, wilson


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(pair: tuple[int, int]) -> None:
    right, n = pair
    found, oracle = wilson(right, n), binomtest(right, n).proportion_ci(method="wilson")
    assert found.estimate == right / n
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


@given(st.floats(0, 1), st.floats(0.5, 1e6))
def test_wilson_holds_its_estimate_for_fractional_counts(share: float, n: float) -> None:
    found = wilson(share * n, n)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_without_trials_there_is_no_proportion() -> None:
    with pytest.raises(ValueError, match="at least one"):
        wilson(0, 0)
    with pytest.raises(ValueError, match="at least one"):
        paired(0, 0, 0)


def test_paired_differences_are_covered() -> None:
    rng = np.random.default_rng(1)
    first, second, n = 0.12, 0.07, 80
    counts = rng.multinomial(n, [first, second, 1 - first - second], size=4000)
    covered = np.mean([first - second in paired(gain, loss, n) for gain, loss, _ in counts])
    assert 0.94 <= covered <= 0.99


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_paired_difference_is_antisymmetric(gains: int, losses: int) -> None:
    one, other = paired(gains, losses, 120), paired(losses, gains, 120)
    assert (one.estimate, one.low, one.high) == pytest.approx((-other.estimate, -other.high, -other.low))


def test_one_part_combines_to_itself() -> None:
    part = wilson(30, 40)
    combined = mover([part], [7.0], [0.0])
    assert (combined.estimate, combined.low, combined.high) == pytest.approx(
        (part.estimate, part.low, part.high)
    )


def test_a_part_seen_whole_adds_no_uncertainty() -> None:
    seen, unseen = Estimate(0.5, 0.2, 0.8), Estimate(0.9, 0.8, 0.95)
    combined = mover([seen, unseen], [1, 3], [1.0, 0.0])
    assert combined.estimate == pytest.approx(0.8)
    assert combined.low == pytest.approx(0.8 - 0.75 * 0.1)
    assert combined.high == pytest.approx(0.8 + 0.75 * 0.05)


def test_a_difference_of_independent_proportions_is_newcombes() -> None:
    """Newcombe (1998), table II, case (a): 56/70 and 48/80, method 10."""
    found = difference(wilson(56, 70), wilson(48, 80))
    assert found.estimate == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=5e-5)
    assert found.high == pytest.approx(0.3339, abs=5e-5)
