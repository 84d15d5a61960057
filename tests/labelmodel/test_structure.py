import numpy as np

from promptlabel.labelmodel.patterns import group
from promptlabel.labelmodel.structure import class_shares, overruled, structural_faults, vote_shares

PATTERNS, _ = group(np.array([[0, 0], [1, 1], [0, 1], [-1, -1]]), 2)
EVEN = np.full((4, 2), 0.5)


def certain(*classes):
    return np.eye(2)[list(classes)]


def test_shares():
    assert vote_shares(PATTERNS).tolist() == [0.5, 0.5]
    assert class_shares(PATTERNS, certain(0, 0, 0, 1)).tolist() == [2 / 3, 1 / 3]


def test_following_the_votes_is_no_fault():
    found = certain(0, 0, 1, 1)
    assert structural_faults(PATTERNS, found) == []


def test_one_class_for_everything_is_a_collapse():
    assert any(
        "100% of the traces but 50% of the votes" in fault
        for fault in structural_faults(PATTERNS, certain(0, 0, 0, 0))
    )


def test_overruled_unanimity_is_a_fault():
    found = certain(1, 1, 0, 0)
    assert overruled(PATTERNS, found) == 1.0
    assert any("unanimous" in fault for fault in structural_faults(PATTERNS, found))


def test_no_votes_are_no_fault():
    silent, _ = group(np.full((3, 2), -1), 2)
    assert structural_faults(silent, EVEN[:1]) == []
