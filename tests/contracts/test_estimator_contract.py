"""One suite over every estimator: what any of them must do, whatever its mathematics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from promptlabel.labelmodel.anchored import Anchored
from promptlabel.labelmodel.base import Estimator, Labelled
from promptlabel.labelmodel.guard import Guard
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.pattern_em import PatternEM
from promptlabel.labelmodel.patterns import FloatArray, IntArray, group
from promptlabel.labelmodel.single_rule import BestRule
from promptlabel.labelmodel.weighted import Weighted

K = 3
ESTIMATORS: dict[str, Callable[[], Estimator]] = {
    "majority": Majority,
    "weighted": Weighted,
    "em": PatternEM,
    "em given votes": lambda: PatternEM(abstain_is_outcome=False),
    "em learning": lambda: PatternEM(False, learns_balance=True, balance_trust=0.5),
    "best rule": BestRule,
    "guard": Guard,
    "anchored": lambda: Anchored(Guard),
}
# The best rule listens to one rule only, so that what the others say changes nothing.
PANELS = {name: make for name, make in ESTIMATORS.items() if name != "best rule"}
# A learnt balance is not the given one, by design; the guard learns one unless it is known.
GIVEN_BALANCE = {name: make for name, make in ESTIMATORS.items() if name != "em learning"}

every = pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS.keys())
panels = pytest.mark.parametrize("make", PANELS.values(), ids=PANELS.keys())
quick = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def vote_sets(draw: st.DrawFn) -> tuple[IntArray, IntArray]:
    rows, rules = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    votes = draw(arrays(np.int8, (rows, rules), elements=st.integers(-1, K - 1)))
    gold = draw(arrays(np.int64, rows, elements=st.integers(-1, K - 1)))
    return votes, gold


def posterior(
    make: Callable[[], Estimator],
    votes: IntArray,
    gold: IntArray | None = None,
    balance: FloatArray | None = None,
    asked: IntArray | None = None,
) -> FloatArray:
    """Probabilities of the rows `asked` (default: those of the fit)."""
    shares = np.full(K, 1 / K) if balance is None else balance
    patterns, inverse = group(votes, K)
    known = np.flatnonzero(gold >= 0) if gold is not None else np.array([], int)
    labels = gold[known] if gold is not None else np.array([], int)
    order = np.lexsort((labels, inverse[known]))
    labelled = Labelled(patterns.take(inverse[known][order]), labels[order])
    fitted = make().fit(patterns, labelled, shares)
    if asked is None:
        return fitted.predict_proba(patterns)[inverse]
    wanted, wanted_inverse = group(asked, K)
    return fitted.predict_proba(wanted)[wanted_inverse]


def panel(seed: int = 0, rows: int = 300, rules: int = 5) -> tuple[IntArray, IntArray]:
    """Independent rules, right seven times in ten, that vote on four traces of five."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, K, rows)
    right = rng.random((rows, rules)) < 0.7
    votes = np.where(right, labels[:, None], rng.integers(0, K, (rows, rules)))
    return np.where(rng.random((rows, rules)) < 0.8, votes, -1).astype(np.int8), labels


@every
@quick
@given(data=vote_sets())
def test_rows_are_distributions(make: Callable[[], Estimator], data: tuple[IntArray, IntArray]) -> None:
    found = posterior(make, *data)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert np.allclose(found.sum(axis=1), 1)


@every
@quick
@given(data=vote_sets(), seed=st.integers(0, 1000))
def test_the_order_of_traces_changes_no_bit(
    make: Callable[[], Estimator], data: tuple[IntArray, IntArray], seed: int
) -> None:
    votes, gold = data
    order = np.random.default_rng(seed).permutation(len(votes))
    assert (posterior(make, votes[order], gold[order]) == posterior(make, votes, gold)[order]).all()


@every
def test_the_order_of_rules_does_not_matter(make: Callable[[], Estimator]) -> None:
    votes, labels = panel()
    gold = np.where(np.arange(len(votes)) < 40, labels, -1)
    order = [3, 0, 4, 1, 2]
    # The anchored model's folds follow the order of the patterns, and so, a little, of the rules.
    tolerance = 0.05 if make().name == "anchored" else 1e-9
    assert np.allclose(posterior(make, votes[:, order], gold), posterior(make, votes, gold), atol=tolerance)


@every
def test_renaming_the_classes_renames_the_columns(make: Callable[[], Estimator]) -> None:
    votes, _ = panel()
    new_name = np.array([2, 0, 1, -1])
    renamed = posterior(make, new_name[votes])
    assert np.allclose(renamed[:, new_name[:K]], posterior(make, votes), atol=1e-6)


@pytest.mark.parametrize("make", GIVEN_BALANCE.values(), ids=GIVEN_BALANCE.keys())
def test_a_trace_without_votes_has_the_class_balance(make: Callable[[], Estimator]) -> None:
    votes, _ = panel()
    balance = np.array([0.5, 0.3, 0.2])
    silent = posterior(make, votes, balance=balance, asked=np.full((1, 5), -1, np.int8))
    assert np.allclose(silent, balance)


@every
def test_no_votes_at_all_give_the_class_balance(make: Callable[[], Estimator]) -> None:
    balance = np.array([0.5, 0.3, 0.2])
    assert np.allclose(posterior(make, np.full((4, 2), -1, np.int8), balance=balance), balance, atol=1e-6)


@every
def test_a_rule_that_never_votes_changes_nothing(make: Callable[[], Estimator]) -> None:
    votes, _ = panel()
    silent = np.column_stack([votes, np.full(len(votes), -1, np.int8)])
    assert np.allclose(posterior(make, silent), posterior(make, votes), atol=1e-6)


@panels
def test_one_rule_alone_is_followed(make: Callable[[], Estimator]) -> None:
    votes, _ = panel(rules=1)
    said = votes[:, 0] >= 0
    found = posterior(make, votes)
    assert (found[said].argmax(axis=1) == votes[said, 0]).all()


@panels
def test_one_more_vote_for_a_class_makes_it_no_less_likely(make: Callable[[], Estimator]) -> None:
    votes, _ = panel()
    more = np.array([[0, 0, 1, -1, -1], [0, 0, 1, 0, -1], [0, 0, 1, 0, 0]], np.int8)
    likelihoods = posterior(make, votes, asked=more)[:, 0]
    assert (np.diff(likelihoods) > -1e-9).all()


@panels
def test_full_agreement_is_believed_most(make: Callable[[], Estimator]) -> None:
    votes, _ = panel()
    split, agreed = posterior(make, votes, asked=np.array([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]], np.int8))[:, 0]
    assert agreed > split


@every
def test_it_learns_from_independent_rules(make: Callable[[], Estimator]) -> None:
    votes, labels = panel(rows=2000)
    gold = np.where(np.arange(len(votes)) < 100, labels, -1)
    accuracy = (posterior(make, votes, gold).argmax(axis=1) == labels).mean()
    assert accuracy > 0.68


@every
def test_eighty_eight_rules_give_numbers(make: Callable[[], Estimator]) -> None:
    votes = np.random.default_rng(0).integers(-1, K, (200, 88)).astype(np.int8)
    assert np.isfinite(posterior(make, votes)).all()
