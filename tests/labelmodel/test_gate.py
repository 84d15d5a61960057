import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.calibration import log_loss
from promptlabel.labelmodel.gate import blend, compare
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


def test_a_clearly_better_candidate_takes_all():
    choice = blend({"safe": noisy(0.5), "bold": confidence(0.9)}, ["safe", "bold"], GOLD)
    assert choice.name == "bold"
    assert choice.weights == {"bold": 1.0}


def test_equal_candidates_share_alike_and_the_reason_says_so():
    choice = blend({"one": confidence(0.7), "other": confidence(0.7)}, ["one", "other"], GOLD)
    assert choice.name == "blend"
    assert choice.weights == pytest.approx({"one": 0.5, "other": 0.5})
    assert "one 50%, other 50%" in choice.reason


def test_few_labels_decide_less_than_many():
    held_out = {"safe": noisy(0.6), "bold": noisy(0.7, seed=1)}
    few = np.arange(10)
    little = blend({name: rows[few] for name, rows in held_out.items()}, [*held_out], GOLD.take(few))
    assert little.weights["safe"] > blend(held_out, [*held_out], GOLD).weights.get("safe", 0.0)


def test_what_is_shipped_is_the_weighted_mean():
    held_out = {"one": noisy(0.7), "other": noisy(0.7, seed=1), "compared only": confidence(0.9)}
    choice = blend(held_out, ["one", "other"], GOLD)
    one, other = choice.weights.values()
    assert np.allclose(choice.unseen, one * held_out["one"] + other * held_out["other"])


@given(st.integers(0, 10_000))
def test_a_blend_loses_no_more_than_the_mean_of_its_parts(seed):
    rng = np.random.default_rng(seed)
    held_out = {name: rng.dirichlet([1, 1], 100) for name in "abc"}
    choice = blend(held_out, [*held_out], GOLD)
    parts = sum(share * log_loss(held_out[name], LABELS) for name, share in choice.weights.items())
    assert log_loss(choice.unseen, LABELS) <= parts + 1e-9


def test_only_random_gold_judges():
    gold = Labelled(GOLD.patterns, LABELS, np.arange(100) < 40)
    compared = compare({"majority": Majority}, PATTERNS, gold, lambda _: np.array([0.5, 0.5]))
    assert compared["majority"].shape == (40, 2)
