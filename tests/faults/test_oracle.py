"""The judge of the fault runs finds what it is there to find."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from faults.oracle import early, judge, kills, paid_twice, unbooked
from faults.project import Booked, CastVote
from faults.server import Request


def asked(key="a", bearer="run-1", at=0.0, **fields):
    sound = {"fault": None, "replied": at + 0.1, "until": None, "answer": "kind"}
    return Request(
        key, bearer, fields.pop("connection", 1), at, **{**sound, **fields}, input_tokens=1, output_tokens=1
    )


def refused(at, until, **fields):
    return asked(at=at, fault="429_retry_after", until=until, answer=None, **fields)


def run(bearer="run-1", killed=None):
    return SimpleNamespace(bearer=bearer, killed=killed)


VOTE = CastVote("a", "vote", "kind", None)
BOOKED = Booked("a", "ok", 0.1, 0.0)


@pytest.mark.parametrize(
    ("votes", "attempts", "violation"),
    [
        ([VOTE], [BOOKED], None),
        ([], [], "lost"),
        ([VOTE, VOTE], [BOOKED], "duplicated"),
        ([VOTE._replace(label="rude")], [BOOKED], "guessed"),
        ([VOTE], [Booked("a", "ok", 0.1, 0.0)._replace(key="b")], None),
    ],
)
def test_each_wrong_outcome_is_counted(votes, attempts, violation):
    found = judge([asked()], votes, attempts, [run()], {"a"}).violations
    assert [name for name, count in found.items() if count] == ([violation] if violation else [])


def test_repeats_are_those_of_sound_answers_that_a_later_run_asks_for_again():
    log = [
        asked("a", at=0.0),
        asked("b", at=5.0, connection=1),
        asked("c", at=5.1, connection=2, replied=None),
        asked("d", at=5.1, connection=3, fault="500", answer=None),
        *(asked(key, "run-2", at=9.0) for key in "abcd"),
    ]
    (kill,) = kills(log, {"run-1": 5.2})
    assert (kill.in_flight, kill.repeats, kill.read, kill.excess) == (2, 3, 1, 1)
    (kill,) = kills([*log[:-4], asked("b", "run-2", at=9.0)], {"run-1": 5.2})
    assert (kill.repeats, kill.excess) == (1, 0)


def test_an_answer_sent_long_before_the_kill_was_read():
    (kill,) = kills([asked("a", at=0.0), asked("a", "run-2", at=9.0)], {"run-1": 5.0})
    assert (kill.in_flight, kill.repeats, kill.excess) == (0, 1, 1)


@pytest.mark.parametrize(
    ("second", "killed", "times"),
    [("run-1", {}, 1), ("run-2", {}, 1), ("run-2", {"run-1": 1.0}, 0)],
)
def test_an_answer_is_paid_twice_unless_a_kill_came_between(second, killed, times):
    assert paid_twice([asked(at=0.0), asked(bearer=second, at=2.0)], killed) == times


@pytest.mark.parametrize(
    ("key", "at", "bearer", "times"),
    [
        ("a", 0.2, "run-1", 1),
        ("a", 5.1, "run-1", 0),
        ("b", 0.5, "run-1", 0),
        ("b", 2.0, "run-1", 1),
        ("b", 2.0, "run-2", 0),
    ],
)
def test_whoever_comes_before_the_time_that_was_told_is_early(key, at, bearer, times):
    assert early([refused(0.0, 5.0), asked(key, bearer, at=at)]) == times


def test_a_request_that_the_ledger_lacks_is_unbooked_unless_it_was_open_at_a_kill():
    log = [asked(at=0.0), asked(at=1.0)]
    assert unbooked(log, [BOOKED, BOOKED], {}) == 0
    assert unbooked(log, [BOOKED], {}) == 1
    assert unbooked([log[0], replace(log[1], replied=None)], [BOOKED], {"run-1": 1.1}) == 0
