import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.labelmodel.base import tempering


@given(st.floats(1, 10_000), st.floats(0, 1))
def test_votes_whose_errors_correlate_are_worth_one_over_the_correlation_at_most(votes, correlation):
    worth = votes * tempering(np.array([votes]), correlation)[0]
    assert 1 - 1e-9 <= worth <= votes + 1e-9
    assert worth * correlation <= 1 + 1e-9


def test_a_single_vote_counts_in_full():
    assert tempering(np.array([0.0, 1.0])).tolist() == [1.0, 1.0]
