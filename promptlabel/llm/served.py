"""A model behind vLLM's OpenAI-compatible server: asked in chat, or scored by the probabilities of whole answers."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from promptlabel.errors import Fault, InputError
from promptlabel.llm.client import Request
from promptlabel.llm.completions import CompletionForm
from promptlabel.llm.fewshot import FewShotTokenizer
from promptlabel.llm.hosted import CHAT, HostedClient, Price
from promptlabel.llm.vocabulary import Vocabulary
from promptlabel.llm.wire import Wire
from promptlabel.records import Answer, Question, Usage
from promptlabel.settings import ModelSettings

_COMPLETIONS = "/completions"


class ServedClient(HostedClient):
    """A model of a server that speaks OpenAI's chat completions, such as vLLM's.

    With the model's vocabulary at hand (`settings.tokenizer`, a ``tokenizer.json`` or its folder) the
    probabilities of whole answers are exact. Without it `logprobs` is what the chat's first token says, as
    for any hosted model.

    Raises:
        InputError: `settings.tokenizer` is no vocabulary, or the server's address is missing.
    """

    def __init__(self, name: str, settings: ModelSettings) -> None:
        super().__init__(name, settings)
        self._form: CompletionForm | None = None
        if settings.tokenizer is not None:
            self._form, self._completions = self._scorer(Path(settings.tokenizer))
            self.decodes = ("logprobs", "json", "text")

    async def ask(self, question: Question) -> Answer:
        """The model's answer to one request.

        Raises:
            ModelError: see `promptlabel.llm.failures`.
        """
        form = self._form_of(question)
        if form is None:
            return await super().ask(question)
        received = await self._completions.post(orjson.dumps(form.body(question)))
        return form.read(received, question, self.price)

    def request(self, question: Question) -> Request:
        """What `ask` sends, for a batch file."""
        form = self._form_of(question)
        return Request(_COMPLETIONS, form.body(question)) if form else super().request(question)

    def read(self, question: Question, received: bytes, price: Price) -> Answer:
        """The answer in what came back for `request`.

        Raises:
            ModelError: see `promptlabel.llm.failures`.
        """
        form = self._form_of(question)
        return form.read(received, question, price) if form else super().read(question, received, price)

    def count_tokens(self, question: Question) -> Usage:
        """The tokens the request takes, exactly where answers are scored, else as for a hosted model."""
        form = self._form_of(question)
        return form.usage(question) if form else super().count_tokens(question)

    def ceiling(self, question: Question) -> Usage:
        """More tokens than the request can take, without counting; one text for each branching of the answers."""
        bound, form = super().ceiling(question), self._form_of(question)
        return form.ceiling(question, bound) if form else bound

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        await super().close()
        if self._form is not None:
            await self._completions.close()

    def _form_of(self, question: Question) -> CompletionForm | None:
        """The form by which the question's answers are scored; None where it is asked in chat."""
        return self._form if question.decode == "logprobs" else None

    def _scorer(self, vocabulary: Path) -> tuple[CompletionForm, Wire]:
        key = f"models.{self.name}"
        if self._endpoint is None:
            raise InputError(Fault("give the address of the server", key=f"{key}.api_base"))
        tokenizer = FewShotTokenizer(Vocabulary.load(vocabulary, f"{key}.tokenizer"), sys.maxsize)
        url = self._endpoint.url.removesuffix(CHAT) + _COMPLETIONS
        wire = Wire(url, self._endpoint.headers, self._settings.timeout, self._settings.concurrency)
        return CompletionForm(self._endpoint.model, tokenizer), wire
