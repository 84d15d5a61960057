"""Disk, budget, server, traces and threads that fail, each on real runs: the short form of scripts/soak."""

from __future__ import annotations

import os

import pytest
from faults import scenarios
from faults.scenarios import assert_sound

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@ROOT_ONLY
def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path):
    assert_sound(scenarios.disk_full(tmp_path / "disk"))


@pytest.mark.parametrize("kills", [0, 2])
def test_the_budget_is_never_passed(kills, tmp_path):
    assert_sound(scenarios.budget(tmp_path, kills=kills))


def test_the_budget_of_calls_is_used_to_the_last_one(tmp_path):
    assert_sound(scenarios.budget_of_calls(tmp_path))


def test_a_dead_endpoint_is_probed_and_soon_used_again(tmp_path):
    assert_sound(scenarios.dead_then_back(tmp_path, seconds=3.0))


def test_poison_costs_its_own_votes_only(tmp_path):
    assert_sound(scenarios.poison(tmp_path))


def test_the_death_of_the_writing_thread_ends_the_run(tmp_path):
    assert_sound(scenarios.writer_dies(tmp_path))


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_run_that_dies_around_a_write_goes_on_where_it_was(share, tmp_path):
    points = scenarios.crash_points(tmp_path / "count")
    assert points > 20
    for attempt in range(5):  # a busy machine writes less often, and passes fewer points
        trial = scenarios.crashed(tmp_path / f"crash-{attempt}", max(1, int(points * share * 0.75**attempt)))
        if trial.injected:
            break
    assert_sound(trial)
