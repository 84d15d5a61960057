import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.cross_fitting import FOLDS, folds, held_out_proba
from promptlabel.labelmodel.patterns import group

labels = st.lists(st.integers(0, 3), min_size=1, max_size=60).map(np.array)


@given(labels)
def test_every_row_is_held_out_once(given_labels):
    pairs = folds(given_labels)
    assert sorted(np.concatenate([held for held, _ in pairs]).tolist()) == list(range(len(given_labels)))
    assert all(not set(held) & set(kept) for held, kept in pairs)


def test_classes_are_spread_evenly():
    pairs = folds(np.repeat([0, 1], [50, 25]))
    assert [(held >= 50).sum() for held, _ in pairs] == [25 // FOLDS] * FOLDS


class Memory:
    """An estimator that knows the labels it was shown, and nothing else."""

    name = "memory"

    def fit(self, patterns, gold, balance):
        self.known = {int(votes[0]) for votes in gold.patterns.votes}
        return self

    def predict_proba(self, patterns):
        seen = np.array([int(votes[0]) in self.known for votes in patterns.votes])
        return np.column_stack([seen, ~seen]).astype(float)


def test_no_row_is_judged_by_a_fit_that_saw_it():
    patterns, inverse = group(np.arange(20)[:, None], 20)
    gold = Labelled(patterns.take(inverse), np.zeros(20, int))
    two_columns = type(patterns)(patterns.votes, patterns.counts, 2)
    found = held_out_proba(Memory, two_columns, gold, lambda _: np.array([0.5, 0.5]))
    assert (found[:, 0] == 0).all()
