import asyncio
from contextlib import suppress

import orjson
import pytest

from promptlabel.llm import endpoints
from promptlabel.llm.chat import messages
from promptlabel.llm.endpoints import PROVIDERS, endpoint, missing_key, on_this_machine, provider_of
from promptlabel.llm.translated import Translated, load_litellm
from promptlabel.records import Question, Shot
from promptlabel.settings import ModelSettings

MODELS = {
    "openai": "openai/gpt-4o-mini",
    "hosted_vllm": "hosted_vllm/Qwen/Qwen3-0.6B",
    "mistral": "mistral/mistral-small-latest",
    "groq": "groq/openai/gpt-oss-20b",
    "together_ai": "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "openrouter": "openrouter/openai/gpt-4o-mini",
    "deepseek": "deepseek/deepseek-chat",
    "fireworks_ai": "fireworks_ai/accounts/fireworks/models/llama-v3p1-8b-instruct",
    "xai": "xai/grok-3",
    "perplexity": "perplexity/sonar",
    "cerebras": "cerebras/llama3.1-8b",
}
pytestmark = pytest.mark.filterwarnings("ignore")  # LiteLLM's own

QUESTION = Question("Was it good?\nä€😀", ("yes", "no"), (Shot("Bad?", "no"),), rationale=True)


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name, provider in PROVIDERS.items():
        for variable in (*provider.keys, *provider.bases):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv(provider.keys[0], f"key-of-{name}")


def head_of(raw):
    request, *lines = raw.decode().split("\r\n")
    return request, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


async def sent_by_litellm(mock_model, settings, question):
    litellm = load_litellm()
    async with mock_model.serving() as server:
        settings = settings.model_copy(update={"api_base": server.url})
        translated = Translated(settings.model, settings, lambda _: 0.0)
        await translated._loaded()
        fields = translated._fields(question, messages(question))
        fields.pop("drop_params")
        with suppress(
            litellm.exceptions.APIConnectionError
        ):  # LiteLLM cannot read the mock's answer for groq
            await litellm.acompletion(**fields, max_retries=0)
        await translated.close()
        return server.url, server.seen.last_head, orjson.loads(server.seen.last_body)


@pytest.mark.parametrize("decode", ["json", "logprobs", "text"])
@pytest.mark.parametrize("name", PROVIDERS)
def test_what_is_sent_is_what_litellm_sends(name, decode, mock_model):
    settings = ModelSettings(
        model=MODELS[name], api_base="http://127.0.0.1:1", max_tokens=48, temperature=0.25
    )
    ours = endpoint(settings)
    if decode not in ours.direct:
        pytest.skip(f"{name} is asked through LiteLLM for {decode}")
    question = Question(QUESTION.prompt, QUESTION.answers, QUESTION.shots, decode, QUESTION.rationale)
    settings = settings.model_copy(update={"api_key_env": PROVIDERS[name].keys[0]})
    url, head, body = asyncio.run(sent_by_litellm(mock_model, settings, question))
    request, headers = head_of(head)
    here = endpoint(settings.model_copy(update={"api_base": url}))
    assert here.body(question) == body
    assert request == f"POST {here.url.removeprefix(url.removesuffix('/v1'))} HTTP/1.1"
    assert {key.lower(): value for key, value in here.headers.items()}.items() <= headers.items()


@pytest.mark.parametrize("name", sorted(PROVIDERS.keys() - {"hosted_vllm"}))
def test_the_providers_own_address_and_key_are_litellms(name):
    litellm = load_litellm()
    model, provider, key, base = litellm.get_llm_provider(MODELS[name])
    ours = endpoint(ModelSettings(model=MODELS[name]))
    assert provider == name
    assert ours.model == model
    assert ours.url == (base or PROVIDERS[name].base).rstrip("/") + "/chat/completions"
    if key:
        assert ours.headers["Authorization"] == f"Bearer {key}"


def test_a_model_that_reasons_is_given_room_and_no_temperature(mock_model):
    ours = endpoint(ModelSettings(model="openai/gpt-5-mini", max_tokens=64))
    body = ours.body(QUESTION)
    assert "temperature" not in body
    assert "max_tokens" not in body
    assert (body["reasoning_effort"], body["max_completion_tokens"]) == ("minimal", 64 + ours.output_room)
    assert "logprobs" not in ours.direct
    supported = load_litellm().get_supported_openai_params("gpt-5-mini", custom_llm_provider="openai")
    assert {"reasoning_effort", "max_completion_tokens", "response_format"} <= set(supported)


@pytest.mark.parametrize(
    "model", ["anthropic/claude-haiku-4-5", "gemini/gemini-2.0-flash", "azure/mine", "no-such-thing/x", "x"]
)
def test_what_is_not_openai_shaped_is_left_to_litellm(model):
    assert endpoint(ModelSettings(model=model)) is None


def test_a_served_model_without_an_address_has_no_endpoint():
    assert endpoint(ModelSettings(model="hosted_vllm/x")) is None


def test_a_bare_name_finds_its_provider():
    assert provider_of("gpt-4o-mini") == ("openai", "gpt-4o-mini")
    assert provider_of("openrouter/openai/gpt-4o") == ("openrouter", "openai/gpt-4o")


def test_a_missing_key_is_named(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    openai = PROVIDERS["openai"]
    assert missing_key(openai, ModelSettings(model="openai/x")) == "OPENAI_API_KEY"
    assert missing_key(openai, ModelSettings(model="openai/x", api_base="http://127.0.0.1:1/v1")) is None
    assert (
        missing_key(openai, ModelSettings(model="openai/x", api_base="http://example.org/v1"))
        == "OPENAI_API_KEY"
    )
    named = ModelSettings(model="openai/x", api_key_env="MY_KEY")
    assert missing_key(openai, named) == "MY_KEY"
    monkeypatch.setenv("MY_KEY", "s3cret")
    assert missing_key(openai, named) is None
    assert endpoint(named).headers["Authorization"] == "Bearer s3cret"


def test_a_served_model_needs_no_key(monkeypatch):
    monkeypatch.delenv("HOSTED_VLLM_API_KEY")
    settings = ModelSettings(model="hosted_vllm/x", api_base="http://gpu.example:8000/v1")
    assert missing_key(PROVIDERS["hosted_vllm"], settings) is None
    assert endpoint(settings).headers["Authorization"] == "Bearer fake-api-key"


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:1/", True),
        ("https://api.openai.com/v1", False),
        ("http://127.0.0.1.example.org/", False),
        (None, False),
    ],
)
def test_loopback_addresses(address, here):
    assert on_this_machine(address) is here


def test_the_environments_address_is_used(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example/v1/")
    assert endpoint(ModelSettings(model="openai/x")).url == "https://proxy.example/v1/chat/completions"


def test_every_provider_has_a_contract():
    assert MODELS.keys() == endpoints.PROVIDERS.keys()
