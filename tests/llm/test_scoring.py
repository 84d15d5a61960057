"""Whole-answer probabilities by the chain rule, against a brute-force enumeration of a random model."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.llm.scoring import Reading, answer, branchings, distribution, outside, prefix_free, score
from promptlabel.records import Usage

VOCABULARY = 4
END = (0,)

token_paths = st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=4).map(tuple)
answer_paths = st.lists(token_paths, min_size=1, max_size=6, unique=True).map(
    lambda paths: {f"answer {number}": path for number, path in enumerate(paths)}
)


def model(begun: tuple[int, ...], seed: int) -> np.ndarray:
    """The next-token probabilities of a random, but fixed, language model."""
    return np.random.default_rng([seed, *begun]).dirichlet(np.ones(VOCABULARY))


def read(paths: dict[str, tuple[int, ...]], seed: int) -> dict[tuple[int, ...], dict[int, float]]:
    return {
        begun: {token: math.log(model(begun, seed)[token]) for token in following}
        for begun, following in branchings(paths.values()).items()
    }


@given(answer_paths, st.integers(0, 1000))
def test_an_answer_is_as_likely_as_the_texts_that_begin_with_it(paths, seed):
    closed = prefix_free(paths, END)
    longest = max(map(len, closed.values()))
    mass = dict.fromkeys(closed, 0.0)
    rest = 0.0
    for text in itertools.product(range(VOCABULARY), repeat=longest):
        probability = math.prod(model(text[:place], seed)[token] for place, token in enumerate(text))
        meant = [name for name, path in closed.items() if text[: len(path)] == path]
        assert len(meant) <= 1
        if meant:
            mass[meant[0]] += probability
        else:
            rest += probability
    scored = score(closed, read(closed, seed))
    assert {name: math.exp(logprob) for name, logprob in scored.items()} == pytest.approx(mass)
    assert outside(scored) == pytest.approx(rest, abs=1e-9)


@given(answer_paths, st.integers(0, 1000))
def test_the_distribution_is_the_mass_renormalised(paths, seed):
    scored = score(paths, read(paths, seed))
    found = distribution(scored)
    assert math.fsum(found.values()) == pytest.approx(1)
    masses = {name: math.exp(logprob) for name, logprob in scored.items()}
    for one, other in itertools.pairwise(paths):
        assert found[one] * masses[other] == pytest.approx(found[other] * masses[one])


@given(answer_paths)
def test_each_beginning_is_read_once_and_before_what_continues_it(paths):
    order = list(branchings(paths.values()))
    assert len(order) == len(set(order))
    assert set(order) == {path[:place] for path in paths.values() for place in range(len(path))}
    assert all(order.index(begun[:-1]) < order.index(begun) for begun in order if begun)


@given(answer_paths)
def test_only_answers_inside_others_are_closed(paths):
    closed = prefix_free(paths, END)
    for name, path in paths.items():
        inside = any(other != path and other[: len(path)] == path for other in paths.values())
        assert closed[name] == (path + END if inside else path)


def test_tiny_probabilities_keep_their_ratio():
    assert distribution({"a": -2000.0, "b": -2000.0 + math.log(3)}) == pytest.approx({"a": 0.25, "b": 0.75})


def test_answers_that_are_all_impossible_are_equal():
    assert distribution({"a": -math.inf, "b": -math.inf}) == {"a": 0.5, "b": 0.5}
    assert outside({"a": -math.inf, "b": -math.inf}) == 1.0


def test_the_answer_is_the_likeliest_with_its_usage_and_price():
    reading = Reading({(): {1: math.log(0.1), 2: math.log(0.3)}}, Usage(10, 1, 4))
    found = answer({"no": (1,), "yes": (2,)}, reading, usd=0.5)
    assert (found.text, found.usage, found.usd) == ("yes", Usage(10, 1, 4), 0.5)
    assert found.distribution == pytest.approx({"no": 0.25, "yes": 0.75})
    assert found.outside == pytest.approx(0.6)
