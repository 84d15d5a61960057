"""A question as plain text for a model to continue: worked examples, then the prompt.

The admitted answers are named first where the examples do not show them all. Named on top of examples that do,
they made SmolLM2 rank worse (YouTube comments, spam or ham: AUC .60 against .65, mean of 12 prompts).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from promptlabel.llm.scoring import Tokens, branchings, prefix_free
from promptlabel.records import Question, Shot, Usage

_CUE = "Answer:"
_BREAK = "\n\n"


class Tokenize(Protocol):
    """A model's vocabulary."""

    def __call__(self, text: str, *, beginning: bool = False) -> Tokens:
        """The text's tokens, after the model's own opening token at the `beginning` of a text."""
        ...


@dataclass(frozen=True, slots=True)
class FewShotTokens:
    """A question in tokens.

    Attributes:
        head: the same for all questions of a rule.
        tail: the question's own.
        paths: each answer as it would continue the text.
        truncated: whether the beginning of the question's own part did not fit.
    """

    head: Tokens
    tail: Tokens
    paths: dict[str, Tokens]
    truncated: bool

    @property
    def text(self) -> Tokens:
        """All that stands before the answer."""
        return self.head + self.tail

    def usage(self) -> Usage:
        """The tokens that scoring the answers takes: the text, and a token out, at each of their branchings."""
        begun = branchings(self.paths.values())
        return Usage(sum(len(self.text) + len(answer) for answer in begun), len(begun))


class FewShotTokenizer:
    """Lays questions out for one vocabulary and one window of tokens.

    A text too long for the window keeps its head and the end of its tail. The tail begins with the line
    break between them: vocabularies join a break to what follows it, so the parts' tokens are the whole's.
    """

    def __init__(self, tokenize: Tokenize, window: int) -> None:
        self._tokenize = tokenize
        self._window = window
        self._head = lru_cache(maxsize=256)(self._tokenized_head)
        self.paths = lru_cache(maxsize=1024)(self._tokenized_paths)

    def tokens(self, question: Question) -> FewShotTokens:
        """The question in tokens, cut to the window."""
        paths = self.paths(question.answers)
        head = self._head(question.answers, question.shots)
        tail = self._tokenize(f"{_BREAK}{question.prompt}\n{_CUE}")
        room = self._window - max(map(len, paths.values()))
        kept_tail = tail[-max(room - len(head), room // 2) :]
        kept_head = head[: room - len(kept_tail)]
        truncated = len(kept_head) + len(kept_tail) < len(head) + len(tail)
        return FewShotTokens(kept_head, kept_tail, paths, truncated)

    def _tokenized_head(self, answers: tuple[str, ...], shots: tuple[Shot, ...]) -> Tokens:
        return self._tokenize(_BREAK.join(_head(answers, shots)), beginning=True)

    def _tokenized_paths(self, answers: tuple[str, ...]) -> dict[str, Tokens]:
        cue = len(self._tokenize(_CUE))
        paths = {answer: self._tokenize(f"{_CUE} {answer}")[cue:] for answer in answers}
        return prefix_free(paths, self._tokenize(_BREAK)[:1])


def _head(answers: tuple[str, ...], shots: tuple[Shot, ...]) -> Iterator[str]:
    if not set(answers) <= {shot.answer for shot in shots}:
        yield f"The answer is one of: {', '.join(answers)}."
    for shot in shots:
        yield f"{shot.prompt}\n{_CUE} {shot.answer}"
