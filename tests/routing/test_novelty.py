from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from promptlabel.routing.novelty import FEWEST_OF_REFERENCE, Words, novelty

OLD = "please track the parcel for me today"
NEW = "please cancel the subscription for me"


def traffic(old: int, new: int) -> tuple[Words, np.ndarray]:
    texts = [f"{OLD} {'abcdefg'[i % 7] * 3}" for i in range(old)] + [NEW] * new
    return Words.of(texts), np.arange(old + new) < old


def test_what_says_words_that_the_reference_lacks_is_new_and_says_which() -> None:
    words, old = traffic(200, 20)
    found = novelty(words, old, np.ones(220, dtype=bool))
    assert (found.scores[:200] == 0).all()
    assert (found.scores[200:] > 0).all()
    assert found.told(210) == ("cancel", "subscription")


def test_only_what_is_compared_has_a_score() -> None:
    words, old = traffic(200, 20)
    among = np.arange(220) < 210
    assert (novelty(words, old, among).scores[210:] == 0).all()


def test_a_reference_drawn_at_random_finds_nothing_new() -> None:
    rng = np.random.default_rng(0)
    vocabulary = ["".join(rng.choice(list("abcdefghij"), 6)) for _ in range(300)]
    words = Words.of(" ".join(rng.choice(vocabulary, 12)) for _ in range(3_000))
    shares = [
        (novelty(words, rng.random(3_000) < 0.1, np.ones(3_000, dtype=bool)).scores > 0).mean()
        for _ in range(20)
    ]
    assert np.mean(shares) < 0.1


@pytest.mark.parametrize("known", [0, FEWEST_OF_REFERENCE - 1, 220])
def test_without_a_reference_or_without_others_nothing_is_new(known: int) -> None:
    words, _ = traffic(200, 20)
    assert not novelty(words, np.arange(220) < known, np.ones(220, dtype=bool)).scores.any()


@given(st.lists(st.text(alphabet="abcdeé ", max_size=30), max_size=20), st.data())
def test_words_are_counted_as_scikit_learn_counts_them(texts: list[str], data: st.DataObject) -> None:
    words = Words.of(texts)
    chosen = np.array([data.draw(st.booleans()) for _ in texts], dtype=bool)
    kept = [text for text, one in zip(texts, chosen, strict=True) if one]
    expected = dict.fromkeys(words.names, 0)
    if any(len(word) >= 3 for text in kept for word in text.split()):
        counter = CountVectorizer(token_pattern=r"\S{3,}", binary=True)
        totals = np.asarray(counter.fit_transform(kept).sum(axis=0)).ravel()
        expected |= dict(zip(counter.get_feature_names_out(), totals.tolist(), strict=True))
    assert dict(zip(words.names, words.in_traces(chosen).tolist(), strict=True)) == expected
