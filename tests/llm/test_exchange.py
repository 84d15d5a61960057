import asyncio

import pytest

from promptlabel.errors import ModelError
from promptlabel.llm.crew import Crew
from promptlabel.llm.exchange import Requests
from promptlabel.llm.failures import UnusableAnswerError
from promptlabel.llm.jobs import Chance, Limits
from promptlabel.llm.ledger import Account
from promptlabel.records import Answer, Usage

MOST = 0.3


class Model:
    decodes = ("json",)

    def __init__(self, result):
        self.result = result

    async def ask(self, question):
        await asyncio.sleep(2)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def count_tokens(self, question):
        return Usage(20, 10)

    def price(self, usage):
        return usage.input_tokens * 0.01 + usage.output_tokens * 0.01

    async def close(self):
        pass


def send(fly, job, result, account=None, **limits):
    async def run():
        loop = asyncio.get_running_loop()
        model = Model(result)
        requests = Requests(model, Limits(**limits), account or Account(), Chance(clock=loop.time), Crew())
        return await requests.send(job, model.ask), requests.gate.in_flight

    exchange, in_flight = fly(run())
    assert in_flight == 0
    return exchange


@pytest.fixture
def job(make_jobs):
    return next(make_jobs(1))


def test_an_answer_is_recorded_at_its_price(fly, job):
    account = Account(limit_usd=1.0)
    exchange = send(fly, job, Answer("yes", usage=Usage(5, 1), usd=0.06), account)
    assert (exchange.attempt.cause, exchange.attempt.usd, exchange.attempt.seconds) == ("ok", 0.06, 2.0)
    assert exchange.probe
    assert (account.spent_usd, account.spent_calls) == (0.06, 1)


@pytest.mark.parametrize(
    ("error", "usd"),
    [
        (ModelError("no", cause="rate_limit"), 0.0),
        (UnusableAnswerError("cut", cause="malformed_body"), MOST),
        (UnusableAnswerError("no", cause="refusal", answer=Answer("", usage=Usage(5, 1), usd=0.06)), 0.06),
    ],
)
def test_a_failure_costs_what_the_server_may_have_charged(error, usd, fly, job):
    account = Account(limit_usd=1.0)
    exchange = send(fly, job, error, account)
    assert exchange.result is error
    assert (exchange.attempt.cause, exchange.attempt.usd) == (error.cause, pytest.approx(usd))
    assert account.spent_usd == pytest.approx(usd)


def test_a_request_that_does_not_fit_the_budget_is_not_sent(fly, job):
    account = Account(limit_usd=MOST - 0.01)
    assert send(fly, job, Answer("yes"), account) is None
    assert account.spent_calls == 0


def test_the_deadline_ends_a_request(fly, job):
    exchange = send(fly, job, Answer("yes"), deadline=1.5)
    assert (exchange.result.cause, exchange.attempt.seconds) == ("timeout", 1.5)


def test_an_exception_that_nobody_foresaw_is_this_questions_alone(fly, job):
    exchange = send(fly, job, ZeroDivisionError("oops"))
    assert (exchange.result.cause, str(exchange.result)) == ("client_error", "ZeroDivisionError: oops")


def test_a_cancellation_from_outside_passes_through(fly, job):
    async def run():
        model = Model(Answer("yes"))
        requests = Requests(model, Limits(), Account(), Chance(clock=asyncio.get_running_loop().time), Crew())
        sending = asyncio.create_task(requests.send(job, model.ask))
        await asyncio.sleep(1)
        sending.cancel()
        await sending

    with pytest.raises(asyncio.CancelledError):
        fly(run())
