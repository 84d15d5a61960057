import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.patterns import group

NONE = np.array([], int)
votes = arrays(np.int64, st.tuples(st.integers(1, 20), st.integers(1, 6)), elements=st.integers(-1, 2))


def majority(rows, balance=(1 / 3, 1 / 3, 1 / 3)):
    patterns, inverse = group(rows, 3)
    fitted = Majority().fit(patterns, Labelled(patterns.take(NONE), NONE), np.array(balance))
    return fitted.predict_proba(patterns)[inverse]


@pytest.mark.filterwarnings("ignore:The inplace keyword")
@given(votes)
def test_it_is_crowd_kits_majority_vote(rows):
    from crowdkit.aggregation import MajorityVote

    places = np.nonzero(rows >= 0)
    if not len(places[0]):
        return
    frame = pd.DataFrame({"task": places[0], "worker": places[1], "label": rows[places]})
    shares = MajorityVote().fit(frame).probas_
    for task, row in shares.iterrows():
        expected = {label for label, share in row.items() if np.isclose(share, row.max())}
        found = majority(rows)[task]
        assert set(np.flatnonzero(np.isclose(found, found.max()))) == expected


@pytest.mark.snorkel
@given(votes)
def test_it_is_snorkels_majority_vote(rows):
    from snorkel.labeling.model import MajorityLabelVoter

    logging.getLogger("snorkel").setLevel(logging.ERROR)
    expected = MajorityLabelVoter(cardinality=3).predict_proba(rows)
    found = majority(rows)
    assert (np.isclose(found, found.max(axis=1, keepdims=True)) == (expected > 0)).all()


def test_the_class_balance_breaks_ties_and_never_outvotes():
    tie, won = majority(np.array([[0, 1], [0, 0]]), balance=(0.005, 0.99, 0.005))
    assert tie.argmax() == 1
    assert won.argmax() == 0


def test_more_votes_make_it_surer():
    one, three = majority(np.array([[0, -1, -1], [0, 0, 0]]))
    assert one[0] == pytest.approx((1 + 1 / 3) / 2)
    assert three[0] == pytest.approx((3 + 1 / 3) / 4)
