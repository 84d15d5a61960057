import pytest

from promptlabel.pipeline.voting.progress import Progress, Traffic
from promptlabel.records import Vote


def vote(status="vote", cause=None, request="r"):
    return Vote("k", "t", "task", "rule", "model", status, request=request, cause=cause)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_snapshot_tells_votes_rate_and_time_left(clock):
    progress = Progress(clock)
    progress.begin(1000, 1000)
    for second in range(1, 21):
        clock.now = 100.0 + second
        for _ in range(1 if second <= 10 else 9):
            progress.cast(vote())
        now = progress.snapshot()
    assert (now.votes, now.total, now.seconds) == (100, 1000, 20.0)
    assert now.rate == pytest.approx(9.0)
    assert now.seconds_left == pytest.approx(100.0)


def test_money_is_projected_by_what_a_model_was_asked_for_not_by_code(clock):
    progress = Progress(clock)
    progress.begin(1100, 100)
    for _ in range(1000):
        progress.cast(vote(request=None))
    progress.watch(lambda: Traffic(in_flight=7, calls=12, usd=0.5, causes={"ok": 10, "rate_limit": 2}))
    for _ in range(10):
        progress.cast(vote())
    now = progress.snapshot()
    assert now.projected_usd == pytest.approx(5.0)
    assert (now.in_flight, now.calls, now.usd, now.errors) == (7, 12, 0.5, {"rate_limit": 2})


def test_votes_that_could_not_be_had_are_counted_by_cause(clock):
    progress = Progress(clock)
    for dead in (
        vote("malformed", "not_json"),
        vote("error", "refusal"),
        vote("error", "refusal"),
        vote("abstain"),
    ):
        progress.cast(dead)
    assert progress.snapshot().dead_letters == {"not_json": 1, "refusal": 2}


def test_before_the_first_vote_nothing_is_known(clock):
    progress = Progress(clock)
    progress.begin(10, 10)
    now = progress.snapshot()
    assert (now.rate, now.seconds_left, now.projected_usd) == (0.0, None, 0.0)


def test_a_run_with_nothing_to_do_has_no_time_left(clock):
    assert Progress(clock).snapshot().seconds_left == 0.0
