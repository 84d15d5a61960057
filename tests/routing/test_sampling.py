from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from promptlabel.routing.sampling import (
    inclusion_probability,
    permanent_numbers,
    random_sample,
    sample_probability,
)

IDS = [f"trace-{i}" for i in range(20_000)]


def test_permanent_numbers_are_uniform_and_independent_of_task_and_neighbours() -> None:
    first, second = permanent_numbers(IDS, "tone"), permanent_numbers(IDS, "quality")
    assert kstest(first, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.03


@given(st.lists(st.text(max_size=8), unique=True, max_size=20), st.data())
def test_a_trace_keeps_its_number_whatever_else_is_there(ids: list[str], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(ids))
    by_id = dict(zip(ids, permanent_numbers(ids, "task"), strict=True))
    assert permanent_numbers(shuffled, "task") == pytest.approx([by_id[trace_id] for trace_id in shuffled])


def test_new_traces_change_nothing_for_old_ones() -> None:
    numbers = permanent_numbers(IDS, "task")
    before = random_sample(numbers[:10_000], 0.02)
    assert (random_sample(numbers, 0.02)[:10_000] == before).all()


def test_a_random_sample_is_never_empty() -> None:
    assert random_sample(np.array([0.9, 0.4, 0.7]), 0.01).tolist() == [False, True, False]
    assert random_sample(np.array([]), 0.01).tolist() == []


def picked_by(sample: tuple[int, ...], ranks: list[int], n: int, budget: int) -> set[int]:
    by_rank = [row for row in ranks if row not in sample]
    return {*sample, *by_rank[: max(0, budget - len(sample))]}


@pytest.mark.parametrize(("n", "budget", "rate"), [(5, 2, 0.3), (6, 4, 0.1), (4, 1, 0.05), (5, 5, 0.4)])
def test_inclusion_probabilities_are_exact(n: int, budget: int, rate: float) -> None:
    """Every possible sample is listed with its probability; row i has rank i + 1, the last row none."""
    ranks = list(range(n - 1))
    exact = np.zeros(n)
    for size in range(n + 1):
        for sample in combinations(range(n), size):
            weight = rate**size * (1 - rate) ** (n - size)
            drawn = [sample] if sample else [(row,) for row in range(n)]
            for one in drawn:
                for row in picked_by(one, ranks, n, budget):
                    exact[row] += weight / len(drawn)
    rank = np.array([*range(1, n), np.inf])
    assert inclusion_probability(rank, n, budget, rate) == pytest.approx(exact)
    assert sample_probability(n, rate) == pytest.approx(exact[-1])
