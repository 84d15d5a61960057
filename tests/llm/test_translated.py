"""Providers that only LiteLLM speaks to, against local servers that speak their formats."""

import asyncio

import orjson
import pytest

from promptlabel.errors import ModelError
from promptlabel.llm.chat import messages
from promptlabel.llm.hosted import HostedClient
from promptlabel.llm.translated import Translated, load_litellm
from promptlabel.records import Question, Usage
from promptlabel.settings import ModelSettings

pytestmark = pytest.mark.filterwarnings("ignore")  # LiteLLM's and Instructor's own

QUESTION = Question("Good?", ("yes", "no"))
JSON_TEXT = '{"answer": "yes"}'

ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": JSON_TEXT}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 11, "output_tokens": 3},
}
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": JSON_TEXT}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 3, "totalTokenCount": 14},
}
OPENAI = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": JSON_TEXT}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
}
BEDROCK = {
    "output": {"message": {"role": "assistant", "content": [{"text": JSON_TEXT}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 11, "outputTokens": 3, "totalTokens": 14},
}


class Replying:
    """A server that gives every request the same status, headers and JSON, and keeps what it was sent."""

    def __init__(self, reply, status=200, headers=""):
        self.body = orjson.dumps(reply)
        self.start = (
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}"
        )
        self.requests = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.handle, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error):
        self.server.close()

    async def handle(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0]) if "content-length:" in head else 0
        body = await reader.readexactly(length)
        self.requests.append((head.split("\r\n")[0], orjson.loads(body) if body[:1] == b"{" else {}))
        writer.write(f"{self.start}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body)
        await writer.drain()
        writer.close()


async def ask(model, server, path="", question=QUESTION):
    client = HostedClient("m", ModelSettings(model=model, api_base=server.url + path, timeout=20.0))
    try:
        return await client.ask(question)
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("model", "path", "reply"),
    [
        ("anthropic/claude-haiku-4-5", "", ANTHROPIC),
        ("gemini/gemini-2.5-flash", "", GEMINI),
        ("azure/my-deployment", "", OPENAI),
        ("perplexity/sonar", "", OPENAI),
        ("bedrock/converse/anthropic.claude-haiku-4-5-20251001-v1:0", "", BEDROCK),
    ],
)
def test_providers_of_other_shapes_answer_through_litellm(model, path, reply, monkeypatch):
    for variable in ("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "AZURE_API_KEY", "PERPLEXITYAI_API_KEY"):
        monkeypatch.setenv(variable, "key")
    monkeypatch.setenv("AZURE_API_VERSION", "2025-01-01-preview")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.setenv(variable, "key")
    monkeypatch.setenv("AWS_REGION_NAME", "us-east-1")

    async def run():
        async with Replying(reply) as server:
            return await ask(model, server, path), server.requests

    answer, requests = asyncio.run(run())
    assert orjson.loads(answer.text) == {"answer": "yes"}
    assert answer.usage == Usage(11, 3)
    assert len(requests) == 1


VERTEX_MODELS = {
    "vertex_ai/gemini-2.5-flash": (GEMINI, "publishers/google/models/gemini-2.5-flash:generatecontent"),
    "vertex_ai/claude-haiku-4-5": (ANTHROPIC, "publishers/anthropic/models/claude-haiku-4-5:rawpredict"),
}


@pytest.mark.parametrize("model", VERTEX_MODELS)
def test_vertex_is_asked_with_the_token_that_a_service_account_gets(model, tmp_path, monkeypatch):
    pytest.importorskip("google.auth")
    reply, path = VERTEX_MODELS[model]
    token = {"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}

    async def run():
        async with Replying({**reply, **token}) as server:
            account = tmp_path / "account.json"
            account.write_bytes(orjson.dumps(service_account(f"{server.url}/token")))
            monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
            monkeypatch.setenv("VERTEXAI_PROJECT", "p")
            monkeypatch.setenv("VERTEXAI_LOCATION", "us-central1")
            return await ask(model, server), server.requests

    answer, requests = asyncio.run(run())
    assert orjson.loads(answer.text) == {"answer": "yes"}
    assert answer.usage == Usage(11, 3)
    assert answer.usd > 0
    assert [line.split()[1].rpartition("/locations/us-central1/")[2] for line, _ in requests[-1:]] == [path]
    assert sum("/token" not in line for line, _ in requests) == 1


def service_account(token_uri):
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "k",
        "private_key": key.decode(),
        "client_email": "a@p.example",
        "client_id": "1",
        "token_uri": token_uri,
    }


@pytest.mark.parametrize(
    ("status", "error", "cause", "permanent"),
    [
        (401, {"type": "authentication_error"}, "auth", True),
        (404, {"type": "not_found_error"}, "not_found", True),
        (400, {"type": "invalid_request_error"}, "bad_request", False),
        (429, {"type": "rate_limit_error"}, "rate_limit", False),
        (500, {"type": "api_error"}, "server_error", False),
        (529, {"type": "overloaded_error"}, "overloaded", False),
    ],
)
@pytest.mark.parametrize("model", ["anthropic/claude-haiku-4-5", "azure/my-deployment"])
def test_litellms_exceptions_have_our_causes_and_are_not_retried(
    model, status, error, cause, permanent, monkeypatch
):
    monkeypatch.setenv("AZURE_API_VERSION", "2025-01-01-preview")

    async def run():
        reply = {"type": "error", "error": {"message": "no", **error}}
        async with Replying(reply, status, "Retry-After: 7\r\n") as server:
            with pytest.raises(ModelError) as caught:
                await ask(model, server)
            return caught.value, server.requests

    failure, requests = asyncio.run(run())
    assert (failure.permanent, len(requests)) == (permanent, 1)
    assert failure.cause in {cause, "server_error"} if status == 529 else failure.cause == cause
    if status == 429:
        assert failure.retry_after == 7.0


def test_instructor_is_used_where_the_provider_has_no_structured_output():
    async def run():
        async with Replying(OPENAI) as server:
            answer = await ask("perplexity/sonar", server)
            return answer, server.requests

    answer, [(_, body)] = asyncio.run(run())
    assert "response_format" not in body
    assert "json" in orjson.dumps(body["messages"]).decode().lower()
    assert answer.text == JSON_TEXT


def test_an_ill_formed_answer_to_instructor_comes_back_as_it_is_after_one_request_without_a_word(caplog):
    ill = {
        **OPENAI,
        "choices": [{**OPENAI["choices"][0], "message": {"role": "assistant", "content": "maybe"}}],
    }

    async def run():
        async with Replying(ill) as server:
            answer = await ask("perplexity/sonar", server)
            return answer, server.requests

    answer, requests = asyncio.run(run())
    assert (answer.text, answer.usage, len(requests)) == ("maybe", Usage(11, 3), 1)
    assert not [record for record in caplog.records if record.name.startswith("instructor")]


def test_an_answer_cut_off_behind_instructor_is_truncated_and_paid_for():
    cut = {**OPENAI, "choices": [{**OPENAI["choices"][0], "finish_reason": "length"}]}

    async def run():
        async with Replying(cut) as server:
            with pytest.raises(ModelError) as caught:
                await ask("perplexity/sonar", server)
            return caught.value

    failure = asyncio.run(run())
    assert failure.cause == "truncated"
    assert failure.answer.usage == Usage(11, 3)


@pytest.mark.parametrize("status", [401, 429])
def test_a_refusal_behind_instructor_keeps_its_cause(status):
    async def run():
        async with Replying({"error": {"message": "no"}}, status) as server:
            with pytest.raises(ModelError) as caught:
                await ask("perplexity/sonar", server)
            return caught.value.cause, server.requests

    cause, requests = asyncio.run(run())
    assert cause == {401: "auth", 429: "rate_limit"}[status]
    assert len(requests) == 1


def test_nobody_listening_is_a_connection_error():
    client = Translated(
        "azure/x", ModelSettings(model="azure/x", api_base="http://127.0.0.1:9"), lambda _: 0.0
    )

    async def run():
        try:
            await client.ask(QUESTION)
        finally:
            await client.close()

    with pytest.raises(ModelError) as caught:
        asyncio.run(run())
    assert caught.value.cause in {"connection", "server_error"}


def test_a_missing_key_is_looked_up_where_the_settings_say(monkeypatch):
    named = ModelSettings(model="anthropic/x", api_key_env="MY_KEY")
    client = Translated("anthropic/x", named, lambda _: 0.0)
    monkeypatch.delenv("MY_KEY", raising=False)
    assert client.missing_key() == "MY_KEY"
    monkeypatch.setenv("MY_KEY", "key")
    assert client.missing_key() is None


def test_litellm_is_kept_from_the_network(monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "")
    import os

    load_litellm()
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"


def test_the_chat_given_to_instructor_is_the_questions():
    assert messages(QUESTION)[-1]["content"] == "Good?"
