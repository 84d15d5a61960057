"""What traces say is set apart by delimiters that hold still for a text and that nobody can guess."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.records import Trace
from promptlabel.rules.fencing import Fence
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import RuleSpec, TaskSpec
from promptlabel.rules.template import PromptTemplate

TASK = TaskSpec(task="quality", labels={"good": "", "bad": ""})
FENCE = Fence(b"secret")
VALUES = {
    "trace": {
        "input": "hi",
        "output": "bye",
        "messages": [{"role": "u", "content": "x"}, {"role": "a", "content": "y"}],
    },
    "text": "all",
    "labels": {"good": "kind"},
    "guidelines": "be fair",
    "examples": [],
}


def fenced(source: str) -> str:
    """The rendered template, each delimiter written as D."""
    return re.sub("[0-9a-f]{16}", "D", PromptTemplate(source).render(VALUES, FENCE))


def around(text: str) -> str:
    return f"<data-D>\n{text}\n</data-D>"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Q: {{ trace.input }} A: {{ trace.output|upper }}", f"Q: {around('hi')} A: {around('BYE')}"),
        ("{{ text }} {{ guidelines }} {{ labels.good }}", f"{around('all')} be fair kind"),
        (
            "{% for m in trace.messages %}{{ m.role }}:{{ m.content }};{% endfor %}?",
            f"{around('u:x;a:y;')}?",
        ),
        ("{% set x = trace.messages[0] %}{{ x.content }}", around("x")),
        ("{% with a = trace.input %}[{{ a }}]{% endwith %}", around("[hi]")),
        ("{% if trace.input %}static{% endif %}", "static"),
        ("{% if trace.input %}{% set x = trace.input %}{{ x }}{% endif %}{{ x }}", around("hi") * 2),
        ("{% for l in labels %}{{ l }}{% endfor %}", "good"),
        ("{% macro f(x) %}-{{ x }}{% endmacro %}{{ f(trace.input) }}{{ f(1) }}", around("-hi") + "-1"),
        ("{% macro f() %}{{ trace.input }}{% endmacro %}{{ f() }}", around("hi")),
        ("{{ 'a' if trace.input else 'b' }}", around("a")),
    ],
)
def test_the_largest_parts_that_show_a_trace_are_fenced(source: str, text: str):
    assert fenced(source) == text


def test_without_a_fence_the_text_is_as_written():
    assert PromptTemplate("Q: {{ trace.input }}").render(VALUES) == "Q: hi"


def test_marking_puts_a_sign_before_every_line():
    assert Fence(b"k", mark=True).around("a\nb").splitlines()[1:-1] == ["| a", "| b"]


def test_blank_text_is_not_fenced():
    assert FENCE.around(" \n") == " \n"


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_delimiter_holds_still_for_a_text_and_differs_between_texts_and_projects(one: str, other: str):
    assert FENCE.delimiter(one) == Fence(b"secret").delimiter(one)
    assert FENCE.delimiter(one) not in one
    assert (FENCE.delimiter(one) == FENCE.delimiter(other)) == (one == other)
    assert FENCE.delimiter(one) != Fence(b"another").delimiter(one)


def rule(**keys: object) -> PromptRule:
    return PromptRule(
        "r", RuleSpec.model_validate({"prompt": "{{ trace.input }}", **keys}), TASK, secret=b"s"
    )


def test_the_rules_hash_holds_whatever_the_secret():
    assert rule().rule_hash == PromptRule("r", RuleSpec(prompt="{{ trace.input }}"), TASK).rule_hash
    assert rule(fence="delimit").rule_hash != rule().rule_hash


def test_equal_texts_are_equal_questions_whichever_trace_they_are_of():
    asked = [
        rule(fence="delimit").question(Trace(name, input="same"), decode="json", few_shot=False)
        for name in "ab"
    ]
    assert asked[0] == asked[1]
    assert "<data-" in asked[0].prompt


def test_worked_examples_are_fenced_like_the_question():
    made = rule(
        fence="delimit",
        shots="fixed",
        examples=[{"input": "x", "vote": "good"}, {"input": "y", "vote": "bad"}],
    )
    question = made.question(Trace("t", input="z"), decode="json", few_shot=True)
    assert all(shot.prompt.startswith("<data-") for shot in question.shots)
