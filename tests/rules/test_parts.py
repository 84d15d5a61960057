"""The part of a trace that a rule reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.records import Message, Trace
from promptlabel.rules.choices import Inputs
from promptlabel.rules.parts import last_tokens, text_of

TRACE = Trace(
    "t",
    input="one two",
    output="three",
    messages=(Message("user", "one two"), Message("assistant", "three"), Message("user", "four")),
    category="cat",
    metadata={"plan": "pro", "n": 3},
)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (Inputs("transcript"), "user: one two\nassistant: three\nuser: four"),
        (Inputs("last_turn"), "four"),
        (Inputs("last_turns", 2), "assistant: three\nuser: four"),
        (Inputs("last_turn_of", "assistant"), "three"),
        (Inputs("last_turn_of", "system"), ""),
        (Inputs("last_tokens", 3), "user: four"),
        (Inputs("fields", ("input",)), "one two"),
        (
            Inputs("fields", ("output", "metadata.plan", "metadata.none")),
            "output: three\nmetadata.plan: pro\nmetadata.none: ",
        ),
        (Inputs("fields", ("metadata.n",)), "3"),
    ],
)
def test_each_part(inputs: Inputs, text: str):
    assert text_of(TRACE, inputs) == text


@given(st.text(), st.integers(1, 50))
def test_a_window_is_the_end_of_the_text_and_windows_grow(text: str, number: int):
    window = last_tokens(text, number)
    assert text.endswith(window)
    assert last_tokens(text, number + 1).endswith(window)
