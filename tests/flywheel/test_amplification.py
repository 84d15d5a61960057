"""Bias over cycles: gaps that grow are found, steady and random ones raise no alarm beyond the rate; who persists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.flywheel.amplification import FEWEST_AUDITED, LEVEL, Labelled, amplification, persistence

CYCLES = [f"2026-{month:02}" for month in range(1, 7)]


def made(seed: int, growth: float, n: int = 300, audits: float = 0.5, bias: float = 0.0) -> Labelled:
    """Two categories; in `chat` the labeler says good more often than is so, more in every cycle."""
    rng = np.random.default_rng(seed)
    categories, cycles, predicted, audited = [], [], [], []
    for category in ("chat", "code"):
        for number, cycle in enumerate(CYCLES):
            good = rng.random(n) < 0.6
            flip = rng.random(n) < bias + (growth * number if category == "chat" else 0)
            categories += [category] * n
            cycles += [cycle] * n
            predicted += np.where(good | flip, "good", "bad").tolist()
            seen = rng.random(n) < audits
            audited += [
                ("good" if own else "bad") if looked else None for own, looked in zip(good, seen, strict=True)
            ]
    return Labelled(categories, cycles, predicted, audited)


def test_a_gap_that_grows_is_found_where_it_is() -> None:
    found = amplification(made(0, growth=0.08), ["good", "bad"])
    (growing,) = found.growing
    assert (growing.category, growing.label) == ("chat", "good")
    assert growing.slope.estimate == pytest.approx(0.08 * 0.4, abs=0.02)
    assert growing.slope.low > 0


def test_a_gap_that_stays_is_shown_and_no_alarm() -> None:
    found = amplification(made(1, growth=0, bias=0.3), ["good", "bad"])
    assert found.growing == ()
    assert all(cell.gap.low > 0 for cell in found.cells)


def test_without_a_gap_alarms_are_no_more_than_the_rate() -> None:
    alarms = sum(bool(amplification(made(seed, growth=0), ["good", "bad"]).growing) for seed in range(40))
    assert alarms <= 40 * LEVEL * 3


def test_rates_are_those_of_all_and_of_the_audited() -> None:
    labelled = Labelled(
        ["a"] * 40, ["c"] * 40, ["good"] * 30 + ["bad"] * 10, ["good"] * 10 + ["bad"] * 10 + [None] * 20
    )
    (cell,) = amplification(labelled, ["good", "bad"]).cells
    assert (cell.traces, cell.n, cell.predicted, cell.audited) == (40, 20, 0.75, 0.5)
    assert cell.gap.estimate == pytest.approx(0.5)


def test_cells_of_few_audits_are_left_out() -> None:
    few = FEWEST_AUDITED - 1
    labelled = Labelled(["a"] * few, ["c"] * few, ["good"] * few, ["good"] * few)
    assert amplification(labelled, ["good", "bad"]).cells == ()


def test_three_labels_are_watched_each() -> None:
    labelled = Labelled(["a"] * 30, ["c"] * 30, ["x", "y", "z"] * 10, ["x", "y", "z"] * 10)
    assert {cell.label for cell in amplification(labelled, ["x", "y", "z"]).cells} == {"x", "y", "z"}


def test_who_asks_again_has_more_traces_than_users() -> None:
    users = ["a"] * 6 + ["b", "c", "d"]
    again = np.array([True] * 6 + [False] * 3)
    found = persistence(users, again, np.ones(9, dtype=bool), np.random.default_rng(0))
    assert found is not None
    assert (found.users, found.traces.estimate) == (0.25, pytest.approx(6 / 9))
    assert found.over == pytest.approx(6 / 9 / 0.25)
    assert persistence([], np.zeros(0, dtype=bool), np.zeros(0, dtype=bool), np.random.default_rng(0)) is None


def test_without_training_rows_only_traces_are_told() -> None:
    found = persistence(
        ["a", "b"], np.array([True, False]), np.zeros(2, dtype=bool), np.random.default_rng(0)
    )
    assert found is not None
    assert (found.training, found.over) == (None, None)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_shares_lie_within_their_intervals(rows: list[tuple[str, bool, bool]]) -> None:
    users, again, trained = zip(*rows, strict=True)
    found = persistence(users, np.array(again), np.array(trained), np.random.default_rng(0))
    assert found is not None
    for share in filter(None, (found.traces, found.training)):
        assert 0 <= share.low <= share.estimate <= share.high <= 1
