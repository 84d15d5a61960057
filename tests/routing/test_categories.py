from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.routing.categories import FEWEST_REVIEWS, Categories

NONE = np.zeros(1010, dtype=bool)
NAMES = ["big"] * 1000 + ["small"] * 8 + [None] * 2


def test_a_category_too_small_for_its_share_is_rare_and_offers_the_reviews_it_lacks() -> None:
    known = Categories.known(NAMES, NONE, NONE, 0.05)
    scores = known.scores(np.linspace(0, 1, 1010), NONE, np.linspace(0, 1, 1010))
    assert np.flatnonzero(scores).tolist() == [1003, 1004, 1005, 1006, 1007]
    assert (np.diff(scores[1003:1008]) > 0).all()


def test_reviews_close_what_is_missing_and_leave_the_others_as_they_were() -> None:
    doubt, ties = np.linspace(0, 1, 1010), np.linspace(0, 1, 1010)
    reviewed = NONE.copy()
    reviewed[1006:1008] = True
    after = Categories.known(NAMES, reviewed, NONE, 0.05).scores(doubt, reviewed, ties)
    assert np.flatnonzero(after).tolist() == [1003, 1004, 1005]


def test_rare_categories_take_turns() -> None:
    names = ["big"] * 100 + ["a"] * 9 + ["b"] * 9
    nobody = np.zeros(118, dtype=bool)
    scores = Categories.known(names, nobody, nobody, 0.01).scores(np.zeros(118), nobody, np.arange(118) / 118)
    kinds = np.array(names)
    for kind in "ab":
        assert np.unique(scores[kinds == kind][scores[kinds == kind] > 0]).size == FEWEST_REVIEWS


def test_a_category_where_people_decide_against_the_rules_is_failing() -> None:
    names = ["good"] * 500 + ["bad"] * 500
    reviewed = np.arange(1000) % 10 == 0
    wrong = reviewed & ((np.arange(1000) >= 500) | (np.arange(1000) % 100 == 0)) & (np.arange(1000) % 20 == 0)
    known = Categories.known(names, reviewed, wrong, 0.05)
    assert known.failing[known.names.index("bad")] > 0.3
    assert known.failing[known.names.index("good")] == 0
    scores = known.scores(np.full(1000, 0.5), reviewed, np.zeros(1000))
    assert (scores[500:][~reviewed[500:]] > 0).all()
    assert not scores[reviewed].any()


@given(st.integers(0, 2**32 - 1))
def test_any_categories_keep_scores_within_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 300))
    names = [None if kind == 5 else str(kind) for kind in rng.integers(0, 6, n).tolist()]
    reviewed = rng.random(n) < 0.5
    known = Categories.known(names, reviewed, reviewed & (rng.random(n) < 0.2), float(rng.random()))
    doubt = np.where(rng.random(n) < 0.1, np.nan, rng.random(n))
    scores = known.scores(doubt, reviewed, rng.random(n))
    assert ((scores >= 0) & (scores <= 1)).all()
    assert not scores[reviewed].any()
    assert not scores[[name is None for name in names]].any()


def test_no_category_no_need() -> None:
    known = Categories.known([None, None], np.zeros(2, dtype=bool), np.zeros(2, dtype=bool), 0.5)
    assert not known.scores(np.ones(2), np.zeros(2, dtype=bool), np.zeros(2)).any()
