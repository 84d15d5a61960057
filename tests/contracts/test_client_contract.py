"""What every model does, whichever it is: one suite over all clients."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from llm.conftest import mock_model, vllm, weights  # noqa: F401 - fixtures

from promptlabel.llm.client import Client
from promptlabel.llm.connecting import connect
from promptlabel.records import Answer, Question, Shot, Usage
from promptlabel.settings import ModelSettings, Price

QUESTION = Question("It hums", ("yes", "no"), (Shot("It works", "yes"), Shot("It broke", "no")))
PRICE = Price(input=1.0, output=2.0)


@pytest.fixture(
    params=["scripted", "hosted", "served", "in process", pytest.param("embedded", marks=pytest.mark.model)]
)
def opened(request, tmp_path) -> AbstractAsyncContextManager[Client]:
    """The client, in a context that closes it and whatever serves it."""
    if request.param in ("hosted", "served"):
        prefix = {"hosted": "openai", "served": "hosted_vllm"}[request.param]
        return _behind_a_server(request.getfixturevalue("mock_model"), f"{prefix}/small")
    if request.param == "scripted":
        (tmp_path / "script.yaml").write_text("- {answer: 'yes'}\n")
        settings = {"provider": "scripted", "model": str(tmp_path / "script.yaml")}
    elif request.param == "in process":
        weights = request.getfixturevalue("weights")
        settings = {"provider": "vllm", "model": str(weights), "python": request.getfixturevalue("vllm")}
    else:
        settings = {"provider": "local"}
    return _alone(settings)


@asynccontextmanager
async def _behind_a_server(module, model: str) -> AsyncIterator[Client]:
    async with module.serving() as server, _alone({"model": model, "api_base": server.url}) as client:
        yield client


@asynccontextmanager
async def _alone(settings: dict[str, str]) -> AsyncIterator[Client]:
    client = connect("m", ModelSettings(**settings, price=PRICE))
    try:
        yield client
    finally:
        await client.close()


def run(opened, work):
    async def scenario():
        async with opened as client:
            return await work(client)

    return asyncio.run(scenario())


def test_it_answers_in_every_way_that_it_says_it_can(opened):
    async def work(client):
        return {way: await client.ask(replace(QUESTION, decode=way)) for way in client.decodes}

    answers = run(opened, work)
    assert answers
    for way, answer in answers.items():
        assert isinstance(answer, Answer)
        if way == "json":
            assert json.loads(answer.text)["answer"] in QUESTION.answers
        if way == "logprobs":
            assert answer.text in QUESTION.answers
            assert answer.distribution.keys() == set(QUESTION.answers)
            assert math.fsum(answer.distribution.values()) == pytest.approx(1)
            assert 0 <= answer.outside <= 1


def test_questions_asked_together_are_answered_each(opened):
    async def work(client):
        questions = [replace(QUESTION, prompt=f"It hums {n}", decode=client.decodes[0]) for n in range(12)]
        together = await asyncio.gather(*map(client.ask, questions))
        return together, [await client.ask(question) for question in questions]

    together, alone = run(opened, work)
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    for one, other in zip(together, alone, strict=True):
        if one.distribution is not None:
            assert one.distribution == pytest.approx(other.distribution, abs=0.02)


def test_what_it_counts_beforehand_it_can_price(opened):
    async def work(client):
        return client.count_tokens(replace(QUESTION, decode=client.decodes[0])), client.price(Usage(10, 10))

    counted, usd = run(opened, work)
    assert counted.input_tokens > 0
    assert counted.output_tokens > 0
    assert usd in (0.0, pytest.approx(30e-6))


def test_closing_twice_does_no_harm(opened):
    async def work(client):
        await client.ask(replace(QUESTION, decode=client.decodes[0]))
        await client.close()

    run(opened, work)


def test_every_client_is_in_this_suite():
    known = {"scripted", "hosted", "served", "in_process", "local"}
    clients = Path(connect.__code__.co_filename).parent.glob("*.py")
    assert {file.stem for file in clients if "def count_tokens(self" in file.read_text()} - {
        "client"
    } == known
