"""The alternative annotator test gives its verdict as in the paper, and says what it rests on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import false_discovery_control, ttest_1samp
from sklearn.metrics import jaccard_score

from promptlabel.evals.certifying import AltTest, _discoveries, alt_test, alt_test_of_sets

Indices = npt.NDArray[np.int64]
NAMES = ("ann", "bob", "cas")


def noisy(truth: Indices, accuracy: float, rng: np.random.Generator) -> Indices:
    wrong = (truth + rng.integers(1, 3, len(truth))) % 3
    return np.where(rng.random(len(truth)) < accuracy, truth, wrong)


def verdict(accuracy: float, n: int = 200, seed: int = 0, epsilon: float = 0.15) -> AltTest:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    people = np.stack([noisy(truth, 0.85, rng) for _ in NAMES], axis=1)
    return alt_test(noisy(truth, accuracy, rng), people, NAMES, epsilon)


def test_a_labeler_as_good_as_people_may_stand_in() -> None:
    found = verdict(0.9)
    assert found.passed
    assert found.winning_rate == 1
    assert found.assumptions == ()
    assert found.advantage == pytest.approx(np.mean([one.labeler for one in found.people]))


def test_a_bad_labeler_may_not() -> None:
    found = verdict(0.4)
    assert (found.passed, found.winning_rate) == (False, 0)


def test_p_values_are_those_of_a_one_sided_t_test() -> None:
    rng = np.random.default_rng(3)
    people, labeler = rng.integers(0, 2, (50, 2)), rng.integers(0, 2, 50)
    ann, bob = people.T
    lead = (ann == bob).astype(int) - (labeler == bob).astype(int)
    oracle = ttest_1samp(lead, 0.2, alternative="less").pvalue
    assert alt_test(labeler, people, NAMES[:2], 0.2).people[0].p_value == pytest.approx(oracle)


@pytest.mark.parametrize("seed", range(20))
def test_discoveries_are_scipys(seed: int) -> None:
    p_values = np.random.default_rng(seed).beta(0.3, 2, 7)
    assert np.array_equal(_discoveries(p_values), false_discovery_control(p_values, method="by") <= 0.05)


def test_where_the_labeler_is_worse_by_more_than_epsilon_it_seldom_wins() -> None:
    won = [one.won for seed in range(300) for one in verdict(0.68, n=60, seed=seed, epsilon=0.1).people]
    assert np.mean(won) < 0.05


def test_unmet_assumptions_are_said() -> None:
    people = np.array([[0, 0], [1, 1], [0, 1]])
    found = alt_test(np.array([0, -1, 0]), people, ("ann", "bob"))
    assert len(found.assumptions) == 3
    assert "ann, bob" in found.assumptions[1]


def test_without_shared_items_nobody_is_replaced() -> None:
    found = alt_test(np.array([0, 1]), np.array([[0, -1], [-1, 1]]), ("ann", "bob"))
    assert (found.passed, found.people) == (False, ())


# --- sets


def sets_verdict(accuracy: float, n: int = 120, seed: int = 0, epsilon: float = 0.15) -> AltTest:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (n, 4))

    def opinion(right: float) -> Indices:
        return np.where(rng.random((n, 4)) < right, truth, 1 - truth)

    people = np.stack([opinion(0.88) for _ in NAMES], axis=1)
    return alt_test_of_sets(opinion(accuracy).astype(float), people, NAMES, epsilon)


def test_sets_as_good_as_peoples_may_stand_in_and_bad_ones_may_not() -> None:
    good, bad = sets_verdict(0.92), sets_verdict(0.6)
    assert (good.passed, good.winning_rate, good.assumptions) == (True, 1, ())
    assert (bad.passed, bad.winning_rate) == (False, 0)


def test_sets_are_compared_by_scikit_learns_jaccard() -> None:
    rng = np.random.default_rng(5)
    people, labeler = rng.integers(0, 2, (50, 2, 3)), rng.integers(0, 2, (50, 3))
    ann, bob = people[:, 0], people[:, 1]

    def alike(one: Indices, other: Indices) -> Indices:
        pairs = zip(one, other, strict=True)
        return np.array([jaccard_score(a, b, zero_division=1) for a, b in pairs])

    ours, theirs = alike(labeler, bob), alike(ann, bob)
    lead = (theirs >= ours).astype(int) - (ours >= theirs).astype(int)
    oracle = ttest_1samp(lead, 0.2, alternative="less").pvalue
    found = alt_test_of_sets(labeler.astype(float), people, NAMES[:2], 0.2).people[0]
    assert found.p_value == pytest.approx(oracle)
    assert found.labeler == pytest.approx((ours >= theirs).mean())


def test_one_label_in_sets_is_the_test_of_labels() -> None:
    rng = np.random.default_rng(6)
    people, labeler = rng.integers(0, 2, (60, 3)), rng.integers(0, 2, 60)
    whole = np.stack([people, 1 - people], axis=2)
    applies = np.stack([labeler, 1 - labeler], axis=1).astype(float)
    assert alt_test_of_sets(applies, whole, NAMES).people == alt_test(labeler, people, NAMES).people


def test_what_a_labeler_of_sets_leaves_unsaid_is_told_and_wins_nothing() -> None:
    people = np.zeros((40, 3, 2), dtype=np.int64)
    applies = np.full((40, 2), np.nan)
    found = alt_test_of_sets(applies, people, NAMES)
    assert found.winning_rate == 0
    assert any("says nothing of 80 labels" in sentence for sentence in found.assumptions)


def test_a_reviewer_who_did_not_decide_is_left_out() -> None:
    people = np.ones((40, 3, 2), dtype=np.int64)
    people[10:, 2] = -1
    found = alt_test_of_sets(np.ones((40, 2)), people, NAMES)
    assert [one.items for one in found.people] == [40, 40, 10]
