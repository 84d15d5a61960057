"""Rules without a model and without Python: what they match, when they abstain, what makes them another rule."""

from __future__ import annotations

import time

import pytest

from promptlabel.records import Message, Trace
from promptlabel.rules.declarative import DeclarativeRule, keyword_pattern
from promptlabel.rules.heuristic import HeuristicError
from promptlabel.rules.spec import DeclarativeSpec, TaskSpec

TASK = TaskSpec(task="quality", labels={"good": "", "bad": ""})


def rule(**keys: object) -> DeclarativeRule:
    return DeclarativeRule("r", DeclarativeSpec.model_validate(keys), TASK)


def said(made: DeclarativeRule, *traces: Trace) -> list[object]:
    return list(made.labels_of(traces))


def user(text: str) -> Trace:
    return Trace("t", messages=(Message("user", text), Message("assistant", "Of course.")))


def test_keywords_are_whole_words_in_any_case_and_spacing():
    made = rule(keyword={"good": ["thank", "works now"], "bad": "wrong"})
    texts = ["THANK you", "it  works\nnow", "thankless", "That is Wrong!", "thank you, but wrong", "hm"]
    assert said(made, *map(user, texts)) == ["good", "good", None, "bad", None, None]


def test_a_star_takes_any_ending_and_nothing_in_a_keyword_is_a_pattern():
    assert keyword_pattern("thank*").search("thankful")
    assert keyword_pattern("c++").search("I like C++ a lot")
    assert not keyword_pattern("a.c").search("abc")


def test_words_of_other_alphabets_have_borders_too():
    assert keyword_pattern("ärger").search("So ein ÄRGER!")
    assert not keyword_pattern("rger").search("Ärger")


@pytest.mark.parametrize(
    ("inputs", "label"),
    [
        ("transcript", None),
        ("last_turn", "bad"),
        ({"last_turn_of": "user"}, "good"),
        ({"last_turns": 1}, "bad"),
        ({"last_tokens": 2}, "bad"),
        (["output"], None),
    ],
)
def test_inputs_say_where_keywords_are_looked_for(inputs: object, label: str | None):
    trace = Trace("t", messages=(Message("user", "great"), Message("assistant", "an error")))
    made = rule(keyword={"good": "great", "bad": "error"}, inputs=inputs)
    assert said(made, trace) == [label]


def test_regular_expressions_take_linear_time():
    made = rule(regex={"bad": r"(a*)*b", "good": "(?i)^user: YES"})
    started = time.process_time()
    assert said(made, user("a" * 100_000), user("yes"), user("aab")) == [None, "good", "bad"]
    assert time.process_time() - started < 5


def test_sql_sees_every_field_of_a_trace():
    trace = Trace(
        "t",
        input="Hi",
        output="x" * 9,
        category="a",
        user_id="u",
        metadata={"plan": "pro", "turns": 3, "old": None},
    )
    conditions = [
        "length(output) = 9 AND input ILIKE 'h%'",
        "metadata['plan'] = 'pro' AND try_cast(metadata['turns'] AS INTEGER) = 3",
        "metadata['old'] IS NULL AND category IN ('a', 'b') AND user_id = 'u' AND session_id IS NULL",
        "contains(transcript, 'user: Hi') AND text = transcript",
    ]
    for condition in conditions:
        assert said(rule(sql={"good": condition}), trace, Trace("u", output="y")) == ["good", None], condition


def test_sql_that_fails_on_a_trace_costs_its_votes_and_names_the_rule():
    (error,) = said(rule(sql={"good": "cast(input AS INTEGER) > 1"}), Trace("t", input="one"))
    assert isinstance(error, HeuristicError)
    assert "heuristic r, trace t" in str(error)


def test_signals_that_nobody_observed_decide_nothing():
    made = rule(signal={"good": "copied >= 1", "bad": "copied == 0 and reply_seconds_max > 60"})
    traces = [
        Trace("a", input="x", signals={"copied": 2.0}),
        Trace("b", input="x"),
        Trace("c", input="x", signals={"copied": 0.0, "reply_seconds_max": 90.0}),
    ]
    assert said(made, *traces) == ["good", None, "bad"]
    assert made.kind == "signal"


def test_where_when_does_not_hold_the_rule_abstains():
    made = rule(keyword={"good": "yes"}, when="trace.category == 'a' and trace.messages|length == 0")
    traces = [
        Trace("a", input="yes", category="a"),
        Trace("b", input="yes"),
        Trace("c", input="yes", category="b"),
    ]
    assert said(made, *traces) == ["good", None, None]


def test_a_when_over_signals_does_not_hold_where_they_were_not_observed():
    made = rule(keyword={"good": "yes"}, when="signals.copied >= 1")
    observed = [{"copied": 1.0}, {"copied": 0.0}, {}]
    traces = [Trace("t", input="yes", signals=signals) for signals in observed]
    assert said(made, *traces) == ["good", None, None]


def test_a_when_that_fails_costs_that_vote_alone():
    made = rule(keyword={"good": "yes"}, when="trace.metadata.score * 2 > 1")
    fine, broken = said(
        made,
        Trace("a", input="yes", metadata={"score": 1}),
        Trace("b", input="yes", metadata={"score": "x"}),
    )
    assert fine == "good"
    assert isinstance(broken, HeuristicError)


def test_its_hash_is_what_decides_and_nothing_else():
    base = rule(keyword={"good": "yes"})
    assert base.rule_hash == rule(keyword={"good": ["yes"]}, description="d", tags=["t"], owner="o").rule_hash
    others = [
        rule(keyword={"good": "no"}),
        rule(regex={"good": "yes"}),
        rule(keyword={"bad": "yes"}),
        rule(keyword={"good": "yes"}, inputs="last_turn"),
        rule(keyword={"good": "yes"}, when="trace.input"),
    ]
    assert len({made.rule_hash for made in [base, *others]}) == 6
