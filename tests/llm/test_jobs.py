import asyncio
from datetime import UTC, datetime

import pytest

from promptlabel.llm.jobs import Chance, Feed, Limits, SendReport
from promptlabel.records import Attempt, Usage
from promptlabel.settings import ModelSettings


def test_limits_come_from_the_settings():
    limits = Limits.of(ModelSettings(model="x", concurrency=7, attempts=2, timeout=9, requests_per_minute=3))
    assert (limits.concurrency, limits.attempts, limits.deadline, limits.requests_per_minute) == (
        7,
        2,
        9.0,
        3,
    )


def test_a_report_sums_attempts():
    report = SendReport()
    for cause, usd in (("ok", 0.25), ("timeout", 0.5)):
        report.count(Attempt("r", "t", "rule", "m", datetime.now(UTC), 1.0, cause, Usage(10, 2), usd))
    assert (report.calls, report.usd, report.input_tokens, report.output_tokens) == (2, 0.75, 20, 4)
    assert report.causes == {"ok": 1, "timeout": 1}


@pytest.mark.parametrize("later", [False, True])
def test_a_feed_ends_once_and_for_all(later, make_jobs):
    async def slowly():
        for job in make_jobs(3):
            await asyncio.sleep(0)
            yield [job]

    async def drain():
        feed = Feed(slowly() if later else make_jobs(3))
        taken = await asyncio.gather(*(feed.next() for _ in range(6)))
        return [job.item for job in taken if job], feed.exhausted, await feed.next()

    assert asyncio.run(drain()) == ([0, 1, 2], True, None)


def test_chance_is_the_real_thing_by_default():
    chance = Chance()
    assert chance.now().tzinfo is UTC
    assert 0 <= chance.random() < 1
    assert chance.clock() <= chance.clock()
