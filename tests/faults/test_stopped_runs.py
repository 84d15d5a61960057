"""Runs that are stopped by the server, by a signal, or by another run: the short form of scripts/soak."""

from __future__ import annotations

import signal

import pytest
from faults import scenarios
from faults.scenarios import assert_sound


@pytest.mark.parametrize(("fault", "after"), [("401", 0), ("403", 25), ("quota", 0), ("429_3600", 25)])
def test_what_no_question_can_escape_ends_the_run_at_once(fault, after, tmp_path):
    assert_sound(scenarios.permanent(tmp_path, fault, after))


def test_a_bad_request_is_not_sent_again(tmp_path):
    assert_sound(scenarios.bad_request(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_polite_signal_repeats_nothing(number, tmp_path):
    assert_sound(scenarios.drained(tmp_path, number))


def test_a_second_runner_is_refused_while_the_first_works_or_is_frozen(tmp_path):
    assert_sound(scenarios.two_runners(tmp_path))


def test_a_runner_frozen_past_its_deadlines_goes_on(tmp_path):
    assert_sound(scenarios.frozen_past_its_deadline(tmp_path))
