import asyncio
import gc

import pytest

from promptlabel.pipeline.voting.loop import run_on_loop


async def answer(value):
    await asyncio.sleep(0)
    return value, gc.get_threshold()


def test_returns_what_the_work_returns_and_collects_seldom_meanwhile():
    before = gc.get_threshold()
    value, during = run_on_loop(answer(7))
    assert value == 7
    assert during[0] > before[0]


def test_puts_the_collector_back_after_a_failure_too():
    async def fail():
        raise ValueError("no")

    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with pytest.raises(ValueError, match="no"):
        run_on_loop(fail())
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == frozen
