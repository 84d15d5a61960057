from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.llm.ledger import NOTHING, Account, InFlight, Reservation
from promptlabel.llm.treasury import GrantedAccount, Request, Treasury, Verdict


def a_treasury(usd: float | None = None, calls: int | None = None, spent: InFlight = NOTHING) -> Treasury:
    return Treasury(Account(usd, calls, spent_usd=spent.usd, spent_calls=spent.calls), [].append)


def test_grants_what_fits_and_says_whether_waiting_helps() -> None:
    treasury = a_treasury(calls=10, spent=InFlight(0.0, 2))
    assert treasury.ask("a", Request(NOTHING, InFlight(0.0, 6))) == "granted"
    assert treasury.ask("b", Request(NOTHING, InFlight(0.0, 3))) == "later"
    assert treasury.ask("a", Request(InFlight(0.0, 6), InFlight(0.0, 1))) == "granted"
    assert treasury.ask("b", Request(NOTHING, InFlight(0.0, 2))) == "later"
    treasury.hand_back("a", InFlight(0.0, 6))
    assert treasury.ask("b", Request(NOTHING, InFlight(0.0, 3))) == "never"
    assert treasury.ask("b", Request(NOTHING, InFlight(0.0, 2))) == "granted"


def test_an_idle_sender_hands_back_what_is_too_little_for_it() -> None:
    treasury = a_treasury(usd=1.0)
    assert treasury.ask("a", Request(NOTHING, InFlight(0.6, 1))) == "granted"
    assert treasury.ask("b", Request(NOTHING, InFlight(0.5, 1))) == "later"
    assert treasury.ask("a", Request(InFlight(0.1, 1), InFlight(2.0, 1), idle=True)) == "never"
    assert treasury.ask("b", Request(NOTHING, InFlight(0.9, 1))) == "granted"


def test_remembers_what_is_granted_before_it_is_spent() -> None:
    told: list[InFlight] = []
    treasury = Treasury(Account(1.0), told.append)
    treasury.ask("a", Request(NOTHING, InFlight(0.25, 2)))
    treasury.ask("b", Request(NOTHING, InFlight(0.5, 1)))
    treasury.ask("a", Request(InFlight(0.25, 1), InFlight(0.125, 1)))
    assert told == [InFlight(0.25, 2), InFlight(0.75, 3), InFlight(0.625, 3)]


@given(
    limit=st.integers(0, 40),
    senders=st.integers(1, 4),
    questions=st.integers(1, 60),
    seed=st.integers(0, 1000),
)
def test_senders_together_never_pass_the_budget_and_leave_none_of_it(
    limit: int, senders: int, questions: int, seed: int
) -> None:
    chance, asked = random.Random(seed), []
    treasury = a_treasury(usd=float(limit))

    async def work(account: GrantedAccount) -> None:
        for _ in range(questions):
            reservation = await reserved(account)
            if reservation is None:
                return
            await asyncio.sleep(0)
            asked.append(chance.choice((1.0, 0.5, 0.0)))
            account.settle(reservation, asked[-1])

    async def send(name: str) -> None:
        async def ask(request: Request) -> Verdict:
            await asyncio.sleep(0)
            return treasury.ask(name, request)

        account = GrantedAccount(ask, usd=True, calls=False, pause=0.0)
        await asyncio.gather(*(work(account) for _ in range(3)))
        treasury.hand_back(name, account.spent)

    async def run() -> None:
        await asyncio.gather(*(send(str(number)) for number in range(senders)))

    asyncio.run(run())
    assert sum(asked) <= limit
    if len(asked) < senders * 3 * questions:
        assert sum(asked) > limit - 1.0


async def reserved(account: Account) -> Reservation | None:
    """A reservation of a dollar, as a sender waits for it."""
    while (reservation := account.try_reserve(1.0)) is None:
        if not await account.settlement():
            return None
    return reservation


def test_without_limits_nobody_is_asked() -> None:
    async def ask(request: Request) -> Verdict:
        pytest.fail("asked")

    account = GrantedAccount(ask, usd=False, calls=False)
    assert account.try_reserve(5.0) is not None
