from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from promptlabel.routing.lanes import AUDIT, Budget, Chosen, Lane, choose, merge
from promptlabel.routing.sampling import permanent_numbers

NAMES = ["uncertain", "conflict"]


def queue_of(
    uncertain: np.ndarray, conflict: np.ndarray, share: float, audit: float, key: str = "task"
) -> tuple[Chosen, np.ndarray]:
    n = len(uncertain)
    ids = [f"t{i}" for i in range(n)]
    numbers, ties = permanent_numbers(ids, key), permanent_numbers(ids, "ties")
    ranking = merge([Lane(NAMES[0], uncertain, 2.0), Lane(NAMES[1], conflict, 1.0)], ties)
    return choose(ranking, NAMES, numbers, Budget.of(n, share, audit), np.zeros(n, dtype=bool)), numbers


scores = hnp.arrays(np.float64, st.integers(1, 120), elements=st.floats(0, 1))


@settings(deadline=None)
@given(scores, st.floats(0.01, 1), st.floats(0.01, 1), st.data())
def test_a_queue_is_a_set_of_traces_within_the_budget_with_a_random_lane(
    uncertain: np.ndarray, share: float, audit: float, data: st.DataObject
) -> None:
    conflict = data.draw(hnp.arrays(np.float64, len(uncertain), elements=st.floats(0, 1)))
    chosen, numbers = queue_of(uncertain, conflict, share, audit)
    budget = Budget.of(len(uncertain), share, audit)
    rows = chosen.rows.tolist()
    drawn = int((numbers < budget.rate).sum())
    assert len(set(rows)) == len(rows) <= max(budget.size, drawn, 1)
    assert AUDIT in chosen.lanes
    assert ((chosen.probability > 0) & (chosen.probability <= 1)).all()


def test_lanes_take_turns_by_weight_and_a_trace_comes_once() -> None:
    uncertain = np.array([0.9, 0.8, 0.7, 0.6, 0.0, 0.0])
    conflict = np.array([0.9, 0.0, 0.0, 0.0, 0.5, 0.4])
    ranking = merge([Lane("uncertain", uncertain, 2.0), Lane("conflict", conflict, 1.0)], np.arange(6) / 6)
    assert ranking.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert ranking.lanes.tolist() == [0, 0, 0, 0, 1, 1]


def test_what_scores_nothing_is_in_no_lane() -> None:
    ranking = merge([Lane("uncertain", np.array([0.0, np.nan, 0.2]), 1.0)], np.zeros(3))
    assert ranking.rows.tolist() == [2]


