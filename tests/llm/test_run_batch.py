"""`vllm run-batch` as a runner: what it is told, and how a batch is known to run, to have ended, to have failed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from promptlabel.errors import ModelError
from promptlabel.llm.batches import custom_ids, read_reply, request_line
from promptlabel.llm.connecting import connect
from promptlabel.llm.run_batch import RunBatch, flags
from promptlabel.llm.vllm_process import Engine
from promptlabel.records import Question, Shot
from promptlabel.settings import ModelSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHOTS = (Shot("It works", "good"), Shot("It broke", "bad"))
SCORED = Question("It hums", ("good", "bad", "not good"), SHOTS, "logprobs")
WRITTEN = Question("It hums", ("good", "bad"), SHOTS, "json")


@pytest.fixture
def client(vllm, weights):
    return connect("offline", ModelSettings(provider="vllm", model=str(weights), python=vllm))


def write(client, folder, questions):
    file = folder / "n.requests.jsonl"
    with file.open("wb") as out:
        for name, question in questions.items():
            requests = client.batch_requests(question)
            for custom_id, request in zip(custom_ids(name, len(requests)), requests, strict=True):
                out.write(request_line(custom_id, request))
    return file


async def until_ended(runner, batch):
    deadline = time.monotonic() + 30
    while (state := await runner.state(batch)).status == "running":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    return state


def test_a_batch_answers_like_the_model_in_process(client, tmp_path):
    questions = {"q": SCORED, "w": WRITTEN}

    async def scenario():
        runner = client.batch_runner(tmp_path)
        batch = await runner.submit("n", write(client, tmp_path, questions), "/chat/completions")
        state = await until_ended(runner, batch)
        replies = dict(read_reply(line, NOW) for line in (await runner.fetch(state.files[0])).splitlines())
        alone = [await client.ask(question) for question in questions.values()]
        await client.close()
        return replies, alone

    replies, alone = asyncio.run(scenario())
    parts = [replies[name] for name in custom_ids("q", len(client.batch_requests(SCORED)))]
    assert len(parts) == 2
    answer = client.read_batch(SCORED, parts)
    assert answer.distribution == pytest.approx(alone[0].distribution)
    assert answer.outside == pytest.approx(alone[0].outside)
    assert answer.usage.input_tokens == alone[0].usage.input_tokens
    assert orjson.loads(client.read_batch(WRITTEN, [replies["w"]]).text) == orjson.loads(alone[1].text)


def test_a_text_that_is_read_as_other_tokens_is_no_answer(client):
    body = {"choices": [{"logprobs": {"content": [{"top_logprobs": []}]}}], "usage": {"prompt_tokens": 1}}
    body["usage"]["completion_tokens"] = 1
    requests = client.batch_requests(SCORED)
    for part, request in enumerate(requests):
        tokens = [{"token": f"token_id:{t}", "logprob": -1} for t in request.body["logprob_token_ids"]]
        body["choices"][0]["logprobs"]["content"][0]["top_logprobs"] = tokens
        requests[part] = orjson.dumps(body)
    with pytest.raises(ModelError, match="ask without --batch") as caught:
        client.read_batch(SCORED, requests)
    assert caught.value.cause == "tokenization"


def test_a_body_without_log_probabilities_is_no_answer(client):
    with pytest.raises(ModelError) as caught:
        client.read_batch(SCORED, [b'{"choices": [{"logprobs": null}]}'] * 2)
    assert caught.value.cause == "no_logprobs"


def test_a_batch_goes_on_without_whoever_started_it_and_is_found_again(client, tmp_path, monkeypatch):
    monkeypatch.setenv("STANDIN_SECONDS", "0.5")

    async def scenario():
        first = client.batch_runner(tmp_path)
        await first.submit("n", write(client, tmp_path, {"w": WRITTEN}), "/chat/completions")
        other = RunBatch(client.engine, "offline", tmp_path)
        found = await other.find("n"), (await other.state("n")).status
        return found, await until_ended(other, "n"), await other.find("unknown")

    found, state, unknown = asyncio.run(scenario())
    assert found == ("n", "running")
    assert (state.status, unknown) == ("ended", None)


def test_a_batch_that_fails_says_why(client, tmp_path, monkeypatch):
    monkeypatch.setenv("STANDIN_FAILS", "1")

    async def scenario():
        runner = client.batch_runner(tmp_path)
        await runner.submit("n", write(client, tmp_path, {"w": WRITTEN}), "/chat/completions")
        return await until_ended(runner, "n")

    state = asyncio.run(scenario())
    assert state.status == "refused"
    assert "no memory for the cache" in state.message


def test_a_batch_that_is_killed_is_not_taken_to_run_on(client, tmp_path, monkeypatch):
    monkeypatch.setenv("STANDIN_SECONDS", "60")

    async def scenario():
        runner = client.batch_runner(tmp_path)
        await runner.submit("n", write(client, tmp_path, {"w": WRITTEN}), "/chat/completions")
        assert (await runner.state("n")).status == "running"
        os.kill(_pid(str(tmp_path)), signal.SIGKILL)
        return await until_ended(runner, "n")

    assert asyncio.run(scenario()).status == "refused"


def _pid(folder: str) -> int:
    [pid] = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _runs(path, folder)]
    return pid


def _runs(process: Path, folder: str) -> bool:
    try:
        command = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"run-batch" in command and any(folder.encode() in word for word in command)


def test_arguments_become_flags():
    told = {"max_model_len": 2048, "enforce_eager": True, "async_scheduling": False, "hf_overrides": {"a": 1}}
    assert flags(told) == [
        *("--max-model-len", "2048"),
        "--enforce-eager",
        "--no-async-scheduling",
        *("--hf-overrides", '{"a":1}'),
    ]


def test_an_interpreter_that_is_none_fails_with_its_name(tmp_path):
    runner = RunBatch(Engine("/nowhere/python", tmp_path), "m", tmp_path)

    async def scenario():
        await runner.submit("n", tmp_path / "file", "/chat/completions")
        return await until_ended(runner, "n")

    assert "/nowhere/python" in asyncio.run(scenario()).message
