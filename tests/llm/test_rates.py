"""Senders that share one model's rates: never more than configured, and next to all of it, however unequal they are."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.errors import ModelError
from promptlabel.llm.jobs import Chance, Limits
from promptlabel.llm.rates import PACED_AT, Ended, Rates, Report, Share, fair_share
from promptlabel.llm.shared_gate import SharedGate
from promptlabel.llm.window import Pass

DELAY = 0.004
"""Seconds that a message takes to or from where the rates are divided."""


@given(places=st.integers(0, 200), wants=st.lists(st.integers(0, 100), min_size=1, max_size=8))
def test_shares_are_even_but_for_who_wants_less_and_leave_nothing(places: int, wants: list[int]) -> None:
    shares = [
        fair_share(places, wanted, wants[:index] + wants[index + 1 :]) for index, wanted in enumerate(wants)
    ]
    assert all(share <= wanted for share, wanted in zip(shares, wants, strict=True))
    assert sum(shares) >= min(places, sum(wants))
    limited = [share for share, wanted in zip(shares, wants, strict=True) if share < wanted]
    assert all(share == max(shares) for share in limited)
    assert not limited or (max(shares) - 1) * len(limited) + sum(
        share for share, wanted in zip(shares, wants, strict=True) if share == wanted and share < max(shares)
    ) <= places + len(wants)


class Senders:
    """Senders in one event loop, as many messages away from their rates as real ones, and the server they ask."""

    def __init__(self, limits: Limits, latency: float = 0.05, delay: float = DELAY) -> None:
        loop = asyncio.get_running_loop()
        self.clock = loop.time
        self.rates = Rates(limits, self.clock)
        self.limits = limits
        self.delay = delay
        self.latency = latency
        self.open = self.most = self.exchanges = 0
        self.arrived: list[float] = []
        self.tokens: list[int] = []
        self.busy = 0.0
        self.refuse: Callable[[], ModelError | None] = lambda: None

    async def exchange(self, name: str, report: Report) -> Share:
        self.exchanges += 1
        await asyncio.sleep(self.delay)
        share = self.rates.exchange(name, report)
        await asyncio.sleep(self.delay)
        return share

    async def asked(self) -> ModelError | None:
        self.open += 1
        self.most = max(self.most, self.open)
        self.arrived.append(self.clock())
        refusal = self.refuse()
        await asyncio.sleep(0.001 if refusal else self.latency)
        self.busy += 0.001 if refusal else self.latency
        self.open -= 1
        return refusal

    async def send(self, name: str, questions: int, tokens: Callable[[], int] = lambda: 1) -> None:
        gate = SharedGate(partial(self.exchange, name), self.limits, Chance(self.clock))
        left = iter(range(questions))

        async def work() -> None:
            for _ in left:
                amount = tokens()
                admitted = await gate.enter(amount)
                self.tokens.append(amount)
                started = self.clock()
                error = await self.asked()
                gate.leave(admitted, error, self.clock() - started)

        async with AsyncExitStack() as stack:
            await stack.enter_async_context(gate.kept())
            await asyncio.gather(*(work() for _ in range(self.limits.concurrency)))
        self.rates.leave(name)


Fly = Callable[[Awaitable[object]], object]


@pytest.mark.parametrize("questions", [(3000, 3000, 3000), (6000, 30, 30, 0), (20, 4000)])
def test_places_are_never_more_than_configured_and_next_to_all_in_use(
    fly: Fly, questions: tuple[int, ...]
) -> None:
    async def play() -> None:
        senders = Senders(Limits(concurrency=24))
        await asyncio.gather(*(senders.send(f"s{n}", some) for n, some in enumerate(questions)))
        took = max(senders.arrived) + senders.latency
        assert senders.most <= 24
        assert len(senders.arrived) == sum(questions)
        assert senders.busy / (24 * took) >= 0.9
        assert senders.exchanges < 60 * took * len(questions)

    fly(play())


def in_any_minute(times: list[float], amounts: list[int]) -> int:
    """The most that arrived in 60 seconds."""
    most, start, total = 0, 0, 0
    for time, amount in zip(times, amounts, strict=True):
        total += amount
        while time - times[start] >= 60:
            total -= amounts[start]
            start += 1
        most = max(most, total)
    return most


@pytest.mark.parametrize("rate", [60, 600, 6000])
@pytest.mark.parametrize("shares", [(1, 1, 1), (0.97, 0.01, 0.02)])
def test_requests_a_minute_are_never_more_than_configured_and_next_to_all_in_use(
    fly: Fly, rate: int, shares: tuple[float, ...]
) -> None:
    async def play() -> None:
        senders = Senders(Limits(concurrency=24, requests_per_minute=rate))
        total = 3 * rate
        some = [int(total * share / sum(shares)) for share in shares]
        await asyncio.gather(*(senders.send(f"s{n}", questions) for n, questions in enumerate(some)))
        most = in_any_minute(senders.arrived, [1] * len(senders.arrived))
        assert 0.9 * rate <= most <= rate
        assert sum(some) / (max(senders.arrived) / 60) >= 0.9 * rate

    fly(play())


@pytest.mark.parametrize("rate", [10_000, 200_000])
def test_tokens_a_minute_are_never_more_than_configured_and_next_to_all_in_use(fly: Fly, rate: int) -> None:
    async def play() -> None:
        chance = random.Random(3)
        senders = Senders(Limits(concurrency=16, tokens_per_minute=rate))
        questions = 3 * rate // 300
        tokens = partial(chance.choice, (100, 200, 400, 500))
        await asyncio.gather(
            *(
                senders.send(f"s{n}", int(share * questions), tokens)
                for n, share in enumerate((0.8, 0.1, 0.1))
            )
        )
        most = in_any_minute(senders.arrived, senders.tokens)
        assert most <= max(rate, PACED_AT * rate + 500), (
            "as with one sender, a minute may begin and end with a request"
        )
        assert sum(senders.tokens) / (max(senders.arrived) / 60) >= 0.9 * rate

    fly(play())


def test_a_wait_that_the_server_asks_of_one_holds_all(fly: Fly) -> None:
    async def play() -> None:
        senders = Senders(Limits(concurrency=12))
        told: list[float] = []

        def refuse() -> ModelError | None:
            if len(senders.arrived) == 500:
                told.append(senders.clock())
                return ModelError("slow down", cause="rate_limit", retry_after=3.0)
            return None

        senders.refuse = refuse
        await asyncio.gather(*(senders.send(f"s{n}", 1000) for n in range(4)))
        heard = told[0] + 0.1 + 4 * DELAY + 0.02
        between = [time for time in senders.arrived if heard < time < told[0] + 3.0]
        assert between == []
        first = [time for time in senders.arrived if told[0] + 3.0 <= time]
        assert first[1] - first[0] >= 0.99 * senders.latency, "one request tries the server out, alone"

    fly(play())


def test_places_shrink_for_all_together_as_they_would_for_one(fly: Fly) -> None:
    async def play() -> None:
        senders = Senders(Limits(concurrency=30))
        senders.refuse = lambda: (
            ModelError("too many", cause="rate_limit") if senders.open > 10 and senders.clock() > 1 else None
        )
        await asyncio.gather(*(senders.send(f"s{n}", 600) for n in range(3)))
        assert len(senders.arrived) == 1800

    fly(play())


def test_a_bad_key_costs_one_call(fly: Fly) -> None:
    async def play() -> None:
        senders = Senders(Limits(concurrency=12))
        senders.refuse = lambda: ModelError("no", cause="auth", permanent=True)
        sending = [asyncio.create_task(senders.send(f"s{n}", 1)) for n in range(3)]
        await asyncio.wait(sending, timeout=0.05)
        assert senders.most == 1
        for task in sending:
            task.cancel()

    fly(play())


def test_who_leaves_or_dies_leaves_its_places_to_the_others() -> None:
    now = 0.0
    rates = Rates(Limits(concurrency=10), lambda: now)
    probe = rates.exchange("a", Report(0, 10))
    assert (probe.places, probe.probing) == (1, True)
    assert rates.exchange("a", Report(0, 10, (Ended(Pass(0, probe=True)),))).places == 10
    assert rates.exchange("b", Report(0, 10)).places == 0
    assert rates.exchange("a", Report(7, 10)).places == 5
    assert rates.exchange("b", Report(0, 10)).places == 0, "ten may be open at a until it has said otherwise"
    assert rates.exchange("a", Report(6, 10)).places == 5
    assert rates.exchange("b", Report(0, 10)).places == 4
    rates.leave("a")
    assert rates.exchange("b", Report(4, 10)).places == 10


def test_a_share_that_nobody_renews_ends(fly: Fly) -> None:
    async def play() -> None:
        senders = Senders(Limits(concurrency=4))
        clock = senders.clock
        silent = False

        async def exchange(report: Report) -> Share:
            if silent:
                await asyncio.sleep(10_000)
            return await senders.exchange("a", report)

        gate = SharedGate(exchange, senders.limits, Chance(clock))
        async with gate.kept():
            gate.leave(await gate.enter())
            await asyncio.sleep(1)
            admitted = await gate.enter()
            await asyncio.sleep(1)
            silent = True
            gate.leave(admitted)
            gate.leave(await gate.enter())
            await asyncio.sleep(60)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(gate.enter(), 5)

    fly(play())


def test_a_refused_exchange_is_told_to_everybody_who_waits(fly: Fly) -> None:
    async def play() -> None:
        async def refuse(report: Report) -> Share:
            await asyncio.sleep(DELAY)
            raise PermissionError("replaced")

        gate = SharedGate(refuse, Limits(concurrency=4), Chance(asyncio.get_running_loop().time))
        async with gate.kept():
            found = await asyncio.gather(*(gate.enter() for _ in range(5)), return_exceptions=True)
        assert [str(one) for one in found] == ["replaced"] * 5

    fly(play())
