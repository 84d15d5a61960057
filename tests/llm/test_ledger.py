import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.llm.ledger import Account

shares = st.floats(0, 1)
dollars = st.floats(0, 2)


async def reserve(account, bound):
    while (reservation := account.try_reserve(bound)) is None:
        if not await account.settlement():
            return None
    return reservation


calls = st.lists(st.tuples(dollars, shares, st.integers(0, 3)), min_size=1, max_size=40)


@given(limit=st.floats(0, 5), spent=dollars, asked=calls)
def test_spend_never_passes_the_cap_whatever_the_interleaving(limit, spent, asked):
    account = Account(limit_usd=limit, spent_usd=min(spent, limit))
    most = 0.0

    async def call(bound, share, turns):
        nonlocal most
        reservation = await reserve(account, bound)
        if reservation is None:
            return
        for _ in range(turns):
            await asyncio.sleep(0)
        account.settle(reservation, bound * share)
        most = max(most, account.spent_usd)

    async def everything():
        await asyncio.wait_for(asyncio.gather(*(call(*one) for one in asked)), 5)

    asyncio.run(everything())
    assert most <= limit + 1e-9


@given(limit=st.integers(0, 10), turns=st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_calls_never_pass_the_cap_and_reach_it(limit, turns):
    account = Account(limit_calls=limit)

    async def call(number):
        reservation = await reserve(account, 0.0)
        if reservation is not None:
            for _ in range(number):
                await asyncio.sleep(0)
            account.settle(reservation, 0.0)

    async def everything():
        await asyncio.gather(*map(call, turns))

    asyncio.run(everything())
    assert account.spent_calls == min(limit, len(turns))


@given(st.lists(st.tuples(dollars, shares), max_size=30))
def test_what_is_settled_adds_up_and_nothing_stays_reserved(asked):
    account = Account(limit_usd=1e9)
    held = [(account.try_reserve(bound), bound * share) for bound, share in asked]
    for reservation, usd in held:
        account.settle(reservation, usd)
    assert account.spent_usd == pytest.approx(sum(usd for _, usd in held))
    assert account.try_reserve(1e9 - account.spent_usd) is not None


def test_a_reservation_waits_for_money_that_may_come_back(fly):
    account = Account(limit_usd=1.0)

    async def wait():
        first = account.try_reserve(0.9)
        assert account.try_reserve(0.5) is None
        waiting = asyncio.create_task(reserve(account, 0.5))
        await asyncio.sleep(1)
        assert not waiting.done()
        account.settle(first, 0.1)
        return await waiting

    assert fly(wait()) is not None


def test_a_reservation_that_cannot_fit_is_refused_at_once(fly):
    assert fly(reserve(Account(limit_usd=1.0), 1.1)) is None


def test_a_cancelled_reservation_costs_no_call():
    account = Account(limit_usd=1.0, limit_calls=1)
    account.cancel(account.try_reserve(1.0))
    assert (account.spent_usd, account.spent_calls) == (0.0, 0)
    assert account.try_reserve(1.0) is not None


def test_later_bounds_grow_when_a_server_reports_more_than_its_bound():
    account = Account(limit_usd=10.0)
    account.settle(account.try_reserve(1.0), 2.0)
    assert account.try_reserve(1.0).usd == pytest.approx(2.0)


def test_a_cancelled_wait_harms_nobody(fly):
    account = Account(limit_calls=1)

    async def wait():
        first = account.try_reserve(0.0)
        waiting = [asyncio.create_task(reserve(account, 0.0)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        account.cancel(first)
        return await waiting[1]

    assert fly(wait()) is not None


@given(limit=st.floats(0.1, 5), asked=st.lists(st.tuples(dollars, shares), min_size=1, max_size=40))
def test_what_is_in_flight_was_written_down_before_and_never_passes_what_is_left(limit, asked):
    told = []
    account = Account(limit_usd=limit, limit_calls=30, remember=told.append)
    open_ones = []
    for bound, share in asked:
        reservation = account.try_reserve(bound)
        if reservation is not None:
            open_ones.append((reservation, bound * share))
            assert told[-1].usd >= sum(one.usd for one, _ in open_ones) - 1e-9
            assert told[-1].calls >= len(open_ones)
        elif open_ones:
            account.settle(*open_ones.pop())
    assert all(most.usd <= limit + 1e-9 and most.calls <= 30 for most in told)
    assert len(told) <= 60


def test_a_steady_load_is_written_down_a_few_times_only():
    told = []
    account = Account(limit_usd=1e9, remember=told.append)
    for _ in range(1000):
        reservations = [account.try_reserve(1.0) for _ in range(64)]
        for reservation in reservations:
            account.settle(reservation, 0.5)
    assert len(told) <= 12
    assert told[-1].calls < 2 * 64
