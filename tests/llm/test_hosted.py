import asyncio
import os
import subprocess
import sys
import time
from collections import Counter

import pytest

from promptlabel.errors import ModelError
from promptlabel.llm.client import CarefulClient
from promptlabel.llm.hosted import HostedClient
from promptlabel.llm.jobs import Limits
from promptlabel.llm.ledger import Account
from promptlabel.llm.sender import Sender
from promptlabel.records import Answer, Question, Usage
from promptlabel.settings import ModelSettings, Price

QUESTION = Question("key=k0 Good?", ("yes", "no", "unsure"))


def settings(url, **changes):
    fields = {"model": "openai/mock", "api_base": url, "price": Price(input=1.0, output=2.0), "timeout": 10.0}
    return ModelSettings(**{**fields, **changes})


async def ask_once(mock_model, question=QUESTION, fault=None, **changes):
    behaviour = mock_model.Behaviour(script=[fault], retry_after=7.0)
    async with mock_model.serving(behaviour) as server:
        client = HostedClient("judge", settings(server.url, **changes))
        try:
            return await client.ask(question), server.seen
        finally:
            await client.close()


async def ask_at(url):
    client = HostedClient("judge", settings(url))
    try:
        return await client.ask(QUESTION)
    finally:
        await client.close()


def test_an_answer_comes_back_as_text_with_its_price(mock_model):
    answer, seen = asyncio.run(ask_once(mock_model))
    assert answer.text in {'{"answer":"yes"}', '{"answer":"no"}', '{"answer":"unsure"}'}
    assert answer.usage == Usage(seen.input_tokens, 5)
    assert answer.usd == pytest.approx((seen.input_tokens + 2 * 5) / 1e6)
    assert seen.requests == 1


def test_log_probabilities_become_a_distribution(mock_model):
    answer, _ = asyncio.run(ask_once(mock_model, Question("Good?", ("yes", "no"), decode="logprobs")))
    assert answer.text == "yes"
    assert sum(answer.distribution.values()) == pytest.approx(1)
    assert answer.outside == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("fault", "cause", "permanent", "retry_after"),
    [
        ("429", "rate_limit", False, None),
        ("429_retry_after", "rate_limit", False, 7.0),
        ("429_negative", "rate_limit", False, None),
        ("429_3600", "rate_limit", False, 3600.0),
        ("quota", "quota", True, None),
        ("400", "bad_request", False, None),
        ("401", "auth", True, None),
        ("402", "no_credit", True, None),
        ("403", "forbidden", True, None),
        ("404", "not_found", True, None),
        ("408", "timeout", False, None),
        ("500", "server_error", False, None),
        ("503", "server_error", False, None),
        ("529", "overloaded", False, None),
        ("headers_only", "timeout", False, None),
        ("drip", "timeout", False, None),
        ("429_ms", "rate_limit", False, 7.0),
        ("503_retry_after", "server_error", False, 7.0),
        ("504", "server_error", False, None),
        ("close", "connection", False, None),
        ("short_length", "connection", False, None),
        ("html", "malformed_body", False, None),
        ("filtered", "content_filter", False, None),
        ("reset", "malformed_body", False, None),
        ("truncated", "malformed_body", False, None),
        ("wrong_length", "malformed_body", False, None),
        ("gzip", "malformed_body", False, None),
        ("half_stream", "malformed_body", False, None),
        ("error_body", "error_body", False, None),
        ("empty", "empty", False, None),
        ("length", "truncated", False, None),
        ("refusal", "refusal", False, None),
    ],
)
def test_every_fault_has_its_cause(fault, cause, permanent, retry_after, mock_model):
    start = time.monotonic()
    with pytest.raises(ModelError) as caught:
        asyncio.run(ask_once(mock_model, fault=fault, timeout=0.4 if cause == "timeout" else 10.0))
    error = caught.value
    assert (error.cause, error.permanent, error.retry_after) == (cause, permanent, retry_after)
    assert time.monotonic() - start < 5


def test_a_retry_after_that_is_a_date_is_seconds_from_now(mock_model):
    with pytest.raises(ModelError) as caught:
        asyncio.run(ask_once(mock_model, fault="429_date"))
    assert 0 < caught.value.retry_after <= 2


def test_a_server_that_reports_no_tokens_is_charged_at_the_bound(mock_model):
    answer, _ = asyncio.run(ask_once(mock_model, fault="no_usage"))
    bound = HostedClient("judge", settings("http://127.0.0.1:1")).ceiling(QUESTION)
    assert answer.usage.input_tokens == bound.input_tokens
    assert answer.usd > 0


@pytest.mark.parametrize("fault", ["wrong_label", "extra_keys", "nan", "megabyte"])
def test_an_answer_of_the_wrong_form_is_returned_and_not_accepted(fault, mock_model):
    answer, _ = asyncio.run(ask_once(mock_model, fault=fault))
    assert not HostedClient("judge", settings("http://127.0.0.1:1")).accepts(QUESTION, answer)


