import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.errors import ModelError
from promptlabel.llm.gate import OwnGate, Pace


def gate(ceiling, **rates):
    return OwnGate(ceiling, asyncio.get_running_loop().time, asyncio.sleep, **rates)


async def opened(ceiling):
    open_gate = gate(ceiling)
    open_gate.leave(await open_gate.enter())
    return open_gate


def error(cause, retry_after=None):
    return ModelError(cause, cause=cause, retry_after=retry_after)


def test_one_request_opens_the_gate_for_all(fly):
    async def play():
        new = gate(8)
        first = await new.enter()
        assert (first.probe, new.window) == (True, 1)
        others = [asyncio.create_task(new.enter()) for _ in range(20)]
        await asyncio.sleep(1)
        assert new.in_flight == 1
        new.leave(first)
        await asyncio.sleep(1)
        for task in others:
            task.cancel()
        return new.in_flight

    assert fly(play()) == 8


def test_a_first_question_that_is_refused_does_not_open_the_gate(fly):
    async def play():
        new = gate(8)
        new.leave(await new.enter(), error("bad_request"))
        return new.window

    assert fly(play()) == 1


@pytest.mark.parametrize("cause", ["server_error", "rate_limit", "timeout"])
def test_a_failed_probe_waits_longer_each_time(cause, fly):
    async def play():
        new = gate(8)
        times = []
        for _ in range(4):
            admitted = await new.enter()
            times.append(asyncio.get_running_loop().time())
            new.leave(admitted, error(cause))
        return times

    assert fly(play()) == [0, 1, 3, 7]


def test_each_429_takes_a_place_away_and_successes_give_it_back(fly):
    async def play():
        new = await opened(10)
        passes = [await new.enter() for _ in range(5)]
        for admitted in passes:
            new.leave(admitted, error("rate_limit"))
        shrunk = new.window
        for _ in range(5 * 8):
            new.leave(await new.enter())
        return shrunk, new.window

    assert fly(play()) == (5, 10)


def test_one_place_always_stays(fly):
    async def play():
        new = await opened(2)
        for _ in range(5):
            new.leave(await new.enter(), error("rate_limit"))
        return new.window

    assert fly(play()) == 1


def test_the_longest_of_several_told_waits_holds(fly):
    async def play():
        new = await opened(4)
        passes = [await new.enter() for _ in range(3)]
        for admitted, wait in zip(passes, (5.0, 20.0, 1.0), strict=True):
            new.leave(admitted, error("rate_limit", wait))
        await new.enter()
        return asyncio.get_running_loop().time()

    assert fly(play()) == 20.0


def test_a_row_of_failures_opens_the_circuit_and_a_success_breaks_the_row(fly):
    async def play(failures):
        new = await opened(4)
        for failed in failures:
            new.leave(await new.enter(), error("server_error") if failed else None)
        return new.window

    assert fly(play([True] * 9 + [False] + [True] * 9)) == 4
    assert fly(play([True] * 10)) == 1


def test_an_old_success_does_not_end_a_hold(fly):
    async def play():
        new = await opened(4)
        old, limited = await new.enter(), await new.enter()
        new.leave(limited, error("rate_limit", 10.0))
        new.leave(old)
        return new.window

    assert fly(play()) == 1


def test_a_cancelled_wait_leaves_no_trace(fly):
    async def play():
        new = await opened(1)
        admitted = await new.enter()
        waiting = asyncio.create_task(new.enter())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        new.leave(admitted)
        return await asyncio.wait_for(new.enter(), 1), new.in_flight

    assert fly(play())[1] == 1


def test_a_request_held_back_by_its_rate_heeds_a_hold_that_came_meanwhile(fly):
    async def play():
        new = gate(4, requests_per_minute=6)
        first = await new.enter()
        new.leave(first)
        second = await new.enter()
        waiting = asyncio.create_task(new.enter())
        await asyncio.sleep(1)
        new.leave(second, error("rate_limit", 100.0))
        await waiting
        return asyncio.get_running_loop().time()

    assert fly(play()) >= 110.0


@given(per_minute=st.integers(1, 1000), arrivals=st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_no_minute_holds_more_than_the_rate(per_minute, arrivals):
    now, starts = 0.0, []
    pace = Pace(per_minute, lambda: now)
    for gap in arrivals:
        now += gap
        starts.append(now + pace.take(1))
    for index, start in enumerate(starts):
        assert sum(start <= other < start + 60 - 1e-6 for other in starts[index:]) <= per_minute


def test_requests_that_ran_out_of_time_narrow_the_gate_once_for_all_that_were_open_together(fly):
    async def play():
        wide = await opened(10)
        together = [await wide.enter() for _ in range(9)]
        for admitted in together:
            wide.leave(admitted, error("timeout"))
        return wide.window

    assert fly(play()) == 7


def test_answers_that_take_half_of_their_deadline_take_places_away_and_give_none_back(fly):
    async def play():
        wide = gate(10, slow=5.0)
        wide.leave(await wide.enter())
        for seconds in (6.0, 6.0):
            wide.leave(await wide.enter(), None, seconds)
        narrowed = wide.window
        for _ in range(8):
            wide.leave(await wide.enter(), None, 1.0)
        return narrowed, wide.window

    assert fly(play()) == (8, 9)


def test_a_pause_that_the_provider_asks_for_holds_without_a_probe(fly):
    async def play():
        wide = await opened(4)
        wide.pause(3.0)
        await asyncio.gather(*(wide.enter() for _ in range(4)))
        return asyncio.get_running_loop().time(), wide.in_flight

    assert fly(play()) == (3.0, 4)
