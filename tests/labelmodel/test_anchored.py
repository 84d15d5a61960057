import numpy as np
import pytest
from scipy.optimize import check_grad

from promptlabel.labelmodel.anchored import Anchored, _LogLinear, _loss, _prior
from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.calibration import correctness
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.patterns import group

NONE = np.array([], int)
EVEN = np.full(3, 1 / 3)


@pytest.fixture
def panel():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 800)
    votes = np.where(
        rng.random((800, 4)) < [0.9, 0.5, 0.4, 0.4], labels[:, None], rng.integers(-1, 3, (800, 4))
    )
    return votes.astype(np.int8), labels


def test_the_gradient_is_the_losss(panel):
    votes, labels = panel
    patterns, inverse = group(votes[:30], 3)
    rng = np.random.default_rng(1)
    model = _LogLinear(patterns.take(inverse, rng.normal(size=(30, 3))), rng.dirichlet(np.ones(3), 30))
    mean, scale = _prior(4, 3)
    one_hot = np.eye(3)[labels[:30]]
    weights = rng.normal(size=len(mean))
    error = check_grad(
        lambda w: _loss(w, model, one_hot, mean, scale)[0],
        lambda w: _loss(w, model, one_hot, mean, scale)[1],
        weights,
    )
    assert error < 1e-4


def test_without_gold_it_is_its_anchor(panel):
    patterns, _ = group(panel[0], 3)
    nobody = Labelled(patterns.take(NONE), NONE)
    anchored = Anchored(Majority).fit(patterns, nobody, EVEN).predict_proba(patterns)
    assert np.allclose(anchored, Majority().fit(patterns, nobody, EVEN).predict_proba(patterns))


def test_gold_finds_the_good_rule(panel):
    votes, labels = panel
    patterns, inverse = group(votes, 3)
    gold = Labelled(patterns.take(inverse[:100]), labels[:100])
    anchored, majority = (
        model.fit(patterns, gold, EVEN).predict_proba(patterns)[inverse][100:]
        for model in (Anchored(Majority), Majority())
    )
    gain = correctness(anchored, labels[100:]).mean() - correctness(majority, labels[100:]).mean()
    assert gain > 0.02


def test_text_that_knows_the_answer_is_believed(panel):
    votes, labels = panel
    patterns, inverse = group(votes, 3)
    evidence = 3.0 * np.eye(3)[labels]
    gold = Labelled(patterns.take(inverse[:100], evidence[:100]), labels[:100])
    model = Anchored(Majority).fit(patterns, gold, EVEN)
    found = model.predict_proba(patterns.take(inverse, evidence))
    assert (found.argmax(axis=1) == labels).mean() > 0.97


def test_text_that_is_noise_is_ignored(panel):
    votes, labels = panel
    patterns, inverse = group(votes, 3)
    noise = np.random.default_rng(2).normal(size=(800, 3))
    gold = Labelled(patterns.take(inverse[:200], noise[:200]), labels[:200])
    assert abs(Anchored(Majority).fit(patterns, gold, EVEN).weights[1]) < 0.4
