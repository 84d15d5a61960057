"""Where and how providers with OpenAI-shaped chat are reached, known without importing LiteLLM.

What stands here is LiteLLM's knowledge written down: importing it to ask costs 3 s and 170 MB. The contract
test in tests/llm/test_endpoints.py keeps it honest. For every provider and decoding it sends a question
through `litellm.acompletion` to a local server and demands the same address, the same authorisation and the
same body from this table. A provider that is not here goes through LiteLLM itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from promptlabel.llm.chat import TOP_LOGPROBS, form_of, messages
from promptlabel.llm.pricing import bundled_entry
from promptlabel.records import Decode, Question
from promptlabel.settings import ModelSettings

_PLACEHOLDER_KEY = "fake-api-key"
_ROOM_TO_REASON: Final[Mapping[str, int]] = {"none": 0, "minimal": 256, "low": 1024}


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenAI-shaped provider: its address, the variables that may hold its key, and what it adds."""

    base: str
    keys: tuple[str, ...]
    bases: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    logprobs: bool = True
    needs_key: bool = True
    structured_by_default: bool = True


PROVIDERS: Final[Mapping[str, Provider]] = {
    "openai": Provider(
        "https://api.openai.com/v1", ("OPENAI_API_KEY",), bases=("OPENAI_BASE_URL", "OPENAI_API_BASE")
    ),
    "hosted_vllm": Provider("", ("HOSTED_VLLM_API_KEY",), bases=("HOSTED_VLLM_API_BASE",), needs_key=False),
    "mistral": Provider("https://api.mistral.ai/v1", ("MISTRAL_API_KEY",), logprobs=False),
    "groq": Provider("https://api.groq.com/openai/v1", ("GROQ_API_KEY",), structured_by_default=False),
    "together_ai": Provider(
        "https://api.together.ai/v1", ("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY")
    ),
    "openrouter": Provider(
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_KEY",),
        headers={"HTTP-Referer": "https://litellm.ai", "X-Title": "liteLLM"},
        extra={"usage": {"include": True}},
    ),
    "deepseek": Provider("https://api.deepseek.com/beta", ("DEEPSEEK_API_KEY",), structured_by_default=False),
    "fireworks_ai": Provider(
        "https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY")
    ),
    "xai": Provider("https://api.x.ai/v1", ("XAI_API_KEY",)),
    "perplexity": Provider(
        "https://api.perplexity.ai", ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"), logprobs=False
    ),
    "cerebras": Provider("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",), logprobs=False),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model of one provider: address, headers, and the fields that every request to it has.

    Attributes:
        direct: the decodings that need nothing of LiteLLM; JSON only where the provider holds to a schema.
        output_room: tokens an answer may take on top of `max_tokens`, where the model reasons first.
    """

    url: str
    headers: Mapping[str, str]
    model: str
    max_tokens: int
    max_tokens_field: str
    fixed: Mapping[str, Any]
    direct: frozenset[Decode]
    output_room: int = 0

    def body(self, question: Question) -> dict[str, Any]:
        """The JSON object to send for the question."""
        fields = {"model": self.model, "messages": messages(question), **self.fixed}
        if question.decode == "logprobs":
            return {**fields, self.max_tokens_field: 1, "logprobs": True, "top_logprobs": TOP_LOGPROBS}
        fields[self.max_tokens_field] = self.max_tokens + self.output_room
        if question.decode == "json":
            fields["response_format"] = form_of(question).response_format
        return fields


def provider_of(model: str) -> tuple[str, str]:
    """The provider's name and the model's name there; a bare name is looked up in the price map."""
    prefix, _, rest = model.partition("/")
    if rest and prefix in PROVIDERS:
        return prefix, rest
    entry = bundled_entry(model)
    return str(entry.get("litellm_provider", "")) if entry and not rest else prefix, rest or model


def endpoint(settings: ModelSettings) -> Endpoint | None:
    """The endpoint of a model with OpenAI-shaped chat, or None where LiteLLM itself must be asked."""
    name, model = provider_of(settings.model or "")
    provider = PROVIDERS.get(name)
    base = provider and address(provider, settings)
    if provider is None or not base:
        return None
    entry = bundled_entry(settings.model or "") or {}
    effort = _reasoning_effort(name, entry)
    fixed: dict[str, Any] = {"reasoning_effort": effort} if effort else {"temperature": settings.temperature}
    return Endpoint(
        url=base.rstrip("/") + "/chat/completions",
        headers={**provider.headers, "Authorization": f"Bearer {key(provider, settings)}"},
        model=model,
        max_tokens=settings.max_tokens,
        max_tokens_field="max_completion_tokens" if effort else "max_tokens",
        fixed={**fixed, **provider.extra},
        direct=_direct(provider, entry, reasons=bool(effort)),
        output_room=_ROOM_TO_REASON[effort] if effort else 0,
    )


def address(provider: Provider, settings: ModelSettings) -> str:
    """The base address: the project's, the environment's, or the provider's own; empty where there is none."""
    named = (os.environ.get(variable) for variable in provider.bases)
    return settings.api_base or next(filter(None, named), provider.base)


def key(provider: Provider, settings: ModelSettings) -> str:
    """The key to send; a placeholder where the server does not need one."""
    return _found_key(provider, settings) or _PLACEHOLDER_KEY


def missing_key(provider: Provider, settings: ModelSettings) -> str | None:
    """The variable that should hold the key and does not; None where there is a key or none is needed."""
    if _found_key(provider, settings):
        return None
    if settings.api_key_env:
        return settings.api_key_env
    needless = not provider.needs_key or on_this_machine(settings.api_base)
    return None if needless else provider.keys[0]


def on_this_machine(api_base: str | None) -> bool:
    """Whether the address is a loopback one."""
    host = urlsplit(api_base or "").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _found_key(provider: Provider, settings: ModelSettings) -> str | None:
    variables = (settings.api_key_env,) if settings.api_key_env else provider.keys
    return next(filter(None, map(os.environ.get, variables)), None)


def _reasoning_effort(provider: str, entry: Mapping[str, Any]) -> str | None:
    if provider != "openai" or not entry.get("supports_reasoning"):
        return None
    for effort in ("none", "minimal"):
        if entry.get(f"supports_{effort}_reasoning_effort"):
            return effort
    return "low"


def _direct(provider: Provider, entry: Mapping[str, Any], *, reasons: bool) -> frozenset[Decode]:
    structured = entry.get("supports_response_schema", provider.structured_by_default and not entry)
    decodes: dict[Decode, bool] = {
        "json": structured,
        "logprobs": provider.logprobs and not reasons,
        "text": True,
    }
    return frozenset(decode for decode, possible in decodes.items() if possible)
