from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from promptlabel.routing.label_change import (
    FEWEST_TIMED,
    PATTERN_STRENGTH,
    USUAL_SECONDS,
    expected_label_change,
    reviewer_seconds,
)


def test_a_trace_alone_in_its_pattern_changes_its_own_label_alone() -> None:
    probs = np.array([[0.9, 0.1], [0.6, 0.4]])
    found = expected_label_change(probs, np.array([0, 1]), np.zeros(2, dtype=np.int64))
    np.testing.assert_allclose(found, [0.1, 0.4])


def test_a_pattern_on_the_brink_turns_over_with_one_review() -> None:
    probs = np.tile([0.52, 0.48], (100, 1))
    found = expected_label_change(probs, np.zeros(100, dtype=np.int64), np.zeros(1, dtype=np.int64))
    np.testing.assert_allclose(found, 0.48 + 99 * 0.48)
    settled = expected_label_change(probs, np.zeros(100, dtype=np.int64), np.array([30]))
    np.testing.assert_allclose(settled, 0.48)


def test_is_what_adding_each_answer_to_the_pattern_changes_by_enumeration() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet((1, 1, 1), 60)
    pattern, reviewed = rng.integers(0, 5, 60), rng.integers(0, 4, 5)
    found = expected_label_change(probs, pattern, reviewed)
    for row in range(60):
        same = pattern == pattern[row]
        belief = probs[same].mean(axis=0) * (PATTERN_STRENGTH + reviewed[pattern[row]])
        others = max(int(same.sum()) - int(reviewed[pattern[row]]) - 1, 0)
        expected = 1 - probs[row].max()
        for answer in range(3):
            moved = belief + np.eye(3)[answer]
            expected += probs[row, answer] * others * (moved.argmax() != belief.argmax())
        assert found[row] == pytest.approx(expected)


def test_without_a_posterior_nothing_is_known() -> None:
    probs = np.array([[np.nan, np.nan], [0.5, 0.5]])
    found = expected_label_change(probs, np.array([0, 0]), np.zeros(1, dtype=np.int64))
    assert np.isnan(found[0])
    assert found[1] == 0.5


@given(hnp.arrays(float, st.integers(1, 50), elements=st.floats(0, 1e6)))
def test_without_measurements_every_trace_takes_the_usual_time(lengths: np.ndarray) -> None:
    found = reviewer_seconds(lengths, np.arange(0), np.zeros(0))
    assert (found == USUAL_SECONDS).all()


def test_the_time_grows_with_the_length_as_it_was_measured() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(10, 5000, 400).astype(float)
    seconds = 2.0 * np.sqrt(lengths + 1) * np.exp(rng.normal(0, 0.3, 400)) / 10
    found = reviewer_seconds(lengths, np.arange(300), seconds[:300])
    assert abs(np.corrcoef(np.log(found[300:]), np.log(seconds[300:]))[0, 1]) > 0.75
    even = reviewer_seconds(np.full(50, 7.0), np.arange(FEWEST_TIMED), np.full(FEWEST_TIMED, 4.0))
    np.testing.assert_allclose(even, 4.0)
