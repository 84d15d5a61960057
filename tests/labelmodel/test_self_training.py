import numpy as np
import pytest

from promptlabel.labelmodel.anchored import Anchored
from promptlabel.labelmodel.base import GoldRows
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.patterns import group
from promptlabel.labelmodel.self_training import Lesson, self_train, unseen_evidence
from promptlabel.labelmodel.text_evidence import read_corpus

EVEN = np.array([0.5, 0.5])


def stack():
    return Anchored(Majority)


@pytest.fixture
def lesson():
    """Two sparse rules that see `refund` and `thanks`; the other words of a class are for the texts to learn."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    words = {0: ["refund", "broken", "angry", "late"], 1: ["thanks", "great", "fast", "happy"]}
    texts = [
        " ".join([*rng.choice(words[label], 2), *rng.choice(["the", "my", "order", "it"], 3)])
        for label in labels
    ]
    votes = np.array([[0 if "refund" in t else -1, 1 if "thanks" in t else -1] for t in texts], np.int8)
    patterns, inverse = group(votes, 2)
    known = np.arange(40)
    return Lesson(
        read_corpus(texts)[0], patterns, inverse, GoldRows(known, labels[:40], np.ones(40, bool))
    ), labels


def test_texts_reach_traces_that_no_rule_reaches(lesson):
    given, labels = lesson
    evidence = self_train(given, stack, EVEN).of(given.corpus)
    silent = given.patterns.votes_per_row[given.inverse] == 0
    assert silent.sum() > 100
    assert (evidence[silent].argmax(axis=1) == labels[silent]).mean() > 0.9


def test_without_gold_the_votes_alone_teach(lesson):
    given, labels = lesson
    evidence = self_train(given.keeping(np.array([], int)), stack, EVEN).of(given.corpus)
    assert (evidence.argmax(axis=1) == labels).mean() > 0.75


def test_evidence_of_a_labelled_text_does_not_know_its_label(lesson):
    given, labels = lesson
    flipped = labels[:40].copy()
    flipped[5] = 1 - flipped[5]
    gold = GoldRows(given.gold.rows, flipped, given.gold.random)
    other = Lesson(given.corpus, given.patterns, given.inverse, gold)
    before, after = unseen_evidence(given, stack, EVEN), unseen_evidence(other, stack, EVEN)
    assert abs(before[5] - after[5]).max() < 0.5 * abs(before[5, 0] - before[5, 1])
