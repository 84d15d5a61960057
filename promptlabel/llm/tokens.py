"""Tokens of a question counted offline: OpenAI's tables as LiteLLM bundles them, and a bound that needs none."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import orjson

from promptlabel.llm.chat import answer_form, messages, opening
from promptlabel.llm.pricing import bundled_file
from promptlabel.records import Decode, Question, Shot, Usage

if TYPE_CHECKING:
    import tiktoken

_TABLES: Final = {
    "o200k_base": "litellm_core_utils/tokenizers/fb374d419588a4632f3f557e76b4b70aebbca790",
    "cl100k_base": "litellm_core_utils/tokenizers/9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
}
_BYTES_PER_TOKEN = 3.0
_OTHER_VOCABULARIES = 1.3
_MESSAGE_FRAME = 4
_CHAT_FRAME = 3
_TEMPLATE_BYTES = 64
_LONGEST_PIECE = 400


class TokenCounter:
    """Counts the tokens of questions for one model.

    For OpenAI's models the count is theirs (the text's tokens, four a message, three a chat). For others,
    whose tables are not to be had offline, it is o200k's count times 1.3, which is more than the Llama,
    Mistral and Qwen vocabularies take for texts in European languages. Without any table it is a token for
    every three bytes.
    """

    def __init__(self, model: str, *, openai: bool) -> None:
        old = model.startswith(("gpt-4-", "gpt-3.5")) or model == "gpt-4"
        self._table = "cl100k_base" if openai and old else "o200k_base"
        self._factor = 1.0 if openai else _OTHER_VOCABULARIES

    def input_tokens(self, question: Question) -> int:
        """Tokens the request will take; lines seen before, such as a rule's fixed part, are not counted again."""
        chat = messages(question)
        counted = sum(self._count(message["content"]) for message in chat)
        if question.decode == "json":
            counted += _schema_tokens(self._table, question.answers, question.rationale, question.several)
        return math.ceil(self._factor * counted) + _MESSAGE_FRAME * len(chat) + _CHAT_FRAME

    def output_tokens(self, question: Question) -> int:
        """Tokens of the longest of the question's answers, in the form it asks for."""
        return math.ceil(self._factor * max(map(self._count, longest_answers(question))))

    def _count(self, text: str) -> int:
        return sum(
            _line_tokens(self._table, piece)
            for line in text.splitlines(keepends=True)
            for piece in _pieces(line)
        )


def longest_answers(question: Question) -> list[str]:
    """What the question's answers look like in the form it asks for; of a set of answers, all of them together."""
    if question.decode != "json":
        return [", ".join(question.answers)] if question.several else list(question.answers)
    if question.several:
        return [f'{{"answer":{orjson.dumps(question.answers).decode()}}}']
    return [f'{{"answer":"{one}"}}' for one in question.answers]


def ceiling(question: Question, output_tokens: int) -> Usage:
    """More tokens than the request can take, found without a table.

    No tokenizer that works on bytes makes more tokens of a text than it has bytes; 64 a message are left for
    what a chat template adds.
    """
    head = _opening_bytes(
        question.answers, question.shots, question.decode, question.rationale, question.several
    )
    return Usage(head + _bytes(question.prompt), output_tokens)


@lru_cache(maxsize=1024)
def _opening_bytes(
    answers: tuple[str, ...], shots: tuple[Shot, ...], decode: Decode, rationale: bool, several: bool
) -> int:
    size = sum(_bytes(message["content"]) for message in opening(answers, shots, decode, rationale, several))
    return size + (len(_schema(answers, rationale, several)) if decode == "json" else 0)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass")) + _TEMPLATE_BYTES


@lru_cache(maxsize=1024)
def _schema_tokens(table: str, answers: tuple[str, ...], rationale: bool, several: bool) -> int:
    return _line_tokens(table, _schema(answers, rationale, several))


def _schema(answers: tuple[str, ...], rationale: bool, several: bool) -> str:
    return orjson.dumps(
        answer_form(answers, rationale, several).response_format["json_schema"]["schema"]
    ).decode()


def _pieces(line: str) -> Iterator[str]:
    """Long lines are cut, for a table's search is quadratic in the length of a word."""
    return (line[start : start + _LONGEST_PIECE] for start in range(0, len(line), _LONGEST_PIECE))


@lru_cache(maxsize=8192)
def _line_tokens(table: str, line: str) -> int:
    encoding = _encoding(table)
    if encoding is None:
        return math.ceil(len(line.encode("utf-8", "surrogatepass")) / _BYTES_PER_TOKEN)
    return len(encoding.encode_ordinary(line))


@lru_cache(maxsize=2)
def _encoding(table: str) -> tiktoken.Encoding | None:
    path = bundled_file(_TABLES[table])
    if path is None:
        return None
    import tiktoken

    with _environment("TIKTOKEN_CACHE_DIR", str(path.parent)):
        return tiktoken.get_encoding(table)


@contextmanager
def _environment(variable: str, value: str) -> Iterator[None]:
    before = os.environ.get(variable)
    os.environ[variable] = value
    try:
        yield
    finally:
        os.environ.pop(variable)
        if before is not None:
            os.environ[variable] = before
