"""Rules that err together count for less than their number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.votes.dependence import Dependence, dependence


def effective_votes(votes: np.ndarray, gold: np.ndarray, classes: int) -> tuple[float, str]:
    found = dependence(votes, gold, classes)
    return found.effective_votes(), found.source


def correlated_rules(
    rng: np.random.Generator, n: int, rules: int, correlation: float, *, classes: int = 2, error: float = 0.3
) -> tuple[np.ndarray, np.ndarray]:
    """Votes and truth; any two rules' errors have exactly this correlation."""
    truth = rng.integers(0, classes, n)
    shared = rng.random((n, rules)) < np.sqrt(correlation)
    wrong = np.where(shared, (rng.random(n) < error)[:, np.newaxis], rng.random((n, rules)) < error)
    slip = rng.integers(1, classes, (n, rules))
    return np.where(wrong, (truth[:, np.newaxis] + slip) % classes, truth[:, np.newaxis]), truth


@pytest.mark.parametrize(("correlation", "expected"), [(0.0, 9.0), (0.18, 3.69), (0.325, 2.5), (1.0, 1.0)])
def test_gold_finds_the_number_behind_nine_judges(correlation: float, expected: float) -> None:
    found = []
    for seed in range(8):
        votes, truth = correlated_rules(np.random.default_rng(seed), 300, 9, correlation)
        n_eff, source = effective_votes(votes, truth, 2)
        assert source == "gold"
        found.append(n_eff)
    assert np.mean(found) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("classes", [2, 4])
def test_without_gold_independent_rules_count_in_full(classes: int) -> None:
    votes, _ = correlated_rules(np.random.default_rng(0), 4000, 8, 0.0, classes=classes)
    n_eff, source = effective_votes(votes, np.full(4000, -1), classes)
    assert source == "agreement"
    assert n_eff == pytest.approx(8, rel=0.1)


def test_without_gold_copies_are_found() -> None:
    votes, truth = correlated_rules(np.random.default_rng(0), 4000, 6, 0.0)
    copied = np.concatenate([votes, votes[:, :1], votes[:, :1]], axis=1)
    unknown = np.full(4000, -1)
    by_agreement, source = effective_votes(copied, unknown, 2)
    by_gold, _ = effective_votes(copied, truth, 2)
    assert source == "agreement"
    assert by_agreement < 7
    assert by_agreement == pytest.approx(by_gold, rel=0.25)
    found = dependence(copied, unknown, 2)
    assert np.nanmax(np.abs(found.correlation)) <= 1
    assert {pair[:2] for pair in found.redundant_pairs()} == {(0, 6), (0, 7), (6, 7)}


def test_little_gold_is_not_believed() -> None:
    votes, truth = correlated_rules(np.random.default_rng(0), 2000, 5, 0.0)
    few = np.where(np.arange(2000) < 20, truth, -1)
    assert effective_votes(votes, few, 2)[1] == "agreement"


@pytest.mark.parametrize("rules", [1, 2, 3])
def test_few_rules_without_gold_count_in_full(rules: int) -> None:
    votes, _ = correlated_rules(np.random.default_rng(0), 500, rules, 0.0)
    assert effective_votes(votes, np.full(500, -1), 2) == (float(rules), "none")


def test_rules_of_one_label_say_nothing_of_dependence() -> None:
    rng = np.random.default_rng(0)
    votes = np.where(rng.random((2000, 5)) < 0.5, 1, -1)
    assert effective_votes(votes, rng.integers(0, 2, 2000), 2) == (5.0, "none")


def test_abstentions_are_left_out_and_the_answer_stays_between_one_and_m() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        votes, truth = correlated_rules(rng, 200, 5, 0.3)
        votes[rng.random(votes.shape) < 0.8] = -1
        n_eff, _ = effective_votes(votes, np.where(rng.random(200) < 0.3, truth, -1), 2)
        assert 1 <= n_eff <= 5


def test_rules_that_hardly_meet_count_in_full() -> None:
    votes, _ = correlated_rules(np.random.default_rng(0), 100, 5, 0.0)
    apart = np.where(np.arange(100)[:, np.newaxis] % 5 == np.arange(5), votes, -1)
    assert effective_votes(apart, np.full(100, -1), 2) == (5.0, "none")


@given(st.integers(0, 1000))
def test_correlations_on_gold_are_numpys(seed: int) -> None:
    votes, truth = correlated_rules(np.random.default_rng(seed), 100, 4, 0.3)
    expected = np.corrcoef((votes != truth[:, np.newaxis]).astype(float).T)
    assert np.allclose(dependence(votes, truth, 2).correlation, expected)


def test_copies_are_a_redundant_pair_and_families_are_counted_apart() -> None:
    votes, truth = correlated_rules(np.random.default_rng(0), 2000, 4, 0.0)
    found = dependence(np.column_stack([votes[:, 0], votes]), truth, 2)
    assert [pair[:2] for pair in found.redundant_pairs()] == [(0, 1)]
    worth = found.by_family({"one model": [0, 1], "others": [2, 3, 4], "single": [4]})
    assert worth == pytest.approx({"one model": 1.0, "others": 3.0, "single": 1.0}, rel=0.1)


def test_rows_that_stand_for_several_traces_count_that_often() -> None:
    votes, _ = correlated_rules(np.random.default_rng(0), 3000, 5, 0.2)
    rows, counts = np.unique(votes, axis=0, return_counts=True)
    grouped = dependence(rows, np.full(len(rows), -1), 2, counts.astype(float))
    whole = dependence(votes, np.full(len(votes), -1), 2)
    assert grouped.source == whole.source == "agreement"
    assert np.allclose(grouped.correlation, whole.correlation, equal_nan=True)


def test_negative_correlation_is_not_worth_more_than_the_votes() -> None:
    assert Dependence("gold", np.array([[1, -0.5], [-0.5, 1]])).effective_votes() == 2.0
