"""Models of hosted providers by their LiteLLM names: straight over the wire where the shape is known, else LiteLLM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson

from promptlabel.errors import ModelError
from promptlabel.llm import endpoints, provider_batches
from promptlabel.llm.batches import BatchRunner
from promptlabel.llm.chat import accepts, complaint, messages, read_completion
from promptlabel.llm.client import Request
from promptlabel.llm.pricing import FREE, token_price
from promptlabel.llm.tokens import TokenCounter, ceiling
from promptlabel.llm.translated import Translated
from promptlabel.llm.wire import Wire
from promptlabel.records import Answer, Decode, Question, Usage
from promptlabel.settings import ModelSettings

_MOST_SHOWN: Final = 1000
"""Characters of an ill-formed answer, and of what is wrong with it, that the model is shown again."""
CHAT = "/chat/completions"

Price = Callable[[Usage], float]


class HostedClient:
    """One hosted model.

    Providers whose chat is OpenAI-shaped are sent what LiteLLM would send, without LiteLLM; all others, and
    re-asks after an ill-formed answer, go through LiteLLM and Instructor.

    Args:
        name: the model's name in the project.
        settings: `settings.model` is the LiteLLM name.
    """

    decodes: Sequence[Decode]

    def __init__(self, name: str, settings: ModelSettings) -> None:
        self.name = name
        self._settings = settings
        self._provider, bare = endpoints.provider_of(settings.model or "")
        self._endpoint = endpoints.endpoint(settings)
        free = FREE if self._is_own_server() else None
        self._price = token_price(settings) or free
        self._batch_price = token_price(settings, batch=True) or free
        self._counter = TokenCounter(bare, openai=self._provider == "openai")
        self._translated = Translated(settings.model or "", settings, self.price)
        self._wire = self._open_wire()
        self._direct = self._endpoint.direct if self._endpoint else frozenset()
        self.decodes = ("json", "logprobs", "text") if "logprobs" in self._direct else ("json", "text")

    @property
    def priced(self) -> bool:
        """Whether the model's price is known; `price` is 0 where it is not."""
        return self._price is not None

    def missing_key(self) -> str | None:
        """The environment variable that should hold the key and does not; None where all is well."""
        provider = endpoints.PROVIDERS.get(self._provider)
        if provider is None:
            return self._translated.missing_key()
        return endpoints.missing_key(provider, self._settings)

    async def ask(self, question: Question) -> Answer:
        """The model's answer to one request.

        Raises:
            ModelError: see `promptlabel.llm.failures`.
        """
        if self._wire is None or self._endpoint is None or question.decode not in self._direct:
            return await self._translated.ask(question)
        received = await self._wire.post(_encoded(self._endpoint.body(question)))
        return self.read(question, received, self.price)

    def request(self, question: Question) -> Request:
        """What `ask` sends, for a batch file.

        Raises:
            ModelError: the provider's requests are not OpenAI-shaped, or it cannot be held to a schema.
        """
        if self._endpoint is None or question.decode not in self._direct:
            raise ModelError(f"it cannot be asked for {question.decode} in a file", cause="bad_request")
        return Request(CHAT, self._endpoint.body(question))

    def read(self, question: Question, received: bytes, price: Price) -> Answer:
        """The answer in what came back for `request`; without token counts it has the most it can have used.

        Raises:
            ModelError: see `promptlabel.llm.failures`.
        """
        return _costed(question, read_completion(received, question, price), price)

    def accepts(self, question: Question, answer: Answer) -> bool:
        """Whether the answer fits the pydantic model made of the question's answers."""
        return accepts(question, answer)

    def pause(self) -> float:
        """Seconds to wait before the next request, where the last answer's headers said that none is left."""
        return self._wire.pause() if self._wire is not None else 0.0

    def correction(self, question: Question, answer: Answer) -> Question:
        """The question with the beginning of the model's answer, and what was wrong with it."""
        wrong = complaint(question, answer) or "The answer does not have the form."
        said, wrong = answer.text[:_MOST_SHOWN], wrong[:_MOST_SHOWN]
        again = f"You answered:\n{said}\nCorrect your JSON answer; the errors found:\n{wrong}"
        return replace(question, prompt=f"{question.prompt}\n\n{again}")

    async def correct(self, correction: Question) -> Answer:
        """The answer to one request through Instructor."""
        answer = await self._translated.instruct(correction, messages(correction))
        return _costed(correction, answer, self.price)

    def batch_requests(self, question: Question) -> list[Request]:
        """See `BatchClient.batch_requests`."""
        return [self.request(question)]

    def read_batch(self, question: Question, received: Sequence[bytes]) -> Answer:
        """See `BatchClient.read_batch`."""
        return self.read(question, received[0], self.batch_price)

    def batch_ceiling(self, question: Question) -> float:
        """See `BatchClient.batch_ceiling`."""
        return self.batch_price(self.ceiling(question))

    def batch_price(self, usage: Usage) -> float:
        """See `BatchClient.batch_price`."""
        return self._batch_price.usd(usage) if self._batch_price else 0.0

    def batch_runner(self, folder: Path) -> BatchRunner | None:  # noqa: ARG002 - of the protocol
        """See `BatchClient.batch_runner`."""
        if self._endpoint is None or self._provider not in provider_batches.PROVIDERS:
            return None
        key = self._endpoint.headers["Authorization"].removeprefix("Bearer ")
        base = self._endpoint.url.removesuffix(CHAT)
        return provider_batches.ProviderBatches(self._provider, base, key, self._settings.timeout)

    def count_tokens(self, question: Question) -> Usage:
        """Input tokens by the model's own table where it is known, and those of the longest answer.

        An answer that gives its reasons is taken to use all the tokens it may.
        """
        return Usage(self._counter.input_tokens(question), self._likely_output(question))

    def ceiling(self, question: Question) -> Usage:
        """More tokens than the request can take, without counting."""
        return ceiling(question, self._most_output(question))

    def price(self, usage: Usage) -> float:
        """US dollars; 0 where the price is not known."""
        return self._price.usd(usage) if self._price else 0.0

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        if self._wire is not None:
            await self._wire.close()
        await self._translated.close()

    def _is_own_server(self) -> bool:
        return self._provider == "hosted_vllm" or endpoints.on_this_machine(self._settings.api_base)

    def _likely_output(self, question: Question) -> int:
        if question.decode == "logprobs" or question.rationale:
            return self._most_output(question)
        room = self._endpoint.output_room if self._endpoint else 0
        return min(self._counter.output_tokens(question) + room, self._most_output(question))

    def _most_output(self, question: Question) -> int:
        if question.decode == "logprobs":
            return 1
        return self._settings.max_tokens + (self._endpoint.output_room if self._endpoint else 0)

    def _open_wire(self) -> Wire | None:
        if self._endpoint is None:
            return None
        return Wire(
            self._endpoint.url, self._endpoint.headers, self._settings.timeout, self._settings.concurrency
        )


def _costed(question: Question, answer: Answer, price: Price) -> Answer:
    """The answer; where the server reports no tokens, it is taken to have used the most it can have."""
    if answer.usage.input_tokens:
        return answer
    usage = ceiling(question, len(answer.text.encode()))
    return replace(answer, usage=usage, usd=price(usage))


def _encoded(body: object) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise ModelError(f"the prompt cannot be sent: {error}", cause="bad_text") from None
