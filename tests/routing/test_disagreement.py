from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy

from promptlabel.routing.disagreement import (
    committee_disagreement,
    entropy,
    family_conflict,
    family_evidence,
    least_confidence,
    margin,
    vote_entropy,
)

probabilities = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 8), st.integers(2, 5)), elements=st.floats(0.001, 1)
).map(lambda raw: raw / raw.sum(axis=1, keepdims=True))


@given(probabilities)
def test_uncertainty_is_between_none_and_all_and_agrees_with_scipy(probs: np.ndarray) -> None:
    for score in (least_confidence(probs), margin(probs), entropy(probs)):
        assert score.shape == (len(probs),)
        assert ((score >= -1e-12) & (score <= 1 + 1e-12)).all()
    assert entropy(probs) == pytest.approx(scipy_entropy(probs, axis=1) / np.log(probs.shape[1]))


def test_a_sure_posterior_scores_zero_and_an_even_one_highest() -> None:
    probs = np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    assert least_confidence(probs) == pytest.approx([0, 2 / 3])
    assert margin(probs) == pytest.approx([0, 1])
    assert entropy(probs) == pytest.approx([0, 1])


def test_a_trace_without_posterior_has_no_score() -> None:
    probs = np.array([[np.nan, np.nan]])
    assert np.isnan([least_confidence(probs), margin(probs), entropy(probs)]).all()


def test_vote_entropy_counts_votes_and_not_abstains() -> None:
    votes = np.array([[0, 1, -1], [0, 0, -1], [-1, -1, -1]], dtype=np.int8)
    assert vote_entropy(votes, 2) == pytest.approx([1, 0, 0])


def test_a_committee_of_hard_votes_disagrees_by_their_vote_entropy() -> None:
    votes = np.array([[0, 1, -1], [0, 0, 1], [-1, -1, -1], [2, -1, -1]], dtype=np.int8)
    assert committee_disagreement(votes, {}, 3) == pytest.approx(vote_entropy(votes, 3))
    assert committee_disagreement(np.zeros((2, 0), dtype=np.int8), {}, 2) == pytest.approx([0, 0])


@given(probabilities, probabilities)
def test_a_committee_of_two_distributions_disagrees_by_their_jensen_shannon(
    first: np.ndarray, second: np.ndarray
) -> None:
    first, second = first[:1, :2], second[:1, :2]
    first, second = (dist / dist.sum(axis=1, keepdims=True) for dist in (first, second))
    votes = np.array([[0, 0]], dtype=np.int8)
    with np.errstate(invalid="ignore"):  # scipy takes the root of a rounded -0
        expected = np.nan_to_num(jensenshannon(first, second, axis=1, base=2) ** 2)
    assert committee_disagreement(votes, {0: first, 1: second}, 2) == pytest.approx(expected, abs=1e-7)


def test_rules_that_are_each_unsure_agree() -> None:
    even = np.full((1, 2), 0.5)
    assert committee_disagreement(np.array([[0, 1]], dtype=np.int8), {0: even, 1: even}, 2) == pytest.approx(
        [0]
    )


def test_evidence_adds_hard_votes_and_distributions_of_a_family() -> None:
    votes = np.array([[0, 1, 1], [-1, 0, -1]], dtype=np.int8)
    soft = {0: np.array([[0.8, 0.2], [np.nan, np.nan]])}
    evidence = family_evidence(votes, soft, ["prompts", "prompts", "heuristics"], 2)
    assert evidence["prompts"] == pytest.approx(np.array([[0.8, 1.2], [1, 0]]))
    assert evidence["heuristics"] == pytest.approx(np.array([[0, 1], [0, 0]]))


def test_an_abstaining_distribution_is_no_evidence() -> None:
    evidence = family_evidence(np.array([[-1]], dtype=np.int8), {0: np.array([[0.5, 0.5]])}, ["prompts"], 2)
    assert evidence["prompts"].sum() == 0


@given(
    hnp.arrays(np.float64, (6, 3), elements=st.floats(0.5, 20)),
    hnp.arrays(np.float64, (6, 3), elements=st.floats(0.5, 20)),
)
def test_conflict_of_two_families_is_scipys_jensen_shannon(first: np.ndarray, second: np.ndarray) -> None:
    def smoothed(mass: np.ndarray) -> np.ndarray:
        return (mass + 1 / 3) / (mass.sum(axis=1, keepdims=True) + 1)

    with np.errstate(invalid="ignore"):  # scipy takes the root of a rounded -0
        expected = jensenshannon(smoothed(first), smoothed(second), axis=1, base=2) ** 2
    assert family_conflict([first, second]) == pytest.approx(np.nan_to_num(expected), abs=1e-7)


def test_conflict_needs_two_families_that_speak_and_grows_with_what_they_say() -> None:
    heuristics = np.array([[1.0, 0], [1, 0], [1, 0], [0, 0], [3, 0]])
    prompts = np.array([[0.0, 1], [2, 0], [0, 4], [0, 9], [0, 3]])
    silent = np.zeros((5, 2))
    conflict = family_conflict([heuristics, prompts, silent])
    assert conflict[3] == 0
    assert conflict[1] < conflict[0] < conflict[2] < conflict[4] <= 1
    assert family_conflict([heuristics]) == pytest.approx(np.zeros(5))
