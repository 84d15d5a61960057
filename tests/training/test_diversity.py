"""Diversity: one text said often is worth one text, texts that share nothing are worth their number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.training.diversity import distinct_pairs, diversity, effective_number, effective_texts

APART = ["alpha bravo charlie", "delta echo foxtrot", "golf hotel india", "juliett kilo lima"]


def test_the_ends_of_both_scales() -> None:
    assert effective_texts(APART) == pytest.approx(1)
    assert effective_texts(APART[:1] * 4) == pytest.approx(1 / 4)
    assert distinct_pairs(APART) == 1
    assert distinct_pairs(APART[:1] * 4) == pytest.approx(1 / 4)


def test_half_repeated_lies_between() -> None:
    assert effective_texts([*APART[:2], *APART[:2]]) == pytest.approx(1 / 2)


def test_of_nothing_there_is_none() -> None:
    assert diversity([]) == diversity(["", " "]) == {"distinct_pairs": 0.0, "effective_texts": 0.0}


@given(st.integers(1, 30))
def test_equal_shares_count_as_many(n: int) -> None:
    assert effective_number(np.full(n, 1 / n)) == pytest.approx(n)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=20))
def test_never_more_than_there_are(weights: list[float]) -> None:
    shares = np.array(weights) / sum(weights)
    assert 1 - 1e-9 <= effective_number(shares) <= len(weights) + 1e-9
