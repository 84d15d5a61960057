"""The same text is found whatever its id, case, spacing and roles; other text is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.evals.duplicates import TextIndex, example_texts, normalized, repeated_in, repeats_of_earlier
from promptlabel.records import Message, Trace
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import RuleSpec, TaskSpec

LONG = "I want to reactivate my card, I thought I had lost it but found it in my jacket"
ASKED = Trace("a", input="Where is  my ORDER?", output="On its way.")


def place_of(trace: Trace, *seen: tuple[Trace, str]) -> str | None:
    (match,) = TextIndex(seen).find([trace])
    return match.place if match else None


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)


@pytest.mark.parametrize(
    "same",
    [
        Trace("b", input="where is my order?", output="on its\nway."),
        Trace("c", messages=(Message("human", "Where is my order?"), Message("bot", "On its way."))),
        Trace("d", input="user: Where is my order?\nassistant: On its way."),
        Trace("e", input="Where is my order\N{FULLWIDTH QUESTION MARK}", output="On its way."),
    ],
)
def test_the_same_text_is_found(same: Trace) -> None:
    assert place_of(same, (ASKED, "here")) == "here"


@pytest.mark.parametrize(
    "other",
    [Trace("b", input="Where is my order?"), Trace("c", input="Where are my orders?", output="On its way.")],
)
def test_other_text_is_not(other: Trace) -> None:
    assert place_of(other, (ASKED, "here")) is None


def test_the_first_place_is_named() -> None:
    assert place_of(ASKED, (ASKED, "first"), (ASKED, "second")) == "first"


def test_a_trace_without_contents_differs_from_others() -> None:
    assert place_of(Trace("a", input=""), (ASKED, "here")) is None


def test_examples_say_where_they_stand() -> None:
    task = TaskSpec(task="tone", labels={"good": "", "bad": ""})
    spec = RuleSpec(
        prompt="{{ trace.input }}",
        examples=[
            {"input": "fine", "vote": "good"},
            {"messages": [{"role": "user", "content": "bah"}], "vote": "bad"},
        ],
    )
    found = list(example_texts([PromptRule("greets", spec, task)]))
    assert [place for _, place in found] == ["example 1 of rule greets", "example 2 of rule greets"]
    assert place_of(Trace("x", input="BAH"), *found) == "example 2 of rule greets"


@pytest.mark.parametrize(
    "near",
    [
        LONG + " yesterday!",
        LONG.replace("found", "fuond"),
        LONG.replace("thought", "was sure"),
        LONG.removeprefix("I want to "),
    ],
)
def test_nearly_the_same_text_is_found_with_both_texts(near: str) -> None:
    (match,) = TextIndex([(Trace("a", input="other"), "no"), (Trace("b", input=LONG), "here")]).find(
        [Trace("x", input=near)]
    )
    assert match is not None
    assert match.place == "here"
    assert 0.6 <= match.similarity < 1
    assert (match.text, match.other) == (normalized(near), normalized(LONG))


def test_the_most_alike_is_named() -> None:
    seen = [(Trace("a", input=LONG + " last week"), "first"), (Trace("b", input=LONG + "!"), "second")]
    assert place_of(Trace("x", input=LONG + "?"), *seen) == "second"


def test_what_a_stream_repeats_is_told_of_the_trace() -> None:
    traces = [Trace("a", input=LONG), Trace("b", input="something else altogether")]
    stream = [(Trace("s1", input=LONG + " today"), "row s1"), (Trace("s2", input=LONG), "row s2")]
    found = repeated_in(traces, stream)
    assert {name: (match.place, match.similarity) for name, match in found.items()} == {"a": ("row s2", 1.0)}


def test_of_repeats_the_first_stays() -> None:
    texts = ["short", LONG, "SHORT", LONG + "!", LONG + "!!", "another"]
    found = repeats_of_earlier([Trace(f"t{i}", input=text) for i, text in enumerate(texts)])
    assert {later: match.place for later, match in found.items()} == {
        2: "trace t0, decided earlier",
        3: "trace t1, decided earlier",
        4: "trace t1, decided earlier",
    }
