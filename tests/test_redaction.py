"""Keys and passwords are taken out of text; everything else stays as it was."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel import redaction
from promptlabel.redaction import REDACTED, redacted

SECRETS = [
    "sk-proj-abcDEF1234567890abcDEF123",
    "sk-ant-api03-" + "x" * 90,
    "sk_live_" + "a1" * 12,
    "AKIAIOSFODNN7EXAMPLE",
    "AIza" + "B" * 35,
    "ghp_" + "a" * 36,
    "github_pat_" + "a" * 40,
    "glpat-" + "a" * 20,
    "xoxb-1234567890-abcdefghij",
    "hf_" + "A" * 34,
    "SG." + "a" * 22 + "." + "b" * 43,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijk",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
]
NAMED = [
    "password: hunter2hunter2",
    "api_key = 'abcd1234efgh'",
    "Authorization: Bearer abc.def-ghi1234",
    '"client_secret": "9f8e7d6c"',
]
HARMLESS = [
    "the keyboard token is fine",
    "I forgot my password: it was stolen",
    "my password: forgotten entirely",
    "risk-averse task-oriented",
    "eyJust",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_known_shapes_go(secret: str):
    assert redacted(f"my key is {secret} ok") == f"my key is {REDACTED} ok"


@pytest.mark.parametrize("text", NAMED)
def test_the_value_after_a_telling_name_goes(text: str):
    assert REDACTED in redacted(text)
    assert redacted(text).split(REDACTED)[0].lower()[:4] == text.lower()[:4]


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_stays(text: str):
    assert redacted(text) == text


@given(st.text())
def test_what_is_redacted_once_is_redacted(text: str):
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize(
    "text",
    ["sk-" + "a-" * 200_000, "eyJ" * 200_000, "-----BEGIN PRIVATE KEY-----" * 20_000, "password:" * 60_000],
)
def test_hostile_text_takes_linear_time(text: str):
    started = time.process_time()
    redacted(text)
    assert time.process_time() - started < 5


_WORDS = st.sampled_from(
    [*SECRETS, *NAMED, *HARMLESS, "word", "key=k12", "\n", "api key: abcdefg1", "x" * 14 + "1"]
)


@given(st.lists(_WORDS | st.text(max_size=12), max_size=6), st.sampled_from(["", " ", "\n", ":", '"']))
def test_looking_at_the_words_first_misses_nothing_that_the_patterns_find(words: list[str], between: str):
    text = between.join(words)
    by_patterns = redaction._AFTER_A_NAME.sub(rf"\g<1>{REDACTED}", redaction._SHAPED.sub(REDACTED, text))
    assert redacted(text) == by_patterns
