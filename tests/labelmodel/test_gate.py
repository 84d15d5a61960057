import numpy as np

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.gate import choose, compare
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.patterns import group

LABELS = np.array([0, 1] * 50)
PATTERNS, INVERSE = group(LABELS[:, None], 2)
GOLD = Labelled(PATTERNS.take(INVERSE), LABELS)


def confidence(right):
    return np.where(np.eye(2)[LABELS] == 1, right, 1 - right)


def noisy(mean, seed=0):
    right = np.clip(np.random.default_rng(seed).normal(mean, 0.3, (100, 1)), 0.05, 0.95)
    return confidence(right)


def test_a_clearly_better_candidate_wins():
    assert choose({"safe": noisy(0.5), "bold": confidence(0.9)}, GOLD).name == "bold"


def test_within_one_standard_error_the_safer_wins_and_the_reason_says_so():
    choice = choose({"safe": noisy(0.7), "bold": noisy(0.71, seed=1)}, GOLD)
    assert choice.name == "safe"
    assert "safe" in choice.reason


def test_equal_candidates_go_to_the_safer():
    assert choose({"safe": confidence(0.7), "bold": confidence(0.7)}, GOLD).name == "safe"


def test_only_random_gold_judges():
    gold = Labelled(GOLD.patterns, LABELS, np.arange(100) < 40)
    compared = compare({"majority": Majority}, PATTERNS, gold, lambda _: np.array([0.5, 0.5]))
    assert compared["majority"].shape == (40, 2)
