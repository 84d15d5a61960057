"""Near duplicates are those whose n-grams overlap enough, found by hashing and judged exactly."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from promptlabel.evals.near_duplicates import (
    CHUNK,
    NEAR,
    NearIndex,
    chunks,
    jaccard,
    n_grams,
    signatures,
)

WORDS = [
    "where",
    "is",
    "my",
    "card",
    "order",
    "parcel",
    "refund",
    "please",
    "help",
    "with",
    "this",
    "payment",
    "account",
    "today",
    "again",
]


def sentences(count: int, seed: int, length: int = 12) -> list[str]:
    chosen = random.Random(seed)
    return [" ".join(chosen.choices(WORDS, k=length)) for _ in range(count)]


def with_typos(text: str, seed: int) -> str:
    letters, chosen = list(text), random.Random(seed)
    for place in chosen.sample(range(len(letters)), 2):
        letters[place] = chosen.choice("abcdefgh")
    return "".join(letters)


def exact_pairs(first: list[str], second: list[str]) -> set[tuple[int, int]]:
    """All near pairs by scikit-learn's n-grams and a matrix product."""
    count = CountVectorizer(analyzer="char", ngram_range=(4, 4), binary=True, lowercase=False)
    matrix = count.fit_transform([*first, *second]).astype(int)
    a, b = matrix[: len(first)], matrix[len(first) :]
    both = (a @ b.T).toarray()
    sizes = [np.asarray(part.sum(axis=1)).ravel() for part in (a, b)]
    either = sizes[0][:, None] + sizes[1][None, :] - both
    return {(int(i), int(j)) for i, j in zip(*np.nonzero(both / either >= NEAR), strict=True)}


def test_it_finds_what_comparing_all_pairs_finds() -> None:
    first = sentences(300, seed=1)
    second = [with_typos(text, seed) for seed, text in enumerate(first[:150])] + sentences(300, seed=2)
    found = NearIndex(first).pairs(second)
    mine = set(zip(found.indexed.tolist(), found.other.tolist(), strict=True))
    theirs = exact_pairs(first, second)
    assert mine <= theirs
    assert len(mine) >= 0.99 * len(theirs) > 100


@given(st.text(), st.text())
def test_similarity_is_symmetric_and_one_for_the_same(first: str, second: str) -> None:
    assert jaccard(n_grams(first), n_grams(second)) == jaccard(n_grams(second), n_grams(first))
    assert jaccard(n_grams(first), n_grams(first)) == 1


@given(st.lists(st.text(max_size=30), max_size=20))
def test_a_text_is_signed_alike_in_any_company(texts: list[str]) -> None:
    together = signatures(texts)
    for text, signed in zip(texts, together, strict=True):
        assert np.array_equal(signatures([text])[0], signed)


def test_signatures_estimate_the_similarity() -> None:
    first, second = sentences(2_000, seed=3), [with_typos(t, i) for i, t in enumerate(sentences(2_000, 3))]
    estimated = (signatures(first) == signatures(second)).mean()
    exact = np.mean([jaccard(n_grams(a), n_grams(b)) for a, b in zip(first, second, strict=True)])
    assert estimated == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("please refund the payment for order 1234", "please refund the payment for order 1235"),
        ("yes, please go on", "yes, please go on!"),
    ],
)
def test_other_numbers_and_short_texts_are_no_near_duplicates(first: str, second: str) -> None:
    assert len(NearIndex([first]).pairs([second]).other) == 0


def test_a_crowd_of_copies_is_still_found() -> None:
    copies = ["please send the parcel to my new address today"] * 1_000
    found = NearIndex(copies).pairs(copies)
    assert set(found.other.tolist()) == set(range(1_000))


def test_nothing_has_no_pairs() -> None:
    assert len(NearIndex([]).pairs(["some text that is long enough to count"]).other) == 0
    assert len(NearIndex(["some text that is long enough to count"]).pairs([]).other) == 0


@given(st.lists(st.integers(0, 2 * CHUNK), max_size=6))
def test_chunks_hold_every_text_once(sizes: list[int]) -> None:
    bounds = list(chunks(["x" * size for size in sizes]))
    assert [row for start, stop in bounds for row in range(start, stop)] == list(range(len(sizes)))
