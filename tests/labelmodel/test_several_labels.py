import numpy as np
import pytest

from promptlabel.labelmodel import LabelModel, SeveralLabels


def panel(rows=400, labels=3, rules=4, seed=0):
    """Labels that apply or not, each on its own, and rules that are right about them four times in five."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((rows, labels)) < [0.5, 0.3, 0.1]).astype(int)
    right = rng.random((rows, rules, labels)) < 0.8
    return np.where(right, truth[:, None, :], 1 - truth[:, None, :]).astype(np.int8), truth


def some(truth, count):
    return np.where(np.arange(len(truth))[:, None] < count, truth, -1)


def test_each_label_has_the_probability_of_its_own_two_class_model():
    votes, truth = panel()
    found = SeveralLabels(3).fit(votes, some(truth, 60)).predict_proba(votes)
    assert found.shape == (400, 3)
    for label in range(3):
        alone = LabelModel(2).fit(votes[:, :, label], some(truth, 60)[:, label])
        assert (found[:, label] == alone.predict_proba(votes[:, :, label])[:, 1]).all()


def test_a_trace_may_have_several_labels_or_none():
    votes, truth = panel()
    found = SeveralLabels(3).fit(votes, some(truth, 100)).predict_proba(votes) > 0.5
    assert (found == truth).mean() > 0.85
    assert {0, 2} <= set(found.sum(axis=1).tolist())


def test_labels_are_judged_apart_and_gold_may_know_some_of_them():
    votes, truth = panel()
    gold = some(truth, 60)
    gold[:, 2] = -1
    model = SeveralLabels(3).fit(votes, gold)
    assert [report["gold"] for report in model.report] == [60, 60, 0]


def test_given_shares_are_the_balance_of_each_label():
    silent = np.full((20, 2, 3), -1)
    found = SeveralLabels(3, shares=[0.5, 0.3, 0.1]).fit(silent).predict_proba(silent)
    assert np.allclose(found, [0.5, 0.3, 0.1])


def test_soft_votes_that_are_certain_are_hard_votes():
    votes, _ = panel()
    softened = votes.copy()
    softened[:, 0] = -1
    soft = {0: votes[:, 0].astype(float)}
    hard = SeveralLabels(3).fit(votes).predict_proba(votes)
    assert np.allclose(SeveralLabels(3).fit(softened, soft=soft).predict_proba(softened, soft=soft), hard)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: SeveralLabels(0), "one label or more"),
        (lambda _: SeveralLabels(2, shares=[0.5, 1.0]), "2 numbers between 0 and 1"),
        (lambda v: SeveralLabels(2).fit(v), r"give \[traces, rules, 2\]"),
        (lambda v: SeveralLabels(3).fit(v[:, :, 0]), r"give \[traces, rules, 3\]"),
        (lambda v: SeveralLabels(3).fit(v, v[:, 0, 0]), r"give \(400, 3\)"),
        (lambda v: SeveralLabels(3).fit(v, soft={0: v[:, 0, 0]}), r"give \(400, 3\)"),
        (lambda v: SeveralLabels(3).fit(v + 1), "outside -1..1"),
    ],
)
def test_misuse_is_told_apart(make, said):
    votes, _ = panel()
    with pytest.raises(ValueError, match=said):
        make(votes)
