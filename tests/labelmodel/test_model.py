import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptlabel.labelmodel import LabelModel
from promptlabel.labelmodel.calibration import correctness
from promptlabel.labelmodel.patterns import group

METHODS = ("auto", "majority", "weighted", "em", "anchored")


def panel(rows=600, accuracies=(0.8, 0.7, 0.7, 0.6), k=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, rows)
    right = rng.random((rows, len(accuracies))) < accuracies
    votes = np.where(right, labels[:, None], rng.integers(0, k, (rows, len(accuracies))))
    return np.where(rng.random(votes.shape) < 0.9, votes, -1).astype(np.int8), labels


def first(labels, count):
    return np.where(np.arange(len(labels)) < count, labels, -1)


def texts_of(labels, seed=0):
    """Sentences that give their class away three times in four."""
    rng = np.random.default_rng(seed)
    words = ["refund broken", "thanks great", "where how"]
    shown = np.where(rng.random(len(labels)) < 0.75, labels, rng.integers(0, 3, len(labels)))
    return [f"{words[k]} order {rng.integers(1000)}" for k in shown]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [0, 5, 60])
def test_every_method_works_with_and_without_gold(method, count):
    votes, labels = panel()
    model = LabelModel(3, method=method).fit(votes, first(labels, count))
    found = model.predict_proba(votes)
    assert found.shape == (600, 3)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == labels).mean() > 0.7
    assert json.loads(json.dumps(model.report))["chosen"] == model.chosen


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_traces_changes_no_bit(seed):
    votes, labels = panel(rows=200)
    gold, order = first(labels, 40), np.random.default_rng(seed).permutation(200)
    straight = LabelModel(3).fit(votes, gold).predict_proba(votes)
    shuffled = LabelModel(3).fit(votes[order], gold[order]).predict_proba(votes[order])
    assert (shuffled == straight[order]).all()


def test_text_lowers_the_error():
    votes, labels = panel(accuracies=(0.5, 0.4))
    texts, gold = texts_of(labels), first(labels, 100)
    blind = LabelModel(3).fit(votes, gold).predict_proba(votes)
    reading = LabelModel(3).fit(votes, gold, texts).predict_proba(votes, texts)
    gain = correctness(reading[100:], labels[100:]).mean() - correctness(blind[100:], labels[100:]).mean()
    assert gain > 0.05


def test_text_helps_where_no_rule_votes_even_without_gold():
    votes, labels = panel(accuracies=(0.9, 0.9))
    votes[:200] = -1
    texts = texts_of(labels)
    found = LabelModel(3).fit(votes, text=texts).predict_proba(votes, texts)
    assert (found[:200].argmax(axis=1) == labels[:200]).mean() > 0.6


def test_a_model_fitted_with_text_predicts_without_it():
    votes, labels = panel()
    model = LabelModel(3).fit(votes, first(labels, 60), texts_of(labels))
    assert np.allclose(model.predict_proba(votes).sum(axis=1), 1)


def test_blank_texts_are_no_texts():
    votes, _ = panel()
    blank = LabelModel(3).fit(votes, text=[" "] * len(votes)).predict_proba(votes)
    assert (blank == LabelModel(3).fit(votes).predict_proba(votes)).all()


def test_stored_patterns_give_the_same_model():
    votes, labels = panel()
    gold = first(labels, 60)
    patterns, inverse = group(votes, 3)
    gold_counts = np.zeros((len(patterns.votes), 3), int)
    np.add.at(gold_counts, (inverse[:60], labels[:60]), 1)
    stored = LabelModel(3).fit_patterns(patterns.votes, patterns.counts, gold_counts)
    assert np.allclose(stored.predict_proba(votes), LabelModel(3).fit(votes, gold).predict_proba(votes))


def test_soft_votes_that_are_certain_are_hard_votes():
    votes, _ = panel()
    soft = {0: np.where(votes[:, :1] >= 0, np.eye(3)[votes[:, 0]], np.nan)}
    softened = votes.copy()
    softened[:, 0] = -1
    hard = LabelModel(3).fit(votes).predict_proba(votes)
    assert np.allclose(LabelModel(3).fit(softened, soft=soft).predict_proba(softened, soft=soft), hard)


def test_a_doubtful_soft_vote_counts_less():
    votes, _ = panel()
    model = LabelModel(3).fit(votes)
    asked = np.array([[-1, 1, -1, -1]])
    sure, doubtful = (
        model.predict_proba(asked, soft={0: np.array([row])})[0, 0] for row in ([1.0, 0, 0], [0.4, 0.3, 0.3])
    )
    assert sure > doubtful


@settings(max_examples=5, deadline=None)
@given(st.integers(2, 15), st.floats(0.55, 0.9), st.integers(0, 1000))
def test_copies_of_one_judge_do_not_make_certainty(copies, accuracy, seed):
    votes, labels = panel(rows=1000, accuracies=(accuracy,), k=2, seed=seed)
    copied = np.repeat(votes, copies, axis=1)
    model = LabelModel(2).fit(copied, first(labels, 100))
    found = model.predict_proba(copied)[100:]
    assert found.max(axis=1).mean() == pytest.approx(correctness(found, labels[100:]).mean(), abs=0.12)
    assert model.report["dependence"]["n_eff"] == pytest.approx(1.0, abs=0.1)


def test_the_class_balance_comes_from_random_gold_only():
    votes, labels = panel()
    gold, random = first(labels, 200), np.arange(600) < 100
    model = LabelModel(3).fit(votes, gold, random=random)
    expected = np.bincount(labels[:100], minlength=3) + 10 / 3
    assert model.report["class_balance"] == pytest.approx((expected / expected.sum()).tolist())
    assert (model.report["gold"], model.report["gold_at_random"]) == (200, 100)