def test_nobody_listening_is_a_connection_error_that_costs_nothing():
    with pytest.raises(ModelError) as caught:
        asyncio.run(ask_at("http://127.0.0.1:9"))
    assert caught.value.cause == "connection"
    assert type(caught.value) is ModelError


def test_a_text_that_cannot_be_sent_costs_one_question_only(mock_model):
    with pytest.raises(ModelError) as caught:
        asyncio.run(ask_once(mock_model, Question("lone \ud800 surrogate", ("yes", "no"))))
    assert (caught.value.cause, caught.value.permanent) == ("bad_text", False)


def test_a_senseless_address_is_said_to_be_one():
    with pytest.raises(ModelError) as caught:
        asyncio.run(ask_at("http://:nonsense"))
    assert (caught.value.cause, caught.value.permanent) == ("bad_address", True)


def test_the_ceiling_lies_above_the_count_and_what_it_costs_above_the_price(mock_model):
    answer, _ = asyncio.run(ask_once(mock_model))
    client = HostedClient("judge", settings("http://127.0.0.1:1"))
    assert client.ceiling(QUESTION).input_tokens >= client.count_tokens(QUESTION).input_tokens
    assert client.price(client.ceiling(QUESTION)) >= answer.usd
    assert isinstance(client, CarefulClient)


def test_decodings_are_those_of_the_model():
    assert HostedClient("m", ModelSettings(model="openai/gpt-4o-mini")).decodes == (
        "json",
        "logprobs",
        "text",
    )
    assert HostedClient("m", ModelSettings(model="openai/gpt-5-mini")).decodes == ("json", "text")
    assert HostedClient("m", ModelSettings(model="anthropic/claude-haiku-4-5")).decodes == ("json", "text")


def test_what_a_price_is_known_for():
    assert HostedClient("m", ModelSettings(model="openai/gpt-5-mini")).priced
    assert HostedClient("m", ModelSettings(model="openai/mine", api_base="http://127.0.0.1:1/v1")).priced
    assert not HostedClient("m", ModelSettings(model="openai/mine", api_base="http://gpu.example/v1")).priced


