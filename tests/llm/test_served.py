"""A model behind vLLM's server: what goes over the wire, what is made of the answer, and a real one."""

from __future__ import annotations

import asyncio
import math
import os
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import orjson
import pytest
from aiohttp import web
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from promptlabel.errors import InputError, ModelError
from promptlabel.llm.completions import read_completions
from promptlabel.llm.fewshot import FewShotTokenizer
from promptlabel.llm.served import ServedClient
from promptlabel.llm.vocabulary import Vocabulary
from promptlabel.records import Question, Shot, Usage
from promptlabel.settings import ModelSettings, Price

ANSWERS = ("good", "bad", "not good", "not bad")
SHOTS = (Shot("It works", "good"), Shot("It broke", "bad"))
QUESTION = Question("It hums", ANSWERS, SHOTS, "logprobs")
WORDS = ["<unk>", "<s>", "\n", ":", "The", " answer", " is", " one", " of", ",", ".", "Answer", "It"]
WORDS += [" works", " broke", " hums", " good", " bad", " not"]


@pytest.fixture
def tokenizer_file(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n| ?\w+|[^\w\s]"), "isolated")
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def logits(text):
    """A fixed language model: probabilities of every word after the text."""
    return np.log(np.random.default_rng(list(text)).dirichlet(np.ones(len(WORDS))))


class Server:
    """vLLM's text completions, as far as they are asked for: raw log-probabilities of the tokens named."""

    def __init__(self, status=200):
        self.bodies = []
        self.paths = []
        self.status = status

    async def completions(self, request):
        body = orjson.loads(await request.read())
        self.bodies.append(body)
        self.paths.append(request.path)
        if self.status != 200:
            return web.json_response({"error": {"message": "no", "code": self.status}}, status=self.status)
        assert body["logprobs"] == len(body["logprob_token_ids"])
        choices = [
            {
                "index": index,
                "logprobs": {
                    "top_logprobs": [
                        {f"token_id:{token}": logits(text)[token] for token in body["logprob_token_ids"]}
                    ]
                },
            }
            for index, text in enumerate(body["prompt"])
        ]
        usage = {
            "prompt_tokens": sum(map(len, body["prompt"])),
            "completion_tokens": len(choices),
            "prompt_tokens_details": {"cached_tokens": 3},
        }
        return web.json_response({"choices": choices[::-1], "usage": usage})

    @asynccontextmanager
    async def at(self):
        application = web.Application()
        application.router.add_post("/v1/{path:.*}", self.completions)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()


def ask(tokenizer_file, question=QUESTION, server=None, **changes):
    async def scenario():
        nonlocal server
        server = server or Server()
        async with server.at() as url:
            fields = {
                "model": "hosted_vllm/small",
                "api_base": url,
                "tokenizer": str(tokenizer_file),
                **changes,
            }
            client = ServedClient("served", ModelSettings(**fields))
            try:
                return await client.ask(question), server, client
            finally:
                await client.close()

    return asyncio.run(scenario())


def test_all_answers_are_scored_exactly_in_one_request(tokenizer_file):
    answer, server, _ = ask(tokenizer_file)
    [body] = server.bodies
    assert server.paths == ["/v1/completions"]
    text = tuple(body["prompt"][0])
    number = {word: place for place, word in enumerate(WORDS)}
    mass = {}
    for name in ANSWERS:
        path = tuple(number[f" {word}"] for word in name.split())
        mass[name] = math.exp(sum(logits(text + path[:place])[token] for place, token in enumerate(path)))
    assert answer.outside == pytest.approx(1 - sum(mass.values()))
    assert answer.distribution == pytest.approx({name: m / sum(mass.values()) for name, m in mass.items()})
    assert answer.text == max(mass, key=mass.get)


@pytest.mark.parametrize("decode", ["logprobs", "json", "text"])
@pytest.mark.parametrize("vocabulary", [True, False])
def test_no_request_has_a_field_that_vllm_has_removed(tokenizer_file, mock_model, decode, vocabulary):
    """vLLM ignores `guided_json` and its like without a word to the client, and answers freely."""
    question = Question("It hums", ANSWERS, SHOTS, decode, rationale=decode == "json")

    async def scenario():
        async with mock_model.serving(mock_model.Behaviour()) as server:
            fields = {"model": "hosted_vllm/small", "api_base": server.url}
            if vocabulary:
                fields["tokenizer"] = str(tokenizer_file)
            client = ServedClient("served", ModelSettings(**fields))
            try:
                await asyncio.gather(client.ask(question), return_exceptions=True)
                return server.seen.last_body
            finally:
                await client.close()

    sent = asyncio.run(scenario())
    assert b"small" in sent
    assert b"guided" not in sent


def test_questions_of_one_rule_begin_alike_so_that_the_prefix_cache_serves_them(tokenizer_file):
    first, second = (
        [body["prompt"][0] for body in ask(tokenizer_file, replace(QUESTION, prompt=prompt))[1].bodies]
        for prompt in ("It hums", "It broke")
    )
    shared = next(
        place for place, (one, other) in enumerate(zip(first[0], second[0], strict=False)) if one != other
    )
    head = FewShotTokenizer(Vocabulary.load(tokenizer_file, "key"), 1000).tokens(QUESTION).head
    assert shared >= len(head) > 0.6 * len(first[0])


def test_as_many_requests_are_open_as_the_ceiling_allows(mock_model):
    async def scenario():
        async with mock_model.serving(mock_model.Behaviour(latency=0.2)) as server:
            settings = ModelSettings(model="hosted_vllm/small", api_base=server.url, concurrency=8)
            client = ServedClient("served", settings)
            questions = (Question(f"Good {number}?", ("yes", "no")) for number in range(20))
            await asyncio.gather(*map(client.ask, questions))
            await client.close()
            return server.seen.most_open

    assert asyncio.run(scenario()) == 8


def test_tokens_and_money_are_counted_beforehand_as_afterwards(tokenizer_file):
    answer, _, client = ask(tokenizer_file, price=Price(input=1.0, output=2.0))
    counted, bound = client.count_tokens(QUESTION), client.ceiling(QUESTION)
    assert (counted.input_tokens, counted.output_tokens) == (
        answer.usage.input_tokens,
        answer.usage.output_tokens,
    )
    assert bound.input_tokens >= counted.input_tokens
    assert bound.output_tokens >= counted.output_tokens
    assert answer.usage.cached_tokens == 3
    assert answer.usd == pytest.approx((counted.input_tokens + 2 * counted.output_tokens) / 1e6)


def test_without_a_vocabulary_it_is_an_ordinary_chat(mock_model):
    async def scenario():
        async with mock_model.serving(mock_model.Behaviour()) as server:
            client = ServedClient("served", ModelSettings(model="hosted_vllm/small", api_base=server.url))
            try:
                found = [
                    await client.ask(Question("Good?", ("yes", "no"), decode=way)) for way in client.decodes
                ]
                return client.decodes, found, server.seen
            finally:
                await client.close()

    decodes, answers, seen = asyncio.run(scenario())
    assert decodes[0] == "json"
    assert answers[0].text in {'{"answer":"yes"}', '{"answer":"no"}'}
    assert answers[1].distribution is not None
    assert seen.requests == len(decodes)


def test_with_a_vocabulary_scoring_is_the_best_way(tokenizer_file):
    settings = ModelSettings(
        model="hosted_vllm/small", api_base="http://127.0.0.1:9/v1", tokenizer=str(tokenizer_file)
    )
    client = ServedClient("served", settings)
    assert client.decodes == ("logprobs", "json", "text")
    assert client.price(Usage(10, 10)) == 0
    assert 1 < client.count_tokens(Question("It hums", ANSWERS)).output_tokens < settings.max_tokens


@pytest.mark.parametrize(
    ("status", "cause", "permanent"),
    [
        (400, "bad_request", False),
        (401, "auth", True),
        (429, "rate_limit", False),
        (500, "server_error", False),
    ],
)
def test_a_refusal_has_its_cause(tokenizer_file, status, cause, permanent):
    with pytest.raises(ModelError) as caught:
        ask(tokenizer_file, server=Server(status))
    assert (caught.value.cause, caught.value.permanent) == (cause, permanent)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"index": 0, "logprobs": null}]}'],
)
def test_an_answer_without_the_log_probabilities_is_no_answer(body):
    with pytest.raises(ModelError) as caught:
        read_completions(body, {(): (1, 2)})
    assert caught.value.cause == "no_logprobs"


