import numpy as np
import pytest

from promptlabel.labelmodel import fitting
from promptlabel.labelmodel.balance import LEAST_GOLD, ClassBalance
from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.patterns import group


@pytest.fixture
def panel():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    votes = np.where(rng.random((400, 5)) < 0.8, labels[:, None], 1 - labels[:, None])
    patterns, inverse = group(votes, 2)
    return patterns, inverse, labels


def labelled(panel, count, text=None):
    patterns, inverse, labels = panel
    return Labelled(patterns.take(inverse[:count], text), labels[:count])


def fit(panel, gold, method="auto"):
    return fitting.fit(method, panel[0], gold, ClassBalance(None, 2))


def test_gold_is_compared_on_from_twenty_labels_on(panel):
    assert "compared" not in fit(panel, labelled(panel, LEAST_GOLD - 1)).report
    assert "compared" in fit(panel, labelled(panel, LEAST_GOLD)).report


def test_without_gold_a_posterior_with_structural_faults_is_not_shipped(panel, monkeypatch):
    monkeypatch.setattr(fitting, "structural_faults", lambda *_: ["one class takes all"])
    found = fit(panel, labelled(panel, 0))
    assert found.name == "majority"
    assert isinstance(found.estimator, Majority)
    assert "one class takes all, so majority vote is taken" in found.report["reason"]


def test_what_is_asked_for_is_shipped_and_compared_with_the_baselines(panel):
    found = fit(panel, labelled(panel, 50), method="em")
    assert found.name == "em"
    assert set(found.report["compared"]) == {"em", "majority", "best rule"}


def test_texts_are_read_by_the_anchored_model_where_nothing_can_be_compared(panel):
    assert fit(panel, labelled(panel, 0, np.empty((0, 2)))).name == "anchored"
    assert fit(panel, labelled(panel, 0)).name == "guard"


def test_a_trace_without_evidence_keeps_the_class_balance(panel):
    gold = labelled(panel, 60)
    found = fit(panel, gold, method="majority")
    silent, _ = group(np.full((1, 5), -1), 2)
    assert found.exponent != 1.0
    assert np.allclose(found.predict_proba(silent), ClassBalance(None, 2)(gold))
