"""The proposed refresh takes what the set lacks, and beats a random one."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest

from promptlabel.flywheel.refresh import propose_refresh
from promptlabel.records import Trace

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def traces(prefix: str, **sizes: int) -> list[Trace]:
    return [
        Trace(f"{prefix}-{category}{i}", NOW, category=category)
        for category, size in sizes.items()
        for i in range(size)
    ]


CASES = traces("case", a=90, b=10)
RECENT = traces("recent", a=100, b=100, c=100)


def test_it_takes_what_is_missing() -> None:
    found = propose_refresh(CASES, RECENT, RECENT, 60, None, np.random.default_rng(0))
    assert len(set(found.trace_ids)) == 60
    wanted = {cell.category: cell.reviews for cell in found.wanted}
    assert wanted["c"] > wanted["b"] > wanted.get("a", 0)
    assert found.after < found.at_random < found.before


def test_within_a_cell_chance_decides_with_known_probability() -> None:
    found = propose_refresh(CASES, RECENT, RECENT, 60, None, np.random.default_rng(0))
    taken = Counter(name.split("-")[1][0] for name in found.trace_ids)
    for name, probability in zip(found.trace_ids, found.probability, strict=True):
        assert probability == pytest.approx(taken[name.split("-")[1][0]] / 100)


def test_enough_reviews_close_the_distance() -> None:
    found = propose_refresh(CASES, RECENT, RECENT, 170, None, np.random.default_rng(0))
    assert found.after == pytest.approx(0, abs=1e-4)


def test_nothing_to_review_proposes_nothing() -> None:
    found = propose_refresh(CASES, RECENT, [], 10, None, np.random.default_rng(0))
    assert (found.trace_ids, found.wanted, found.before) == ((), (), found.after)
