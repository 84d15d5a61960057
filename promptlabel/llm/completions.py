"""A question as vLLM's text completions that state the probabilities of whole answers, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from promptlabel.llm.chat import read_usage
from promptlabel.llm.failures import UnusableAnswerError
from promptlabel.llm.fewshot import FewShotTokenizer
from promptlabel.llm.scoring import Reading, Tokens, answer, branchings
from promptlabel.records import Answer, Question, Usage

_TOKEN_ID = "token_id:"  # noqa: S105 - how vLLM writes a token by its number


class CompletionForm:
    """One request for all of a question's answers; the tokens are made here, by the model's own vocabulary.

    Args:
        model: the model's name at its server.
        tokenizer: lays questions out in tokens.
    """

    def __init__(self, model: str, tokenizer: FewShotTokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer

    def body(self, question: Question) -> dict[str, Any]:
        """The JSON object to send; every branching of the answers is a prompt of its own."""
        tokens = self._tokenizer.tokens(question)
        wanted = branchings(tokens.paths.values())
        following = sorted(set().union(*wanted.values()))
        return {
            "model": self._model,
            "prompt": [tokens.text + begun for begun in wanted],
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": len(following),
            "logprob_token_ids": following,
            "return_tokens_as_token_ids": True,
        }

    def read(self, raw: bytes, question: Question, price: Callable[[Usage], float]) -> Answer:
        """The answer in the server's completions, priced.

        Raises:
            UnusableAnswerError: the body is something else, or lacks a token that was asked for.
        """
        paths = self._tokenizer.paths(question.answers)
        reading = read_completions(raw, branchings(paths.values()))
        return answer(paths, reading, price(reading.usage))

    def usage(self, question: Question) -> Usage:
        """Exactly the tokens that the request takes."""
        return self._tokenizer.tokens(question).usage()

    def ceiling(self, question: Question, bound: Usage) -> Usage:
        """More tokens than the request takes, from a bound on the tokens of one text."""
        begun = branchings(self._tokenizer.paths(question.answers).values())
        return Usage(sum(bound.input_tokens + len(path) for path in begun), len(begun))


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
