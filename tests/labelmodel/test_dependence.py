import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.dependence import Dependence, from_agreement, from_gold
from promptlabel.labelmodel.patterns import group


def judges(effective, rows, seed=0, count=9):
    """Judges right four times in five whose errors correlate so that they are worth `effective` votes."""
    rng = np.random.default_rng(seed)
    correlation = max(0.0, (count / effective - 1) / max(count - 1, 1))
    labels, shared = rng.integers(0, 2, rows), rng.random((rows, 1)) < 0.2
    copies = rng.random((rows, count)) < np.sqrt(correlation)
    return labels[:, None] ^ np.where(copies, shared, rng.random((rows, count)) < 0.2), labels


def seen(votes, labels, k=2):
    patterns, inverse = group(votes, k)
    return from_gold(Labelled(patterns.take(inverse), labels))


@pytest.mark.parametrize("truth", [9.0, 3.7, 2.5])
def test_effective_votes_are_within_fifteen_percent_on_300_gold(truth):
    estimates = [seen(*judges(truth, 300, seed)).effective_votes() for seed in range(10)]
    assert np.median(estimates) == pytest.approx(truth, rel=0.15)


@given(st.integers(0, 1000))
def test_correlations_are_numpys(seed):
    votes, labels = judges(3.0, 100, seed, count=4)
    expected = np.corrcoef((votes != labels[:, None]).astype(float).T)
    found = seen(votes, labels).correlation
    assert np.allclose(found[~np.isnan(found)], expected[~np.isnan(found)])


def test_copies_are_one_vote_and_a_redundant_pair():
    votes, labels = judges(9.0, 500, count=1)
    copied = seen(np.repeat(votes, 3, axis=1), labels)
    assert copied.effective_votes() == pytest.approx(1.0)
    assert [pair[:2] for pair in copied.redundant_pairs()] == [(0, 1), (0, 2), (1, 2)]


def test_families_are_counted_apart():
    votes, labels = judges(9.0, 2000, count=4)
    both = seen(np.column_stack([np.repeat(votes[:, :1], 2, axis=1), votes[:, 1:]]), labels)
    worth = both.by_family({"one model": [0, 1], "others": [2, 3, 4]})
    assert worth["one model"] == pytest.approx(1.0)
    assert worth["others"] == pytest.approx(3.0, rel=0.1)


def test_rules_that_never_meet_are_taken_as_independent():
    votes = np.array([[0, -1], [-1, 1]] * 50)
    assert seen(votes, np.zeros(100, int)).effective_votes() == 2.0


def test_without_gold_copies_show_in_the_agreement():
    votes, _ = judges(9.0, 1000, count=5)
    patterns, _ = group(np.column_stack([votes, votes[:, 0], votes[:, 0]]), 2)
    posterior = (patterns.tally + 0.5) / (patterns.tally + 0.5).sum(axis=1, keepdims=True)
    found = from_agreement(patterns, posterior)
    assert found.source == "agreement"
    assert found.correlation[0, 5] == pytest.approx(1.0)
    assert found.effective_votes() < 7


def test_negative_correlation_is_not_worth_more_than_the_votes():
    assert Dependence("gold", np.array([[1, -0.5], [-0.5, 1]])).effective_votes() == 2.0
