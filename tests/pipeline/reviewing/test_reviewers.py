"""Simulated reviewers whose habits are known, and what `reviewers` says of them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from promptlabel.flywheel.people import ReviewerRow
from promptlabel.pipeline.reviewing.review import ReviewDesk
from promptlabel.pipeline.reviewing.reviewers import reviewers
from promptlabel.pipeline.reviewing.task_desk import Submission
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Gold, Pick, Trace
from promptlabel.review.adjudication import decide
from promptlabel.review.queue import Holder
from promptlabel.rules.loading import Task
from promptlabel.rules.spec import TaskSpec
from promptlabel.settings import Project, Review, Settings
from promptlabel.store.contract import PosteriorTable
from promptlabel.store.opening import open_store

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TASK = Task(TaskSpec(task="quality", labels={"good": "", "bad": ""}), (), ())
KNOWN = 80
QUEUED = 80


@contextmanager
def opened(root: Path) -> Iterator[Workspace]:
    project = Project(root, Settings())
    names = tuple(f"t{number:04}" for number in range(KNOWN + QUEUED))
    with open_store(project) as store:
        store.add_traces([Trace(name, NOON, input="question") for name in names])
        store.add_gold([Gold(name, "quality", truth(name), "expert", NOON) for name in names[:KNOWN]])
        store.save_queue(
            "quality", [Pick(name, "quality", "audit", 0.5, 0.1, "why") for name in names[KNOWN:]]
        )
        probs = np.array([[0.9, 0.1] if truth(name) == "good" else [0.1, 0.9] for name in names])
        store.save_posteriors(PosteriorTable("quality", ("good", "bad"), names, probs, NOON, "em", {}))
        yield Workspace(project, store, (TASK,))


def truth(trace_id: str) -> str:
    return "good" if int(trace_id[1:]) % 3 else "bad"


def simulate(workspace: Workspace, reviewer: str, *, errs: float, follows: float, seconds: float) -> None:
    """A reviewer goes through the queue, errs so often, and changes to what the rules say so often."""
    rng = random.Random(reviewer)
    review = Review(reviewers=3, probes=0.5, suggestions=0.4)
    desk = ReviewDesk(workspace.store, [TASK], lambda: NOON, review=review, chance=rng.random)
    while traces := desk.next_items("quality", Holder(reviewer), 4):
        for trace in traces:
            name = trace.trace_id
            said = truth(name) if rng.random() >= errs else {"good": "bad", "bad": "good"}[truth(name)]
            desk.submit("quality", reviewer, Submission(f"{reviewer} {name}", "label", name, said, seconds))
            revealed = desk.reveal("quality", reviewer, name)
            assert revealed is not None
            assert revealed.posterior is not None
            top = max(revealed.posterior, key=revealed.posterior.__getitem__)
            if top != said and rng.random() < follows:
                desk.submit("quality", reviewer, Submission(f"{reviewer} {name} c", "change", name, top))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """One careful reviewer, one who follows suggestions, and one who does not read."""
    with opened(tmp_path_factory.mktemp("reviewed")) as workspace:
        review_all(workspace)
        yield workspace


def review_all(workspace: Workspace) -> None:
    simulate(workspace, "careful", errs=0.05, follows=0.0, seconds=12.0)
    simulate(workspace, "stamper", errs=0.05, follows=0.9, seconds=8.0)
    simulate(workspace, "hasty", errs=0.4, follows=0.0, seconds=0.8)


@pytest.fixture
def found(workspace: Workspace) -> dict[str, ReviewerRow]:
    return {row.reviewer: row for row in reviewers(workspace, TASK).reviewers}


def test_each_habit_shows_in_its_figure_and_is_warned_of(
    workspace: Workspace, found: dict[str, ReviewerRow]
) -> None:
    careful, stamper, hasty = found["careful"], found["stamper"], found["hasty"]
    for row, rate in ((careful, 0.95), (stamper, 0.95), (hasty, 0.6)):
        assert row.counts.probes > 25
        assert row.accuracy is not None
        assert abs(row.accuracy.estimate - rate) < 0.2
    assert careful.over_reliance is not None
    assert careful.over_reliance.low < 0
    assert stamper.over_reliance is not None
    assert stamper.over_reliance.low > 0.5
    assert hasty.fast_share == 1.0
    warnings = reviewers(workspace, TASK).warnings
    assert not [one for one in warnings if one.startswith("careful")]
    assert [one for one in warnings if one.startswith("stamper: followed")]
    assert [one for one in warnings if one.startswith("hasty") and "less than 2 s" in one]
    assert [one for one in warnings if one.startswith("hasty: right on")]


def test_agreement_is_told_over_all_by_label_and_by_pair(workspace: Workspace) -> None:
    report = reviewers(workspace, TASK)
    assert report.agreement.items == QUEUED
    assert set(report.by_label) == {"good", "bad"}
    raw = {(pair.first, pair.second): pair.agreement.raw.estimate for pair in report.pairs}
    assert raw["careful", "stamper"] > 0.85 > 0.75 > raw["careful", "hasty"]


def test_nothing_of_the_tests_is_gold(workspace: Workspace) -> None:
    store = workspace.store
    decided = {one.trace_id: one for one in decide(store.reviews("quality"), store.gold("quality"))}
    for number in range(KNOWN):
        one = decided[f"t{number:04}"]
        assert (one.reviewers, one.label) == (("expert",), truth(one.trace_id))


def test_without_reviews_nothing_is_claimed(tmp_path: Path) -> None:
    with opened(tmp_path) as workspace:
        report = reviewers(workspace, TASK)
    assert (report.reviewers, report.warnings, report.conflicts) == ((), (), 0)
    assert math.isnan(report.agreement.raw.estimate)
