"""Feedback figures: the audited interval holds the truth whatever decides who speaks; the naive one does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.flywheel.feedback import Feedback, audited_share, feedback_figures


def made(seed: int, n: int = 6_000, audits: int = 60, by_outcome: bool = True) -> tuple[Feedback, float]:
    rng = np.random.default_rng(seed)
    good = rng.random(n) < 0.7
    speaks = rng.random(n) < (np.where(good, 0.2, 0.06) if by_outcome else 0.2)
    rows = rng.choice(n, audits, replace=False)
    said = np.where(speaks, good, -1).astype(np.int8)
    return Feedback(said, [{"category": "chat"}] * n, rows, good[rows]), float(good.mean())


def test_the_audited_interval_holds_the_truth_as_often_as_it_says() -> None:
    holds = []
    for seed in range(400):
        feedback, truth = made(seed)
        found = audited_share(feedback)
        assert found is not None
        holds.append(truth in found)
    assert np.mean(holds) >= 0.93


def test_feedback_alone_is_far_off_and_weights_from_context_do_not_help() -> None:
    feedback, truth = made(1, audits=600)
    figures = feedback_figures(feedback)
    assert figures.naive is not None
    assert figures.honest is not None
    assert figures.naive.estimate == pytest.approx(0.886, abs=0.03)
    assert figures.weighted == pytest.approx(figures.naive.estimate, abs=0.01)
    assert truth not in figures.naive
    assert truth in figures.honest
    assert figures.explained is False
    assert "only the audited figure is honest" in str(figures.warning)


def test_where_chance_decides_who_speaks_feedback_may_be_believed() -> None:
    figures = feedback_figures(made(2, n=20_000, audits=4_000, by_outcome=False)[0])
    assert figures.explained is True
    assert figures.warning is None


def test_without_audit_or_feedback_nothing_is_claimed() -> None:
    feedback, _ = made(3, audits=0)
    figures = feedback_figures(feedback)
    assert (figures.honest, figures.explained) == (None, None)
    silent = Feedback(np.full(50, -1, dtype=np.int8), [{}] * 50, np.arange(5), np.ones(5, dtype=bool))
    figures = feedback_figures(silent)
    assert (figures.naive, figures.weighted, figures.ess) == (None, None, 0)
    assert figures.honest is not None
    assert figures.record()["told"] == 0


@given(st.integers(0, 10_000), st.integers(0, 200))
def test_the_interval_lies_around_its_estimate_within_0_and_1(seed: int, audits: int) -> None:
    found = audited_share(made(seed, n=300, audits=audits)[0])
    assert (found is None) == (audits == 0)
    assert found is None or 0 <= found.low <= found.estimate <= found.high <= 1


def test_an_audit_of_all_is_exact() -> None:
    feedback, truth = made(4, n=300, audits=300)
    found = audited_share(feedback)
    assert found is not None
    assert (found.low, found.estimate, found.high) == pytest.approx((truth,) * 3)
