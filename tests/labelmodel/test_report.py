import numpy as np
import pytest

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.patterns import group
from promptlabel.labelmodel.report import against_baselines, votes_report, worse_than

LABELS = np.array([0, 1] * 20)
PATTERNS, INVERSE = group(np.array([[0, -1], [1, 1]] * 20), 2)
GOLD = Labelled(PATTERNS.take(INVERSE), LABELS)
RIGHT, WRONG = np.eye(2)[LABELS], np.eye(2)[1 - LABELS]


def test_a_difference_has_an_interval():
    half = np.where(np.arange(40)[:, None] < 20, RIGHT, WRONG)
    gap = against_baselines(RIGHT, {"majority": half, "best rule": half}, GOLD)["majority"]
    assert gap["accuracy"] == 0.5
    assert gap["low"] == pytest.approx(0.5 - 1.96 * np.sqrt(0.25 * 40 / 39 / 40), abs=1e-3)


def test_only_what_is_worse_is_warned_of():
    held_out = {"majority": RIGHT, "best rule": WRONG}
    warnings = worse_than("ours", against_baselines(WRONG, held_out, GOLD))
    assert len(warnings) == 1
    assert "100.0% less accurate than majority" in warnings[0]


def test_the_shape_of_the_votes():
    shape = votes_report(PATTERNS, np.eye(2))
    assert shape["traces"] == 40
    assert shape["patterns"] == 2
    assert shape["votes_per_trace"] == 1.5
    assert shape["class_shares"] == [0.5, 0.5]
    assert shape["vote_shares"] == pytest.approx([1 / 3, 2 / 3])
