"""A model behind vLLM's OpenAI-compatible server: asked in chat, or scored by the probabilities of whole answers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from promptlabel.errors import Fault, InputError
from promptlabel.llm.chat import read_usage
from promptlabel.llm.endpoints import Endpoint
from promptlabel.llm.failures import UnusableAnswerError
from promptlabel.llm.fewshot import FewShotTokenizer
from promptlabel.llm.hosted import HostedClient
from promptlabel.llm.scoring import Reading, Tokens, answer, branchings
from promptlabel.llm.wire import Wire
from promptlabel.records import Answer, Question, Usage
from promptlabel.settings import ModelSettings

if TYPE_CHECKING:
    import tokenizers

_TOKEN_ID = "token_id:"  # noqa: S105 - how vLLM writes a token by its number


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
        self._scorer = self._make_scorer()
        if self._scorer is not None:
            self.decodes = ("logprobs", "json", "text")

    async def ask(self, question: Question) -> Answer:
        """The model's answer to one request.

        Raises:
            ModelError: see `promptlabel.llm.failures`.
        """
        if self._scorer is None or question.decode != "logprobs":
            return await super().ask(question)
        reading = await self._scorer.read(question)
        return answer(self._scorer.tokenizer.paths(question.answers), reading, self.price(reading.usage))

    def count_tokens(self, question: Question) -> Usage:
        """The tokens the request takes, exactly where answers are scored, else as for a hosted model."""
        if self._scorer is None or question.decode != "logprobs":
            return super().count_tokens(question)
        return self._scorer.tokenizer.tokens(question).usage()

    def ceiling(self, question: Question) -> Usage:
        """More tokens than the request can take, without counting; one text for each branching of the answers."""
        bound = super().ceiling(question)
        if self._scorer is None or question.decode != "logprobs":
            return bound
        begun = branchings(self._scorer.tokenizer.paths(question.answers).values())
        return Usage(sum(bound.input_tokens + len(path) for path in begun), len(begun))

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        await super().close()
        if self._scorer is not None:
            await self._scorer.close()

    def _make_scorer(self) -> CompletionScorer | None:
        path, key = self._settings.tokenizer, f"models.{self.name}"
        if path is None:
            return None
        if self._endpoint is None:
            raise InputError(Fault("give the address of the server", key=f"{key}.api_base"))
        vocabulary = Vocabulary.load(Path(path), f"{key}.tokenizer")
        return CompletionScorer(self._endpoint, vocabulary, self._settings)


class CompletionScorer:
    """Reads the probabilities of answers from vLLM's text completions, all of a question in one request."""

    def __init__(self, endpoint: Endpoint, vocabulary: Vocabulary, settings: ModelSettings) -> None:
        self.tokenizer = FewShotTokenizer(vocabulary, sys.maxsize)
        self._model = endpoint.model
        url = endpoint.url.removesuffix("/chat/completions") + "/completions"
        self._wire = Wire(url, endpoint.headers, settings.timeout, settings.concurrency)

    async def read(self, question: Question) -> Reading:
        """The log-probabilities at every branching of the question's answers.

        Raises:
            ModelError: see `promptlabel.llm.failures`.
        """
        tokens = self.tokenizer.tokens(question)
        wanted = branchings(tokens.paths.values())
        received = await self._wire.post(orjson.dumps(self._body(tokens.text, wanted)))
        return read_completions(received, wanted)

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        await self._wire.close()

    def _body(self, text: Tokens, wanted: Mapping[Tokens, Tokens]) -> dict[str, object]:
        following = sorted(set().union(*wanted.values()))
        return {
            "model": self._model,
            "prompt": [text + begun for begun in wanted],
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": len(following),
            "logprob_token_ids": following,
            "return_tokens_as_token_ids": True,
        }


def read_completions(raw: bytes, wanted: Mapping[Tokens, Tokens]) -> Reading:
    """The reading in vLLM's text completions, one for each branching in its order.

    Raises:
        UnusableAnswerError: the body is something else, or lacks a token that was asked for.
    """
    try:
        body = orjson.loads(raw)
        choices = sorted(body["choices"], key=lambda choice: int(choice["index"]))
        shown = [choice["logprobs"]["top_logprobs"][0] for choice in choices]
        logprobs = {
            begun: {token: float(top[f"{_TOKEN_ID}{token}"]) for token in following}
            for (begun, following), top in zip(wanted.items(), shown, strict=True)
        }
        return Reading(logprobs, read_usage(body.get("usage")))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UnusableAnswerError(
            f"the server does not give the log-probabilities asked for ({error!r}): "
            "is it vLLM 0.32 or newer? without `tokenizer` it is asked in chat",
            cause="no_logprobs",
        ) from None


class Vocabulary:
    """A model's own vocabulary, by which text becomes the tokens that its server would make of it."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, path: Path, key: str) -> Vocabulary:
        """The vocabulary in a ``tokenizer.json`` or the folder that holds one; control tokens in texts are text.

        Raises:
            InputError: there is none, named by its `key` in the configuration.
        """
        from tokenizers import Tokenizer

        file = path / "tokenizer.json" if path.is_dir() else path
        try:
            tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # noqa: BLE001 - the library raises plain Exceptions
            raise InputError(Fault(f"{file} is no tokenizer.json: {error}", key=key)) from None
        tokenizer.encode_special_tokens = True
        return cls(tokenizer)

    def __call__(self, text: str, *, beginning: bool = False) -> Tokens:
        """The text's tokens, after the model's own opening token at the `beginning` of a text."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=beginning).ids)