def test_a_missing_key_is_named_before_the_first_call(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert HostedClient("m", ModelSettings(model="openai/gpt-5-mini")).missing_key() == "OPENAI_API_KEY"
    assert HostedClient("m", settings("http://127.0.0.1:1/v1")).missing_key() is None


@pytest.mark.filterwarnings("ignore")  # LiteLLM's own
def test_a_missing_key_of_a_provider_that_litellm_knows_is_named_too(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    client = HostedClient("m", ModelSettings(model="anthropic/claude-haiku-4-5"))
    assert client.missing_key() == "ANTHROPIC_API_KEY"


@pytest.mark.filterwarnings("ignore")  # LiteLLM's and Instructor's own
def test_a_correction_goes_through_instructor_and_shows_what_was_wrong(mock_model):
    async def correct():
        async with mock_model.serving() as server:
            client = HostedClient("judge", settings(server.url, timeout=20))
            try:
                return await client.correct(client.correction(QUESTION, Answer("maybe"))), server.seen
            finally:
                await client.close()

    answer, seen = asyncio.run(correct())
    assert b"maybe" in seen.last_body
    assert b"Correct your JSON answer" in seen.last_body
    assert seen.requests == 1
    assert answer.usage.output_tokens == 5


def test_a_correction_shows_the_beginning_of_a_long_answer_and_is_bounded_as_a_question():
    client = HostedClient("judge", settings("http://127.0.0.1:1"))
    correction = client.correction(QUESTION, Answer("x" * 1_000_000))
    assert correction.prompt.startswith(QUESTION.prompt)
    assert len(correction.prompt) < 3000
    assert client.ceiling(correction).input_tokens > client.ceiling(QUESTION).input_tokens + 1000


def test_the_direct_way_needs_neither_litellm_nor_much_memory():
    code = """
import asyncio, re, sys
from pathlib import Path
sys.path.insert(0, "scripts")
from mock_model import serving
from promptlabel.llm.hosted import HostedClient
from promptlabel.records import Question
from promptlabel.settings import ModelSettings
async def main():
    async with serving() as server:
        client = HostedClient("m", ModelSettings(model="openai/mock", api_base=server.url))
        for _ in range(50):
            await client.ask(Question("Good?", ("yes", "no")))
        await client.close()
asyncio.run(main())
assert not {"litellm", "instructor", "openai", "tiktoken", "torch", "pandas"} & set(sys.modules)
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())
assert int(peak[1]) < 120_000
"""
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PATH": os.environ["PATH"], "PYTHONPATH": "."}
    )


@pytest.mark.parametrize("fault", ["hang", "headers_only", "drip"])
def test_the_deadline_of_a_stalled_request_is_kept_to_a_twentieth(fault, mock_model, make_jobs):
    async def run():
        async with mock_model.serving(mock_model.Behaviour(script=[fault])) as server:
            model = settings(server.url, timeout=1.0)
            client, attempts = HostedClient("judge", model), []

            async def deliver(outcome):
                attempts.extend(outcome.attempts)

            await Sender(client, Limits.of(model), Account()).run(make_jobs(1), deliver)
            await client.close()
            return attempts[0]

    attempts = [asyncio.run(run()) for _ in range(3)]
    assert {attempt.cause for attempt in attempts} == {"timeout"}
    assert min(attempt.seconds for attempt in attempts) < 1.05


TRANSPORT_FAULTS = ["429", "500", "503", "529", "408", "hang", "headers_only", "drip", "reset", "truncated"]
TRANSPORT_FAULTS += ["wrong_length", "gzip", "half_stream", "error_body", "empty"]


class WatchedClient(HostedClient):
    """Notes when requests leave, and when it was told to wait for how long."""

    def __init__(self, name, settings):
        super().__init__(name, settings)
        self.starts = []
        self.told = []

    async def ask(self, question):
        self.starts.append(time.monotonic())
        try:
            return await super().ask(question)
        except ModelError as error:
            if error.retry_after is not None:
                self.told.append((time.monotonic(), error.retry_after))
            raise


def test_two_thousand_requests_through_every_fault_that_passes(mock_model, make_jobs):
    number = 2000

    async def run():
        behaviour = mock_model.Behaviour(
            jitter=0.002,
            rates=dict.fromkeys(TRANSPORT_FAULTS, 0.006) | {"429_retry_after": 0.001},
            retry_after=0.5,
        )
        async with mock_model.serving(behaviour) as server:
            model = settings(server.url, concurrency=64, timeout=1.0, attempts=30)
            client = WatchedClient("judge", model)
            account = Account(limit_usd=100.0)
            delivered, attempts = Counter(), 0

            async def deliver(outcome):
                nonlocal attempts
                delivered[outcome.job.item] += isinstance(outcome.result, Answer)
                attempts += len(outcome.attempts)

            report = await Sender(client, Limits.of(model), account).run(make_jobs(number), deliver)
            await client.close()
            return report, delivered, attempts, account, server.seen, client

    report, delivered, attempts, account, seen, client = asyncio.run(run())
    assert report.stopped is None
    assert delivered == Counter(range(number))
    assert attempts == report.calls == seen.requests == account.spent_calls
    assert report.usd == pytest.approx(account.spent_usd)
    assert set(seen.faults) == {*TRANSPORT_FAULTS, "429_retry_after"}
    assert seen.most_open <= 64
    stalled = sum(seen.faults[fault] for fault in ("408", "hang", "headers_only", "drip"))
    paid_twice = sum(times - 1 for times in seen.served.values())
    assert paid_twice <= report.causes["timeout"] - stalled
    early = [start for told, wait in client.told for start in client.starts if told < start < told + wait]
    assert not early


@pytest.mark.parametrize("fault", ["401", "402", "403", "404", "quota"])
def test_a_permanent_refusal_costs_one_call(fault, mock_model, make_jobs):
    async def run():
        async with mock_model.serving(mock_model.Behaviour(rates={fault: 1.0})) as server:
            model = settings(server.url, concurrency=64)
            client = HostedClient("judge", model)

            async def deliver(outcome):
                assert outcome.result is None

            report = await Sender(client, Limits.of(model), Account()).run(make_jobs(1000), deliver)
            await client.close()
            return report, server.seen

    report, seen = asyncio.run(run())
    assert seen.requests == 1
    assert report.stopped in {"auth", "no_credit", "forbidden", "not_found", "quota"}


@pytest.mark.parametrize("reported", [None, 3000])
def test_the_budget_holds_against_what_the_server_really_charged(reported, mock_model, make_jobs):
    cap = 0.02

    async def run():
        behaviour = mock_model.Behaviour(
            latency=0.005, rates={"429": 0.02, "500": 0.02}, input_tokens=reported
        )
        async with mock_model.serving(behaviour) as server:
            model = settings(server.url, concurrency=32)
            client = HostedClient("judge", model)

            async def deliver(outcome):
                pass

            account = Account(limit_usd=cap)
            report = await Sender(client, Limits.of(model), account).run(make_jobs(2000), deliver)
            await client.close()
            return report, (server.seen.input_tokens + 2 * server.seen.output_tokens) / 1e6

    report, charged = asyncio.run(run())
    assert report.stopped == "budget"
    assert charged == pytest.approx(report.usd)
    assert 0.75 * cap < charged <= cap
