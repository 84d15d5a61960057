"""A model that vLLM runs for this process alone, in a worker that ends with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any, Protocol

import orjson

from promptlabel.errors import Fault, raise_if_any
from promptlabel.llm.chat import accepts, form_of, messages, read_completion
from promptlabel.llm.client import Request
from promptlabel.llm.completions import CompletionForm
from promptlabel.llm.fewshot import FewShotTokenizer
from promptlabel.llm.pricing import FREE, token_price
from promptlabel.llm.raw_chat import RawChatForm
from promptlabel.llm.run_batch import RunBatch
from promptlabel.llm.tokens import longest_answers
from promptlabel.llm.vllm_process import Engine, VllmProcess
from promptlabel.llm.vocabulary import Vocabulary
from promptlabel.records import Answer, Decode, Question, Usage
from promptlabel.settings import CONFIGURATION_FILE, ModelSettings

_MESSAGE_FRAME = 8
"""Tokens that a chat template puts around a message, more or less."""


class Posts(Protocol):
    """An engine that answers requests as OpenAI's servers take them."""

    async def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """The body of the answer.

        Raises:
            ModelError: the request is refused, or the engine cannot answer.
        """
        ...

    async def close(self) -> None:
        """Nothing; it is not needed any more."""
        ...


class InProcessClient:
    """A model in a folder of weights, loaded by vLLM at its first use.

    Args:
        name: the model's name in the project.
        settings: `model` is the folder, `python` the interpreter that has vLLM, `engine` what `vllm.LLM` is told.

    Raises:
        InputError: there are no weights, no vocabulary or no such interpreter; all of them are named.
    """

    decodes: Sequence[Decode] = ("logprobs", "json", "text")

    def __init__(self, name: str, settings: ModelSettings) -> None:
        self.name = name
        self._settings = settings
        self._price = token_price(settings) or FREE
        self.engine = find_engine(name, settings)
        self.vocabulary = Vocabulary.load(
            Path(settings.tokenizer or self.engine.weights), f"models.{name}.tokenizer"
        )
        self.tokenizer = FewShotTokenizer(self.vocabulary, _window(self.engine))
        self._form = CompletionForm(name, self.tokenizer)
        self._raw = RawChatForm(name, self.tokenizer, self.vocabulary)
        self._engine: Posts = VllmProcess(self.engine)

    def through(self, engine: Posts) -> None:
        """Nothing; from now on an engine is asked that somebody else runs."""
        self._engine = engine

    async def ask(self, question: Question) -> Answer:
        """The model's answer to one request.

        Raises:
            ModelError: permanent where vLLM cannot load the model or has died.
        """
        if question.decode == "logprobs":
            received = await self._engine.post("/completions", self._form.body(question))
            return self._form.read(received, question, self.price)
        received = await self._engine.post("/chat/completions", chat_body(self._settings, question))
        return read_completion(received, question, self.price)

    def accepts(self, question: Question, answer: Answer) -> bool:
        """Whether the answer fits the pydantic model made of the question's answers."""
        return accepts(question, answer)

    def count_tokens(self, question: Question) -> Usage:
        """The tokens the request takes, exactly where answers are scored; the model is not loaded for it."""
        if question.decode == "logprobs":
            return self._form.usage(question)
        chat = messages(question)
        taken = sum(len(self.vocabulary(message["content"])) + _MESSAGE_FRAME for message in chat)
        likely = max(len(self.vocabulary(form)) for form in longest_answers(question))
        return Usage(taken, self._settings.max_tokens if question.rationale else likely)

    def batch_requests(self, question: Question) -> list[Request]:
        """See `BatchClient.batch_requests`."""
        if question.decode == "logprobs":
            return self._raw.requests(question)
        return [Request("/chat/completions", {"model": self.name, **chat_body(self._settings, question)})]

    def read_batch(self, question: Question, received: Sequence[bytes]) -> Answer:
        """See `BatchClient.read_batch`."""
        if question.decode == "logprobs":
            return self._raw.read(received, question, self.batch_price)
        return read_completion(received[0], question, self.batch_price)

    def batch_ceiling(self, question: Question) -> float:
        """See `BatchClient.batch_ceiling`."""
        return 0.0 if self._price == FREE else self.batch_price(self.count_tokens(question))

    def batch_price(self, usage: Usage) -> float:
        """See `BatchClient.batch_price`."""
        return self._price.usd(usage)

    def batch_runner(self, folder: Path) -> RunBatch:
        """See `BatchClient.batch_runner`."""
        return RunBatch(self.engine, self.name, folder)

    def price(self, usage: Usage) -> float:
        """US dollars by the project's own price; 0 without one."""
        return self._price.usd(usage)

    async def close(self) -> None:
        """Nothing; the worker has ended."""
        await self._engine.close()


def chat_body(settings: ModelSettings, question: Question) -> dict[str, Any]:
    """The JSON object of a chat completion that answers in JSON or as text."""
    body = {
        "messages": messages(question),
        "temperature": settings.temperature,
        "max_tokens": settings.max_tokens,
    }
    if question.decode == "json":
        body["response_format"] = form_of(question).response_format
    return body


def find_engine(name: str, settings: ModelSettings) -> Engine:
    """The weights and the interpreter of the project's model `name`.

    Raises:
        InputError: for each that is missing.
    """
    weights = Path(settings.model or "").expanduser()
    python = settings.python or sys.executable
    faults = []
    if not (weights / "config.json").is_file():
        message = f"no weights in {weights}: give a folder with config.json and safetensors files"
        faults.append(Fault(message, CONFIGURATION_FILE, key=f"models.{name}.model"))
    if settings.python is None and find_spec("vllm") is None:
        message = (
            "vLLM is not installed here, and its pins clash with LiteLLM's: install it in an environment of "
            "its own, and name that environment's interpreter, such as python: .vllm/bin/python"
        )
        faults.append(Fault(message, CONFIGURATION_FILE, key=f"models.{name}.python"))
    elif which(python) is None:
        faults.append(Fault(f"no interpreter {python}", CONFIGURATION_FILE, key=f"models.{name}.python"))
    raise_if_any(faults)
    return Engine(python, weights, settings.engine, settings.threads)


def _window(engine: Engine) -> int:
    """The most tokens of a text with its answer."""
    told = engine.arguments.get("max_model_len")
    known = orjson.loads((engine.weights / "config.json").read_bytes()).get("max_position_embeddings")
    return int(told or known or sys.maxsize)
