from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import cohen_kappa_score

from promptlabel.records import ReviewEvent
from promptlabel.review.agreement import (
    agreement,
    gwet_ac1,
    krippendorff_alpha,
    label_counts,
    ratings_of,
    raw_agreement,
)

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", example C: four observers, twelve
# units, five values; alpha for nominal data is .743.
KRIPPENDORFF = (
    np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
            [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
        ]
    ).T
    - 1
)  # 0 stood for none


def counts(ratings: np.ndarray, n_classes: int) -> np.ndarray:
    found = label_counts(ratings, n_classes)
    return found[found.sum(axis=1) >= 2]


def two_raters(both_first: int, first_second: int, second_first: int, both_second: int) -> np.ndarray:
    cells = [(0, 0, both_first), (0, 1, first_second), (1, 0, second_first), (1, 1, both_second)]
    return np.array([[a, b] for a, b, times in cells for _ in range(times)])


def test_alpha_is_that_of_krippendorffs_own_example() -> None:
    assert krippendorff_alpha(counts(KRIPPENDORFF, 5)) == pytest.approx(0.743, abs=5e-4)


def test_ac1_is_that_of_gwets_own_example() -> None:
    """Gwet (2008), table 1: 118, 5, 2, 0 of 125 subjects; observed .9440, kappa -.0234, AC1 .9408."""
    ratings = two_raters(118, 5, 2, 0)
    assert raw_agreement(counts(ratings, 2)) == pytest.approx(0.944)
    assert gwet_ac1(counts(ratings, 2)) == pytest.approx(0.9408, abs=5e-4)


@given(hnp.arrays(np.int64, st.tuples(st.integers(3, 60), st.just(2)), elements=st.integers(0, 2)))
def test_alpha_of_two_complete_raters_is_kappa_on_pooled_margins(ratings: np.ndarray) -> None:
    """With two raters and nothing missing, alpha = 1 - (1 - pi) (1 - 1/2n), pi being Scott's."""
    pooled = np.concatenate([ratings, ratings[:, ::-1]])
    alpha = krippendorff_alpha(counts(ratings, 3))
    if len(np.unique(ratings)) == 1:
        assert math.isnan(alpha)
        return
    scott = cohen_kappa_score(pooled[:, 0], pooled[:, 1])
    assert alpha == pytest.approx(1 - (1 - scott) * (1 - 1 / (2 * len(ratings))))


@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 30), st.integers(2, 4)), elements=st.integers(-1, 2)))
def test_coefficients_do_not_depend_on_the_order_of_items_or_reviewers(ratings: np.ndarray) -> None:
    turned = ratings[::-1, ::-1]
    for statistic in (raw_agreement, krippendorff_alpha, gwet_ac1):
        assert statistic(counts(ratings, 3)) == pytest.approx(statistic(counts(turned, 3)), nan_ok=True)


def test_rare_labels_pull_alpha_down_and_not_ac1() -> None:
    rare = two_raters(90, 5, 5, 0)
    assert krippendorff_alpha(counts(rare, 2)) < 0 < 0.85 < gwet_ac1(counts(rare, 2))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(100):
        truth = rng.integers(0, 2, size=(120, 1))
        ratings = np.where(rng.random((120, 2)) < 0.9, truth, 1 - truth)
        interval = agreement(ratings, 2, rng, samples=120).raw
        held += interval.low <= 0.82 <= interval.high
    assert held >= 86


def test_without_any_pair_everything_is_nan() -> None:
    nothing = agreement(np.array([[0, -1], [-1, 1]]), 2, np.random.default_rng(0))
    assert nothing.items == 0
    assert math.isnan(nothing.raw.estimate)
    assert math.isnan(nothing.alpha.low)
    assert math.isnan(nothing.ac1.high)


def test_ratings_are_the_first_blind_labels_of_each_reviewer() -> None:
    def event(
        trace_id: str, reviewer: str, label: str | None, action: str = "label", blind: bool = True
    ) -> ReviewEvent:
        at = datetime(2026, 3, 2, tzinfo=UTC)
        name = f"{trace_id}{reviewer}{label}{action}"
        return ReviewEvent(name, trace_id, "task", reviewer, action, at, label, blind)  # type: ignore[arg-type]

    reviewers, ratings = ratings_of(
        [
            event("a", "ben", "bad"),
            event("a", "anna", "good"),
            event("a", "anna", "bad", "change", blind=False),
            event("b", "anna", "bad"),
            event("b", "anna", "good"),
            event("b", "ben", None, "skip"),
        ],
        ["good", "bad"],
    )
    assert reviewers == ("anna", "ben")
    assert ratings.tolist() == [[0, 1], [1, -1]]
