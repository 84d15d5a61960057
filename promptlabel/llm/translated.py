"""Any provider that LiteLLM knows, through LiteLLM's own call; Instructor where the form must be talked into."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from types import ModuleType
from typing import Any

import orjson

from promptlabel.errors import ModelError
from promptlabel.llm.chat import TOP_LOGPROBS, Chat, form_of, messages, read_completion
from promptlabel.llm.endpoints import on_this_machine
from promptlabel.llm.failures import UnusableAnswerError, refusal, retry_after
from promptlabel.records import Answer, Question, Usage
from promptlabel.settings import ModelSettings

Price = Callable[[Usage], float]

_ONCE = {"max_retries": 0, "num_retries": 0}


class Translated:
    """One model asked by way of LiteLLM, its own retries off.

    Args:
        model: LiteLLM's name of it.
        settings: how it is reached.
        price: US dollars for a usage.
    """

    def __init__(self, model: str, settings: ModelSettings, price: Price) -> None:
        self._model = model
        self._settings = settings
        self._price = price
        self._litellm: ModuleType | None = None

    async def ask(self, question: Question) -> Answer:
        """The model's answer; a provider without structured output is asked through Instructor."""
        litellm = await self._loaded()
        structured = question.decode != "json" or litellm.supports_response_schema(model=self._model)
        if not structured:
            return await self.instruct(question, messages(question))
        from openai import OpenAIError  # the base of LiteLLM's own errors

        try:
            completion = await litellm.acompletion(**self._fields(question, messages(question)), **_ONCE)
        except OpenAIError as error:
            raise failure(error) from None
        return self._read(completion, question)

    async def instruct(self, question: Question, chat: Chat) -> Answer:
        """The answer to the chat through Instructor's JSON mode, one request; ill-formed text is returned as it is."""
        litellm = await self._loaded()
        instructor = await asyncio.to_thread(_load_instructor)

        async def create(**fields: Any) -> Any:
            return await litellm.acompletion(**fields, **_ONCE)

        client = instructor.from_litellm(create, mode=instructor.Mode.MD_JSON)
        form = form_of(question).model
        fields = self._common(chat) | {"max_tokens": self._settings.max_tokens}
        try:
            _, completion = await client.create_with_completion(response_model=form, max_retries=0, **fields)
        except _instructor_errors() as error:
            completion = error.last_completion
            if completion is None:
                raise failure(error.__cause__ or error) from None
        return self._read(completion, question)

    async def close(self) -> None:
        """Nothing; LiteLLM's connections are closed where it was used."""
        if self._litellm is not None:
            await self._litellm.close_litellm_async_clients()

    def missing_key(self) -> str | None:
        """The environment variable that should hold this model's key and does not, or None."""
        if on_this_machine(self._settings.api_base):
            return None
        if self._settings.api_key_env:
            return None if os.environ.get(self._settings.api_key_env) else self._settings.api_key_env
        missing = load_litellm().validate_environment(model=self._model).get("missing_keys") or [None]
        return str(missing[0]) if missing[0] else None

    async def _loaded(self) -> ModuleType:
        if self._litellm is None:
            self._litellm = await asyncio.to_thread(load_litellm)
        return self._litellm

    def _read(self, completion: Any, question: Question) -> Answer:
        return read_completion(orjson.dumps(completion.model_dump(mode="json")), question, self._price)

    def _common(self, chat: Chat) -> dict[str, Any]:
        key = os.environ.get(self._settings.api_key_env or "")
        return {
            "model": self._model,
            "messages": chat,
            "api_base": self._settings.api_base,
            "api_key": key or ("fake-api-key" if on_this_machine(self._settings.api_base) else None),
            "temperature": self._settings.temperature,
            "timeout": self._settings.timeout,
            "drop_params": True,
        }

    def _fields(self, question: Question, chat: Chat) -> dict[str, Any]:
        fields = self._common(chat)
        if question.decode == "logprobs":
            return fields | {"max_tokens": 1, "logprobs": True, "top_logprobs": TOP_LOGPROBS}
        fields["max_tokens"] = self._settings.max_tokens
        if question.decode == "json":
            form = form_of(question)
            fields["response_format"] = form.response_format
        return fields


def load_litellm() -> ModuleType:
    """LiteLLM, kept from fetching its price list and from printing."""
    if not os.environ.get("LITELLM_LOCAL_MODEL_COST_MAP"):
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    litellm = import_module("litellm")
    setattr(litellm, "suppress_debug_info", True)  # noqa: B010 - a module's attribute, unknown to types
    return litellm


def _load_instructor() -> ModuleType:
    """Instructor, kept from printing an error for every ill-formed answer, which the ledger has already."""
    instructor = import_module("instructor")
    logging.getLogger("instructor").setLevel(logging.CRITICAL)
    return instructor


def _instructor_errors() -> tuple[type[Any], ...]:
    """Those that hold the completion that Instructor could not use."""
    from instructor.core.exceptions import IncompleteOutputException, InstructorRetryException

    return InstructorRetryException, IncompleteOutputException


def failure(error: BaseException) -> ModelError:
    """The error for an exception of LiteLLM's: by its class where that says more than its status."""
    litellm = load_litellm()
    if isinstance(error, ModelError):
        return error
    if isinstance(error, litellm.exceptions.Timeout):
        return UnusableAnswerError(str(error)[:300], cause="timeout")
    if isinstance(error, litellm.exceptions.APIConnectionError):
        return UnusableAnswerError(str(error)[:300], cause="connection")
    headers = getattr(error, "litellm_response_headers", None) or {}
    codes = tuple(str(code) for code in (_code(litellm, error), getattr(error, "type", None)) if code)
    status = getattr(error, "status_code", None)
    wait = retry_after({name.lower(): value for name, value in headers.items()}, datetime.now(UTC))
    return refusal(status if isinstance(status, int) else 500, codes, str(error)[:300], wait)


def _code(litellm: ModuleType, error: BaseException) -> str | None:
    if isinstance(error, litellm.exceptions.ContentPolicyViolationError):
        return "content_filter"
    if isinstance(error, litellm.exceptions.ContextWindowExceededError):
        return "context_length_exceeded"
    return getattr(error, "code", None)
