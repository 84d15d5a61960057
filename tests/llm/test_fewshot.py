"""Questions laid out as text for a model to continue, and fitted into its window."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.llm.fewshot import FewShotTokenizer
from promptlabel.records import Question, Shot, Usage

SHOTS = (Shot("It works.", "good"), Shot("It broke.", "bad"))


class Words:
    """A vocabulary of words, each with the white space before it, as byte-pair vocabularies have."""

    def __init__(self) -> None:
        self.known: list[str] = ["<s>"]

    def __call__(self, text: str, *, beginning: bool = False) -> tuple[int, ...]:
        pieces = re.findall(r"\n(?=\n)|\s?\w+|\s?[^\w\s]|\s", text)
        assert "".join(pieces) == text
        for piece in pieces:
            if piece not in self.known:
                self.known.append(piece)
        return (0,) * beginning + tuple(map(self.known.index, pieces))

    def text(self, tokens: tuple[int, ...]) -> str:
        return "".join(self.known[token] for token in tokens)


def test_examples_come_first_then_the_prompt():
    words = Words()
    tokens = FewShotTokenizer(words, 1000).tokens(Question("It hums.", ("good", "bad"), SHOTS))
    assert words.text(tokens.text) == (
        "<s>It works.\nAnswer: good\n\nIt broke.\nAnswer: bad\n\nIt hums.\nAnswer:"
    )
    assert {name: words.text(path) for name, path in tokens.paths.items()} == {"good": " good", "bad": " bad"}
    assert not tokens.truncated


@pytest.mark.parametrize("shots", [(), SHOTS, SHOTS[:1]])
def test_answers_that_no_example_shows_are_named_at_the_top(shots):
    words = Words()
    text = words.text(
        FewShotTokenizer(words, 1000).tokens(Question("?", ("good", "bad", "unsure"), shots)).text
    )
    assert text.startswith("<s>The answer is one of: good, bad, unsure.\n\n")


def test_the_head_is_the_same_whatever_is_asked():
    tokenizer = FewShotTokenizer(Words(), 1000)
    first, second = (tokenizer.tokens(Question(text, ("good", "bad"), SHOTS)) for text in ("one", "two two"))
    assert first.head == second.head
    assert first.tail != second.tail


def test_an_answer_inside_another_ends_with_its_line():
    words = Words()
    paths = FewShotTokenizer(words, 1000).tokens(Question("?", ("yes", "yes but late"))).paths
    assert {name: words.text(path) for name, path in paths.items()} == {
        "yes": " yes\n",
        "yes but late": " yes but late",
    }


@given(st.integers(0, 80), st.integers(40, 60))
def test_a_long_prompt_keeps_the_head_and_its_own_end(length, window):
    words = Words()
    prompt = " ".join(map(str, range(length)))
    question = Question(prompt, ("good", "bad"), SHOTS[:1])
    whole = FewShotTokenizer(words, 1000).tokens(question)
    cut = FewShotTokenizer(words, window).tokens(question)
    assert len(cut.text) + 1 <= window
    assert cut.head == whole.head
    assert cut.tail == whole.tail[-len(cut.tail) :]
    assert cut.truncated == (len(whole.text) + 1 > window)
    assert len(cut.text) == min(len(whole.text), window - 1)


def test_examples_never_take_more_than_half_the_window_from_the_prompt():
    tokenizer = FewShotTokenizer(Words(), 21)
    cut = tokenizer.tokens(Question("w " * 40, ("good", "bad"), SHOTS * 10))
    assert (len(cut.head), len(cut.tail), cut.truncated) == (10, 10, True)


@pytest.mark.parametrize(
    ("answers", "texts", "out"), [(("good", "bad"), 1, 1), (("not good", "not bad", "bad"), 2, 2)]
)
def test_usage_counts_the_text_once_for_each_branching(answers, texts, out):
    tokens = FewShotTokenizer(Words(), 1000).tokens(Question("It hums.", answers))
    extra = out - 1
    assert tokens.usage() == Usage(texts * len(tokens.text) + extra, out)