def test_control_tokens_in_a_text_are_text(tokenizer_file):
    vocabulary = Vocabulary.load(tokenizer_file, "models.served.tokenizer")
    assert WORDS.index("<s>") not in vocabulary("It <s> hums")


@pytest.mark.parametrize("content", [None, "{}", "not JSON"])
def test_a_file_that_is_no_vocabulary_is_named_with_its_key(tmp_path, content):
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    settings = ModelSettings(
        model="hosted_vllm/small", api_base="http://127.0.0.1:9/v1", tokenizer=str(tmp_path)
    )
    with pytest.raises(InputError, match=r"models\.served\.tokenizer"):
        ServedClient("served", settings)


def test_a_vocabulary_without_a_server_is_a_fault(tokenizer_file, monkeypatch):
    monkeypatch.delenv("HOSTED_VLLM_API_BASE", raising=False)
    with pytest.raises(InputError, match=r"models\.served\.api_base"):
        ServedClient("served", ModelSettings(model="hosted_vllm/small", tokenizer=str(tokenizer_file)))


@pytest.mark.model
@pytest.mark.skipif(
    "PROMPTLABEL_VLLM" not in os.environ,
    reason="set PROMPTLABEL_VLLM to the address of `scripts/vllm serve`, such as http://127.0.0.1:8000/v1",
)
def test_a_real_vllm_says_what_the_embedded_model_says():
    from promptlabel.llm.local import LocalClient

    served = {
        "model": "hosted_vllm/smollm2-135m-instruct",
        "api_base": os.environ["PROMPTLABEL_VLLM"],
        "tokenizer": ".vllm/smollm2-135m-instruct",
    }

    async def scenario():
        clients = (
            ServedClient("served", ModelSettings(**served)),
            LocalClient("m", ModelSettings(provider="local")),
        )
        answers = [await client.ask(QUESTION) for client in clients]
        as_json = await clients[0].ask(Question("It hums", ("good", "bad"), SHOTS, "json"))
        for client in clients:
            await client.close()
        return *answers, as_json

    served_answer, embedded, as_json = asyncio.run(scenario())
    assert served_answer.distribution == pytest.approx(embedded.distribution, abs=0.1)
    assert served_answer.usage.input_tokens == embedded.usage.input_tokens
    assert orjson.loads(as_json.text)["answer"] in {"good", "bad"}
