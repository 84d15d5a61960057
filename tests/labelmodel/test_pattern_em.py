import numpy as np

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.pattern_em import PatternEM
from promptlabel.labelmodel.patterns import Patterns, group

NONE = np.array([], int)


def fitted(rows, k, gold=None, **options):
    patterns, inverse = group(rows, k)
    known = NONE if gold is None else np.flatnonzero(gold >= 0)
    labelled = Labelled(patterns.take(inverse[known]), NONE if gold is None else gold[known])
    model = PatternEM(**options).fit(patterns, labelled, np.full(k, 1 / k))
    return model.predict_proba(patterns)[inverse]


def one_class_rules(rows=4000, seed=0):
    """Six rules that know one class each, two a class, and speak up on a fifth of the traces or less."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows)
    votes = np.full((rows, 6), -1, np.int8)
    for rule in range(6):
        speaks = rng.random(rows) < np.where(labels == rule // 2, 0.4, 0.05)
        votes[speaks, rule] = rule // 2
    return votes, labels


def judges(accuracies, rows=3000, k=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, rows)
    right = rng.random((rows, len(accuracies))) < accuracies
    return np.where(right, labels[:, None], rng.integers(0, k, (rows, len(accuracies)))).astype(
        np.int8
    ), labels


def test_it_beats_majority_vote_when_rules_differ_in_accuracy():
    votes, labels = judges([0.9, 0.3, 0.3, 0.3, 0.9])
    tally = np.stack([(votes == k).sum(axis=1) for k in range(3)], axis=1)
    em = (fitted(votes, 3, abstain_is_outcome=False).argmax(axis=1) == labels).mean()
    assert em > (tally.argmax(axis=1) == labels).mean() + 0.05


def test_rules_of_one_class_do_not_collapse():
    votes, labels = one_class_rules()
    found = fitted(votes, 3)
    assert (found.argmax(axis=1) == labels).mean() > 0.65
    assert np.bincount(found.argmax(axis=1), minlength=3).min() > 500


def test_counts_stand_for_repeated_rows():
    votes, _ = judges([0.8, 0.7, 0.6], rows=500)
    patterns, inverse = group(votes, 3)
    nobody = Labelled(patterns.take(NONE), NONE)
    each = Patterns(votes, np.ones(len(votes)), 3)
    by_row = PatternEM().fit(each, nobody, np.full(3, 1 / 3)).predict_proba(each)
    by_pattern = PatternEM().fit(patterns, nobody, np.full(3, 1 / 3)).predict_proba(patterns)
    assert np.allclose(by_pattern[inverse], by_row)


def test_gold_finds_the_judge_that_the_panel_drowns_out():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 2000)
    lure = rng.integers(0, 2, 2000)
    votes = np.column_stack([lure, lure, lure, labels]).astype(np.int8)
    gold = np.where(np.arange(2000) < 400, labels, -1)
    blind = (fitted(votes, 2, abstain_is_outcome=False).argmax(axis=1) == labels).mean()
    taught = (fitted(votes, 2, gold, abstain_is_outcome=False).argmax(axis=1) == labels).mean()
    assert taught > blind + 0.3


def test_a_large_class_is_not_split_when_the_balance_is_learnt():
    rng = np.random.default_rng(0)
    labels = rng.choice(4, 3000, p=[0.9, 0.05, 0.03, 0.02])
    votes = np.where(rng.random((3000, 7)) < 0.75, labels[:, None], rng.integers(0, 4, (3000, 7))).astype(
        np.int8
    )
    even = (fitted(votes, 4, abstain_is_outcome=False).argmax(axis=1) == labels).mean()
    learnt = (fitted(votes, 4, abstain_is_outcome=False, learns_balance=True).argmax(axis=1) == labels).mean()
    assert even < 0.7
    assert learnt > even + 0.2


def test_the_learnt_balance_makes_skewed_votes_likelier():
    rng = np.random.default_rng(0)
    labels = rng.choice(2, 2000, p=[0.9, 0.1])
    votes = np.where(rng.random((2000, 5)) < 0.8, labels[:, None], 1 - labels[:, None])
    patterns, _ = group(votes, 2)
    nobody = Labelled(patterns.take(NONE), NONE)
    even, learnt = (
        PatternEM(False, learns_balance=learns)
        .fit(patterns, nobody, np.array([0.5, 0.5]))
        .log_likelihood(patterns)
        for learns in (False, True)
    )
    assert learnt > even