def test_audit_picks_come_by_their_numbers_spread_among_the_others() -> None:
    rng = np.random.default_rng(1)
    chosen, numbers = queue_of(rng.random(2000), rng.random(2000), 0.1, 0.3)
    audit = [row for row, lane in zip(chosen.rows, chosen.lanes, strict=True) if lane == AUDIT]
    assert (np.diff(numbers[audit]) > 0).all()
    first_half = chosen.lanes[: len(chosen.lanes) // 2].count(AUDIT)
    assert first_half == pytest.approx(len(audit) / 2, abs=1)


def test_new_posteriors_and_new_traces_leave_the_audit_as_it_was() -> None:
    rng = np.random.default_rng(2)

    def audit_of(n: int) -> set[int]:
        chosen, _ = queue_of(rng.random(n), rng.random(n), 0.1, 0.2)
        return {int(row) for row, lane in zip(chosen.rows, chosen.lanes, strict=True) if lane == AUDIT}

    before, after = audit_of(1000), audit_of(1500)
    assert before == {row for row in after if row < 1000}


def test_what_is_decided_counts_against_the_budget_and_is_not_chosen_again() -> None:
    n = 400
    rng = np.random.default_rng(3)
    ids = [f"t{i}" for i in range(n)]
    numbers, budget = permanent_numbers(ids, "task"), Budget.of(n, 0.1, 0.2)
    ranking = merge([Lane("uncertain", rng.random(n), 1.0)], permanent_numbers(ids, "ties"))
    whole = choose(ranking, NAMES, numbers, budget, np.zeros(n, dtype=bool))
    decided = np.zeros(n, dtype=bool)
    decided[whole.rows[:15]] = True
    rest = choose(ranking, NAMES, numbers, budget, decided)
    assert sorted(rest.rows.tolist()) == sorted(whole.rows[15:].tolist())


@pytest.mark.parametrize(
    ("n", "doubt", "errors", "shares"),
    [
        (3000, (1, 6), (0.05, 0.4), (0.2, 0.6)),
        (3000, (2, 5), (0.1, 0.5), (0.05, 0.4)),
        (10_000, (1, 6), (0.05, 0.4), (0.05, 0.4)),
    ],
)
def test_horvitz_thompson_intervals_from_the_whole_queue_cover_the_truth(
    n: int, doubt: tuple[float, float], errors: tuple[float, float], shares: tuple[float, float]
) -> None:
    """1,000 draws; errors are likelier where uncertainty is high, so that a naive mean would be far off."""
    rng = np.random.default_rng(4)
    runs = 1000
    uncertain = rng.beta(*doubt, n)
    wrong = (rng.random(n) < errors[0] + errors[1] * uncertain).astype(float)
    ranking = merge(
        [Lane("uncertain", uncertain, 2.0), Lane("conflict", rng.random(n) * (rng.random(n) < 0.1), 1.0)],
        rng.random(n),
    )
    budget = Budget.of(n, *shares)
    nobody_decided = np.zeros(n, dtype=bool)
    covered, naive = 0, []
    for _ in range(runs):
        chosen = choose(ranking, NAMES, rng.random(n), budget, nobody_decided)
        residual = wrong[chosen.rows] - uncertain[chosen.rows]
        weight = 1 / chosen.probability
        estimate = (uncertain.sum() + (residual * weight).sum()) / n
        spread = 1.96 * np.sqrt(((1 - chosen.probability) * (residual * weight) ** 2).sum()) / n
        covered += abs(estimate - wrong.mean()) <= spread
        naive.append(wrong[chosen.rows].mean())
    assert 0.94 <= covered / runs <= 0.96
    assert np.mean(naive) > wrong.mean() + 0.02


@pytest.mark.parametrize("adaptive", [False, True])
def test_horvitz_thompson_stays_unbiased_when_the_queue_is_made_anew_between_reviews(adaptive: bool) -> None:
    """A half of the queue is decided, then it is made anew; `adaptive`: a lane ranks by what was decided."""
    rng = np.random.default_rng(5)
    n, runs = 1500, 1000
    uncertain, kind, ties = rng.beta(1, 6, n), rng.integers(0, 30, n), rng.random(n)
    wrong = (rng.random(n) < 0.05 + 0.4 * uncertain).astype(float)
    budget = Budget.of(n, 0.3, 0.6)
    covered, errors = 0, []
    for _ in range(runs):
        numbers, decided, probability = rng.random(n), np.zeros(n, dtype=bool), np.ones(n)
        for part in (2, 1):
            seen = np.bincount(kind[decided], minlength=30)[kind]
            rare = 1 / (1 + seen) if adaptive else kind / 30
            ranking = merge([Lane("uncertain", uncertain, 2.0), Lane("rare", rare, 1.0)], ties)
            chosen = choose(ranking, ["uncertain", "rare"], numbers, budget, decided)
            now = slice(len(chosen.rows) // part)
            probability[chosen.rows[now]] = chosen.probability[now]
            decided[chosen.rows[now]] = True
        residual = (wrong - uncertain)[decided] / probability[decided]
        errors.append((uncertain.sum() + residual.sum()) / n - wrong.mean())
        spread = 1.96 * np.sqrt(((1 - probability[decided]) * residual**2).sum()) / n
        covered += abs(errors[-1]) <= spread
    assert 0.94 <= covered / runs <= 0.96
    assert abs(np.mean(errors)) < 0.5 * np.std(errors)
