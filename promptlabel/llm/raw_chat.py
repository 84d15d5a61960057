"""Scoring of whole answers by chat completions, the one kind of request that `vllm run-batch` takes.

The chat's template is replaced by the bare text, so that the model sees what it sees when it is scored otherwise; each
branching of the answers is a request of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from promptlabel.llm.client import Request
from promptlabel.llm.failures import UnusableAnswerError
from promptlabel.llm.fewshot import FewShotTokenizer
from promptlabel.llm.scoring import Reading, Tokens, answer, branchings
from promptlabel.llm.vocabulary import Vocabulary
from promptlabel.records import Answer, Question, Usage

_BARE: Final = "{{ messages[0]['content'] }}"
_TOKEN_ID: Final = "token_id:"  # noqa: S105 - how vLLM writes a token by its number


class RawChatForm:
    """A question as as many chat requests as its answers have branchings.

    Args:
        model: the model's name in the requests.
        tokenizer: lays questions out in tokens.
        vocabulary: the same model's.
    """

    def __init__(self, model: str, tokenizer: FewShotTokenizer, vocabulary: Vocabulary) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary

    def requests(self, question: Question) -> list[Request]:
        """The requests, in the order of the branchings."""
        tokens = self._tokenizer.tokens(question)
        wanted = branchings(tokens.paths.values())
        return [
            Request("/chat/completions", self._body(tokens.text + begun, following))
            for begun, following in wanted.items()
        ]

    def read(self, received: Sequence[bytes], question: Question, price: Callable[[Usage], float]) -> Answer:
        """The answer in the bodies that came back, in the order of the requests.

        Raises:
            UnusableAnswerError: a body is something else, or the server read the text as other tokens.
        """
        tokens = self._tokenizer.tokens(question)
        wanted = branchings(tokens.paths.values())
        logprobs, used = {}, Usage()
        for (begun, following), raw in zip(wanted.items(), received, strict=True):
            logprobs[begun], usage = _read(raw, following, len(tokens.text) + len(begun))
            used = Usage(used.input_tokens + usage.input_tokens, used.output_tokens + usage.output_tokens)
        return answer(tokens.paths, Reading(logprobs, used), price(used))

    def _body(self, text: Tokens, following: Tokens) -> dict[str, Any]:
        return {
            "model": self._model,
            "messages": [{"role": "user", "content": self._vocabulary.text(text)}],
            "chat_template": _BARE,
            "add_generation_prompt": False,
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": True,
            "top_logprobs": len(following) + 1,
            "logprob_token_ids": following,
            "return_tokens_as_token_ids": True,
        }


def _read(raw: bytes, following: Tokens, length: int) -> tuple[dict[int, float], Usage]:
    try:
        body = orjson.loads(raw)
        top = body["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        shown = {token["token"]: float(token["logprob"]) for token in top}
        logprobs = {token: shown[f"{_TOKEN_ID}{token}"] for token in following}
        used = Usage(int(body["usage"]["prompt_tokens"]), int(body["usage"]["completion_tokens"]))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UnusableAnswerError(
            f"vllm run-batch did not give the log-probabilities asked for: {error!r}", cause="no_logprobs"
        ) from None
    if used.input_tokens != length:
        raise UnusableAnswerError(
            f"vllm read the prompt as {used.input_tokens} tokens instead of {length}: ask without --batch",
            cause="tokenization",
            answer=Answer("", usage=used),
        )
    return logprobs, used