def test_gold_of_one_class_is_taken_as_it_is():
    votes, labels = panel()
    gold = np.where(labels == 0, first(labels, 90), -1)
    found = LabelModel(3).fit(votes, gold).predict_proba(votes)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [0, 60])
@pytest.mark.parametrize(
    "kind", ["a rule never votes", "one class only", "one rule", "one trace", "no votes"]
)
def test_odd_votes_still_give_probabilities(method, count, kind):
    votes, labels = panel()
    odd = {
        "a rule never votes": np.where(np.arange(4) == 2, -1, votes),
        "one class only": np.zeros_like(votes),
        "one rule": votes[:, :1],
        "one trace": votes[:1],
        "no votes": np.full_like(votes, -1),
    }[kind]
    found = LabelModel(3, method).fit(odd, first(labels, count)[: len(odd)]).predict_proba(odd)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()


@pytest.mark.parametrize("count", [0, 100])
def test_eighty_eight_rules_are_no_trouble(count):
    rng = np.random.default_rng(0)
    votes, labels = rng.integers(-1, 3, (2000, 88)), rng.integers(0, 3, 2000)
    assert np.isfinite(LabelModel(3).fit(votes, first(labels, count)).predict_proba(votes)).all()


def test_unsigned_votes_are_votes():
    votes = np.array([[0, 1], [1, 1]], np.uint8)
    assert (LabelModel(2).fit(votes).predict_proba(votes)[:, 1] > 0.4).all()


def test_no_votes_at_all_give_the_class_balance():
    silent = np.full((50, 3), -1)
    model = LabelModel(2, class_balance=[0.8, 0.2]).fit(silent)
    assert np.allclose(model.predict_proba(silent), [0.8, 0.2])


def test_the_report_says_what_was_compared_and_what_it_may_be_worse_than():
    votes, labels = panel(accuracies=(0.95, 0.4, 0.4, 0.4))
    model = LabelModel(3, method="majority").fit(votes, first(labels, 100))
    assert set(model.report["compared"]) == {"majority", "best rule"}
    assert "less accurate than best rule" in model.report["warnings"][0]
    assert model.report["calibration"]["reliability"]


def test_without_gold_the_reason_and_the_source_of_n_eff_are_stated():
    votes, _ = panel()
    report = LabelModel(3).fit(votes).report
    assert "0 random gold labels" in report["reason"]
    assert report["dependence"]["source"] == "agreement"
    assert report["class_balance_source"] == "uniform"


def test_rows_without_votes_can_be_asked_for():
    votes, _ = panel()
    assert LabelModel(3).fit(votes).predict_proba(np.empty((0, 4), int)).shape == (0, 3)


def test_a_refit_forgets_the_text():
    votes, labels = panel()
    texts = texts_of(labels)
    model = LabelModel(3).fit(votes, first(labels, 60), texts)
    again = model.fit(votes, first(labels, 60)).predict_proba(votes, texts)
    assert (again == LabelModel(3).fit(votes, first(labels, 60)).predict_proba(votes)).all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda v: LabelModel(3).predict_proba(v), "call fit first"),
        (lambda v: LabelModel(3).fit(v).predict_proba(v[:, :2]), "2 columns; fitted on 4"),
        (lambda v: LabelModel(3).fit(v[:0]), "no rows"),
        (lambda _: LabelModel(1), "two classes or more"),
        (lambda _: LabelModel(3, method="vote"), "none of auto"),
        (lambda v: LabelModel(3).fit_patterns(v, np.ones(3)), "600 numbers above zero"),
        (lambda v: LabelModel(3).fit_patterns(v, np.ones(600), np.ones((2, 2))), r"shape \(600, 3\)"),
        (
            lambda v: LabelModel(3).fit_patterns(v, np.ones(600), np.full((600, 3), -1)),
            "whole numbers from zero",
        ),
        (lambda v: LabelModel(3).fit_patterns(v, np.ones(600), np.ones((600, 3))), "whole numbers from zero"),
        (lambda v: LabelModel(3).fit_patterns(v[:0], []), "one pattern or more"),
        (lambda v: LabelModel(3).fit_patterns(v[:2], ["a", "b"]), "counts: .*not a number"),
        (lambda _: LabelModel(2.5), "two classes or more"),
        (lambda _: LabelModel(2, class_balance=["a", "b"]), "class_balance: .*not a number"),
        (lambda _: LabelModel(2, class_balance=[0.5, np.nan]), "above zero"),
        (lambda _: LabelModel(3).fit([[0, 1], [1]]), "different lengths"),
        (lambda v: LabelModel(3).fit(np.where(v == 0, np.nan, v)), "whole numbers"),
        (lambda v: LabelModel(3).fit(v, text="one text"), "give a list of 600"),
        (lambda v: LabelModel(3).fit(v, soft={0: "x"}), "not a number"),
        (lambda v: LabelModel(3).fit(v, soft={0: np.tile([0.5, 0.5, np.nan], (600, 1))}), "nor all NaN"),
    ],
)
def test_misuse_is_told_apart(make, said):
    votes, _ = panel()
    with pytest.raises(ValueError, match=said):
        make(votes)


def test_all_faults_of_all_arguments_come_at_once():
    votes, _ = panel()
    with pytest.raises(ValueError, match="gold") as raised:
        LabelModel(3).fit(votes, gold=[7], text=["a"], random=[1])
    assert [fault.key for fault in raised.value.faults] == ["gold", "random", "text"]


def test_methods_that_do_not_read_leave_the_text_alone():
    votes, _ = panel()
    texts = ["same words"] * len(votes)
    read = LabelModel(3, method="em").fit(votes, text=texts).predict_proba(votes, texts)
    assert (read == LabelModel(3, method="em").fit(votes).predict_proba(votes)).all()
