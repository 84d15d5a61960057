import numpy as np
import pytest
from scipy.stats import beta

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.patterns import group
from promptlabel.labelmodel.weighted import Weighted
from promptlabel.labelmodel.worth import rule_worth, without


@pytest.fixture
def panel():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1000)
    votes = np.where(rng.random((1000, 4)) < [0.9, 0.75, 0.75, 0.3], labels[:, None], 1 - labels[:, None])
    return np.column_stack([votes, np.full(1000, -1)]), labels


@pytest.fixture
def worths(panel):
    votes, labels = panel
    patterns, inverse = group(votes, 2)
    gold = Labelled(patterns.take(inverse[:300]), labels[:300])
    return rule_worth(Weighted, patterns, gold, lambda _: np.array([0.5, 0.5]), [2.0, 1.0, 0.0, 1.0, 0.0])


def test_accuracy_has_jeffreys_interval(panel, worths):
    votes, labels = panel
    right = int((votes[:300, 0] == labels[:300]).sum())
    expected = beta.ppf([0.025, 0.975], right + 0.5, 300 - right + 0.5)
    assert worths[0].accuracy == right / 300
    assert [worths[0].accuracy_low, worths[0].accuracy_high] == pytest.approx(expected)


def test_the_best_rule_adds_most_and_is_worth_its_price(worths):
    assert max(worths, key=lambda worth: worth.marginal_log_loss).rule == 0
    assert worths[0].advice == "pay"


def test_a_rule_worse_than_chance_is_to_be_fixed(worths):
    assert worths[3].advice == "fix"


def test_a_rule_without_gold_votes_is_not_judged(worths):
    assert worths[4].advice == "unknown"
    assert np.isnan(worths[4].accuracy)


def test_cost_is_per_right_vote(worths):
    assert worths[0].usd_per_useful_vote == pytest.approx(2.0 / (1000 * worths[0].accuracy))


def test_a_paid_copy_is_to_be_dropped(panel):
    votes, labels = panel
    patterns, inverse = group(np.column_stack([votes[:, :1]] * 6), 2)
    gold = Labelled(patterns.take(inverse[:300]), labels[:300])
    worths = rule_worth(Majority, patterns, gold, lambda _: np.array([0.5, 0.5]), [1.0] * 6)
    assert all(worth.marginal_log_loss < 0.05 for worth in worths)


def test_without_takes_one_rules_votes_away(panel):
    patterns, _ = group(panel[0], 2)
    assert (without(patterns, 1).votes[:, 1] == -1).all()
    assert (without(patterns, 1).votes[:, 0] == patterns.votes[:, 0]).all()
