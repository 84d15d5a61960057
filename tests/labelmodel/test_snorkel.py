import sys

import numpy as np
import pytest

from promptlabel.errors import MissingExtraError
from promptlabel.labelmodel import LabelModel

pytestmark = [pytest.mark.snorkel, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def votes():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    return np.where(rng.random((300, 4)) < 0.8, labels[:, None], rng.integers(-1, 2, (300, 4)))


def test_it_is_snorkels_label_model(votes):
    from snorkel.labeling.model import LabelModel as Original

    original = Original(cardinality=2, verbose=False)
    order = np.lexsort(votes.T[::-1])
    original.fit(votes[order], n_epochs=500, seed=0, class_balance=[0.5, 0.5], progress_bar=False)
    ours = LabelModel(2, method="snorkel").fit(votes)
    said = (votes >= 0).any(axis=1)
    assert np.allclose(ours.predict_proba(votes)[said], original.predict_proba(votes)[said], atol=1e-4)
    assert ours.chosen == "snorkel"


def test_fewer_than_three_rules_are_refused(votes):
    with pytest.raises(ValueError, match="at least 3 rules"):
        LabelModel(2, method="snorkel").fit(votes[:, :2])


def test_without_snorkel_the_message_says_how_to_get_it(votes, monkeypatch):
    monkeypatch.setitem(sys.modules, "snorkel.labeling.model", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'promptlabel\[snorkel\]'"):
        LabelModel(2, method="snorkel").fit(votes)
