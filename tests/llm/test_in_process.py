"""vLLM in a worker process: what is asked, what is answered, and every way in which it can end."""

from __future__ import annotations

import asyncio
import math
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from promptlabel.errors import InputError, ModelError
from promptlabel.llm.connecting import connect
from promptlabel.llm.in_process import InProcessClient
from promptlabel.llm.vllm_process import VllmProcess
from promptlabel.records import Question, Shot, Usage
from promptlabel.settings import ModelSettings

SHOTS = (Shot("It works", "good"), Shot("It broke", "bad"))
SCORED = Question("It hums", ("good", "bad", "not good"), SHOTS, "logprobs")


def client(python, folder, **changes):
    return connect("offline", ModelSettings(provider="vllm", model=str(folder), python=python, **changes))


def ask(python, folder, *questions, **changes):
    async def scenario():
        model = client(python, folder, **changes)
        try:
            return await asyncio.gather(*map(model.ask, questions), return_exceptions=True)
        finally:
            await model.close()

    return asyncio.run(scenario())


def test_whole_answers_are_scored_by_the_chain_rule(vllm, weights):
    [answer] = ask(vllm, weights, SCORED)
    assert answer.text == "good"
    assert math.fsum(answer.distribution.values()) == pytest.approx(1)
    assert 0 < answer.outside < 1
    assert answer.distribution["not good"] < answer.distribution["bad"]


def test_tokens_are_counted_beforehand_as_afterwards(vllm, weights):
    model = client(vllm, weights)
    [answer] = ask(vllm, weights, SCORED)
    counted = model.count_tokens(SCORED)
    assert (counted.input_tokens, counted.output_tokens) == (
        answer.usage.input_tokens,
        answer.usage.output_tokens,
    )
    assert model.price(Usage(10, 10)) == 0


def test_answers_go_to_their_questions_whatever_order_they_finish_in(vllm, weights):
    questions = [Question(f"number {number}", ("a", "b"), decode="text") for number in range(40)]
    answers = ask(vllm, weights, *questions, SCORED, Question("x", ("yes", "no"), decode="json"))
    assert [answer.text for answer in answers[:40]] == [question.prompt for question in questions]
    assert answers[41].text == '{"answer":"yes"}'


def test_a_long_prompt_loses_its_beginning_where_answers_are_scored(vllm, weights):
    [answer] = ask(vllm, weights, Question("It hums " * 100, ("good", "bad"), decode="logprobs"))
    assert answer.usage.input_tokens <= 64


def test_a_question_that_is_refused_costs_only_itself(vllm, weights):
    long = Question("word " * 100, ("a", "b"), decode="json")
    refused, answered = ask(vllm, weights, long, SCORED)
    assert (refused.cause, refused.permanent) == ("too_long", False)
    assert answered.text == "good"


@pytest.mark.parametrize(
    ("word", "told"), [("die", "exit code 3"), ("kill", "out of memory.*the system killed it")]
)
def test_a_worker_that_dies_ends_all_that_is_open_and_all_that_comes(vllm, weights, word, told):
    async def scenario():
        model = client(vllm, weights)
        try:
            first = await asyncio.gather(
                model.ask(Question(word, ("a", "b"), decode="json")),
                model.ask(SCORED),
                return_exceptions=True,
            )
            with pytest.raises(ModelError) as later:
                await model.ask(SCORED)
            return first[0], later.value
        finally:
            await model.close()

    for error in asyncio.run(scenario()):
        assert isinstance(error, ModelError)
        assert (error.cause, error.permanent) == ("engine", True)
        assert re.search(told, str(error)), error


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("raise RuntimeError('CUDA out of memory')", "gpu_memory_utilization"),
        ("raise ModuleNotFoundError(\"No module named 'vllm'\")", "has no vLLM"),
        ("raise OSError('no safetensors')", "no safetensors"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why(vllm, weights, fault, told):
    [error] = ask(vllm, weights, SCORED, engine={"load": fault})
    assert (error.cause, error.permanent) == ("engine", True)
    assert told in str(error)


def test_an_interpreter_without_vllm_is_told_from_one_that_has_it(weights, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    [error] = ask(f"{sys.prefix}/bin/python", weights, SCORED)
    assert "has no vLLM" in str(error)


def test_all_that_is_missing_is_named_at_once(tmp_path):
    with pytest.raises(InputError) as caught:
        client(str(tmp_path / "python"), tmp_path)
    assert {fault.key for fault in caught.value.faults} == {"models.offline.model", "models.offline.python"}


def test_without_vllm_here_the_advice_is_an_environment_of_its_own(weights):
    with pytest.raises(InputError, match=r"models\.offline\.python: .*environment of\s+its own"):
        client(None, weights)


def test_the_worker_ends_when_the_process_that_asked_is_killed(vllm, weights, tmp_path):
    """Even while the model is being loaded, which can take minutes."""
    load = f"import pathlib, time; pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid())); time.sleep(60)"
    code = (
        "import asyncio; from pathlib import Path; from promptlabel.llm.vllm_process import Engine, VllmProcess\n"
        f"engine = Engine({vllm!r}, Path({str(weights)!r}), {{'load': {load!r}}})\n"
        "asyncio.run(VllmProcess(engine).post('/completions', {}))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as asker:
        pid = _number_in(tmp_path / "pid")
        asker.kill()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}/cmdline").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{pid}").exists()


def _number_in(path: Path) -> int:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError(f"{path} was not written")


def test_a_client_that_was_never_asked_starts_nothing(vllm, weights):
    model = client(vllm, weights)
    assert isinstance(model, InProcessClient)
    asyncio.run(model.close())
    assert isinstance(model._engine, VllmProcess)
    assert model._engine._process is None


@pytest.mark.vllm
def test_the_real_vllm_in_process_says_what_the_embedded_model_says():
    from promptlabel.llm.local import LocalClient

    real = Path(__file__).parents[2] / ".vllm"
    settings = ModelSettings(
        provider="vllm",
        model=str(real / "smollm2-135m-instruct"),
        python=str(real / "bin" / "python"),
        threads=1,
        engine={"dtype": "bfloat16", "max_model_len": 2048, "max_num_seqs": 32, "enforce_eager": True},
    )

    async def scenario():
        clients = connect("offline", settings), LocalClient("m", ModelSettings(provider="local"))
        answers = [await model.ask(SCORED) for model in clients]
        as_json = await clients[0].ask(Question("It hums", ("good", "bad"), SHOTS, "json"))
        for model in clients:
            await model.close()
        return *answers, as_json

    ours, embedded, as_json = asyncio.run(scenario())
    assert ours.distribution == pytest.approx(embedded.distribution, abs=0.1)
    assert ours.usage.input_tokens == embedded.usage.input_tokens
    assert as_json.text in {
        '{"answer":"good"}',
        '{"answer":"bad"}',
        '{"answer": "good"}',
        '{"answer": "bad"}',
    }
