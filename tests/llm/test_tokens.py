import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.llm import tokens
from promptlabel.llm.chat import messages
from promptlabel.llm.tokens import TokenCounter, ceiling
from promptlabel.llm.translated import load_litellm
from promptlabel.records import Question, Shot, Usage

OPENAI = TokenCounter("gpt-5-mini", openai=True)
QUESTION = Question(
    "user: It did not work.\nassistant: Try again.\n\nGood?", ("yes", "no"), (Shot("Bad?", "no"),)
)


def text_question(prompt, decode="text"):
    return Question(prompt, ("yes", "no"), decode=decode)


@pytest.mark.filterwarnings("ignore")  # LiteLLM's own
@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4-turbo"])
def test_the_count_is_litellms(model):
    question = Question(QUESTION.prompt, QUESTION.answers, QUESTION.shots, "text")
    theirs = load_litellm().token_counter(model=model, messages=messages(question))
    ours = TokenCounter(model, openai=True).input_tokens(question)
    assert ours == pytest.approx(theirs, abs=2 * len(messages(question)))


def test_a_schema_counts_too():
    text = Question(QUESTION.prompt, QUESTION.answers, QUESTION.shots, "text")
    assert OPENAI.input_tokens(QUESTION) > OPENAI.input_tokens(text) + 20


def test_models_of_other_vocabularies_are_counted_on_the_safe_side():
    assert TokenCounter("mistral", openai=False).input_tokens(QUESTION) > 1.2 * OPENAI.input_tokens(QUESTION)


@given(st.text(max_size=300), st.sampled_from(["json", "text", "logprobs"]))
def test_the_ceiling_is_never_below_the_count(prompt, decode):
    question = text_question(prompt, decode)
    assert OPENAI.input_tokens(question) <= ceiling(question, 64).input_tokens


def test_the_ceiling_takes_the_output_as_given():
    assert ceiling(QUESTION, 64) == Usage(ceiling(QUESTION, 1).input_tokens, 64)


def test_a_text_that_is_hard_on_tables_is_counted_in_time():
    start = time.perf_counter()
    OPENAI.input_tokens(text_question("a" * 1_000_000))
    assert time.perf_counter() - start < 5


def test_the_fixed_part_is_counted_once():
    fixed = "\n".join(f"Rule {n}: consider whether the user was helped in this respect." for n in range(30))
    questions = [text_question(f"{fixed}\nuser: conversation number {n}, thanks") for n in range(2000)]
    OPENAI.input_tokens(questions[0])
    start = time.process_time()
    for question in questions:
        OPENAI.input_tokens(question)
    assert (time.process_time() - start) / len(questions) < 60e-6


def test_without_tables_three_bytes_are_a_token(monkeypatch):
    monkeypatch.setattr(tokens, "bundled_file", lambda _: None)
    tokens._encoding.cache_clear()
    tokens._line_tokens.cache_clear()
    try:
        assert tokens._line_tokens("o200k_base", "x" * 30) == 10
    finally:
        tokens._encoding.cache_clear()
        tokens._line_tokens.cache_clear()


def test_the_network_is_never_asked(monkeypatch):
    import tiktoken.load

    def refuse(path):
        raise AssertionError(path)

    monkeypatch.setattr(tiktoken.load, "read_file", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "/nowhere")
    tokens._encoding.cache_clear()
    import tiktoken.registry

    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    assert tokens._encoding("o200k_base") is not None
