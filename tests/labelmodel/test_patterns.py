import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from promptlabel.labelmodel.patterns import Patterns, group, row_keys

votes = st.integers(1, 60).flatmap(
    lambda width: arrays(np.int8, st.tuples(st.integers(1, 30), st.just(width)), elements=st.integers(-1, 4))
)


@given(votes)
def test_patterns_are_numpys_unique_rows(rows):
    expected, inverse, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    patterns, found = group(rows, 5)
    assert (patterns.votes == expected).all()
    assert (patterns.counts == counts).all()
    assert (found == inverse.ravel()).all()


@given(votes)
def test_row_keys_are_equal_for_equal_rows_only(rows):
    keys = row_keys(rows, 5)
    for i, j in zip(*np.triu_indices(len(rows)), strict=True):
        assert (keys[i] == keys[j]) == (rows[i] == rows[j]).all()


def test_many_wide_rows_need_no_wide_keys():
    rows = np.random.default_rng(0).integers(-1, 3, (1000, 300)).astype(np.int8)
    patterns, inverse = group(rows, 3)
    assert (patterns.votes[inverse] == rows).all()


def test_design_has_a_one_for_each_vote():
    patterns, _ = group(np.array([[0, -1], [1, 0]]), 2)
    assert patterns.design.toarray().tolist() == [[1, 0, 0, 0], [0, 1, 1, 0]]
    assert patterns.tally.tolist() == [[1, 0], [1, 1]]
    assert patterns.coverage.tolist() == [1.0, 0.5]


def test_a_soft_vote_replaces_the_hard_one():
    soft = {1: np.array([[0.25, 0.75], [np.nan, np.nan]])}
    patterns, inverse = group(np.array([[0, 0], [0, 1]]), 2, soft)
    assert patterns.design.toarray().tolist() == [[1, 0, 0.25, 0.75], [1, 0, 0, 1]]
    assert inverse.tolist() == [0, 1]


def test_a_certain_soft_vote_is_a_hard_vote():
    hard = Patterns(np.array([[0, 1]]), np.ones(1), 2)
    soft = Patterns(np.array([[0, -1]]), np.ones(1), 2, {1: np.array([[0.0, 1.0]])})
    assert (hard.design.toarray() == soft.design.toarray()).all()


def test_take_repeats_rows():
    patterns, inverse = group(np.array([[1], [0], [1]]), 2)
    assert patterns.take(inverse).votes.tolist() == [[1], [0], [1]]
    assert patterns.take(inverse).counts.tolist() == [1, 1, 1]
