import numpy as np
import pytest

from promptlabel.labelmodel.balance import ClassBalance
from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.patterns import group


def gold(labels, random=None):
    patterns, inverse = group(np.zeros((len(labels), 1), int), 2)
    return Labelled(patterns.take(inverse), np.array(labels, int), random)


def test_a_given_balance_wins():
    balance = ClassBalance(np.array([0.9, 0.1]), 2)
    assert balance(gold([1] * 50)).tolist() == [0.9, 0.1]
    assert balance.source(gold([1])) == "given"


def test_gold_is_smoothed_by_ten_rows():
    assert ClassBalance(None, 2)(gold([0] * 30)).tolist() == pytest.approx([35 / 40, 5 / 40])


def test_without_gold_it_is_even_and_not_known():
    balance = ClassBalance(None, 2)
    assert balance(gold([])).tolist() == [0.5, 0.5]
    assert balance.source(gold([])) == "uniform"
    assert not balance.known(gold([]))


def test_only_random_gold_counts():
    picked = gold([0] * 30 + [1] * 30, np.repeat([True, False], 30))
    assert ClassBalance(None, 2)(picked).tolist() == pytest.approx([35 / 40, 5 / 40])
    assert ClassBalance(None, 2).known(picked)
