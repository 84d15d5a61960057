from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.routing.diversity import MOST, diversified, groups, sketches
from promptlabel.routing.novelty import Words

TOPICS = (
    "parcel lost warehouse truck delivery",
    "password login account reset mail",
    "invoice refund card payment bank",
)


def texts(count: int) -> list[str]:
    """Texts of three topics in turn, each with a word of its own."""
    words = ("alpha", "beta", "gamma", "delta", "omega", "kappa", "sigma")
    return [f"{TOPICS[number % 3]} {words[number % 7]}" for number in range(count)]


def test_texts_of_one_topic_are_one_group() -> None:
    rows = np.arange(42)
    found = groups(sketches(Words.of(texts(42)), rows), most=3)
    assert [len(set(found[rows % 3 == topic].tolist())) for topic in range(3)] == [1, 1, 1]
    assert len(set(found.tolist())) == 3


def test_what_arrives_later_changes_no_sketch() -> None:
    rows = np.arange(10)
    before, after = Words.of(texts(10)), Words.of([*texts(10), "something quite different"])
    np.testing.assert_array_equal(sketches(before, rows), sketches(after, rows))


def test_traces_without_words_have_no_direction_and_do_no_harm() -> None:
    vectors = sketches(Words.of(["", "12", "hello there"]), np.arange(3))
    assert not vectors[:2].any()
    assert len(groups(vectors)) == 3
    assert groups(vectors[:0]).tolist() == []


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 2**31))
def test_centres_are_at_most_twice_as_far_as_the_best_ones_need_be(n: int, most: int, seed: int) -> None:
    """Of most + 1 rows that far apart, two share any centre: the radius of the best grouping is at least half."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = groups(vectors, most)
    assert len(set(found.tolist())) <= min(most, n)
    assert found[0] == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.integers(1, 5), st.integers(0, 2**31))
def test_scores_lose_a_tenth_at_most_and_the_best_of_a_group_nothing(
    values: list[float], n_groups: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scores, group, ties = np.array(values), rng.integers(0, n_groups, len(values)), rng.random(len(values))
    found = diversified(scores, group, ties)
    assert (found <= scores).all()
    assert (found >= (1 - MOST) * scores).all()
    for one in set(group.tolist()):
        assert found[group == one].max() == scores[group == one].max()
        order = np.lexsort((ties[group == one], -scores[group == one]))
        assert (np.diff(found[group == one][order]) <= 1e-12).all()


def test_of_equal_scores_each_group_comes_before_any_comes_twice() -> None:
    group = np.array([0, 0, 0, 1, 1, 2])
    found = diversified(np.full(6, 0.9), group, np.arange(6) / 6)
    assert set(group[np.argsort(-found, kind="stable")[:3]].tolist()) == {0, 1, 2}
