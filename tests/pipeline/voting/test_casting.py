"""Keys and digests: what makes a vote or a request the same one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptlabel.errors import ModelError
from promptlabel.pipeline.voting.casting import (
    answered_vote,
    code_votes,
    failed_vote,
    request_digest,
    vote_key,
)
from promptlabel.records import Answer, Question, RegisteredRule, Trace
from promptlabel.rules.heuristic import Heuristic, heuristic
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import RuleSpec, TaskSpec

TASK = TaskSpec(task="tone", labels={"kind": "", "rude": ""})
PROMPT = PromptRule("asks", RuleSpec(prompt="{{ trace.input }}", answers={"yes": "kind", "no": "rude"}), TASK)
RULE = RegisteredRule("tone", "asks", "prompt", "judge", "a" * 32, "b" * 32)
TRACE = Trace("t1", input="Thank you")
QUESTION = Question("Thank you", ("yes", "no"))


@pytest.mark.parametrize(
    "other",
    [
        vote_key(replace(RULE, rule_hash="c" * 32), TRACE, 0),
        vote_key(replace(RULE, model_hash="c" * 32), TRACE, 0),
        vote_key(RULE, replace(TRACE, input="No"), 0),
        vote_key(RULE, replace(TRACE, trace_id="t2"), 0),
        vote_key(RULE, TRACE, 1),
    ],
)
def test_a_vote_is_another_one_when_meaning_model_content_or_sample_differ(other):
    assert other != vote_key(RULE, TRACE, 0)


def test_names_and_signals_are_no_part_of_a_votes_key():
    renamed, signalled = replace(RULE, rule="else"), replace(TRACE, signals={"copied": 1.0})
    assert vote_key(renamed, signalled, 0) == vote_key(RULE, TRACE, 0)


def test_a_request_is_the_question_and_the_model():
    digests = {
        request_digest("m", QUESTION),
        request_digest("n", QUESTION),
        request_digest("m", replace(QUESTION, sample=1)),
        request_digest("m", replace(QUESTION, prompt="Thanks")),
        request_digest("m", replace(QUESTION, decode="text")),
    }
    assert len(digests) == 5
    assert request_digest("m", Question("Thank you", ("yes", "no"))) in digests


def test_an_answer_becomes_the_label_it_stands_for():
    vote = answered_vote(PROMPT, RULE, TRACE, 0, "d" * 32, Answer('{"answer":"yes"}'))
    assert (vote.status, vote.label, vote.trace_id) == ("vote", "kind", "t1")
    assert vote.request == "d" * 32


def test_what_is_none_of_the_answers_is_malformed_and_keeps_the_text():
    vote = answered_vote(PROMPT, RULE, TRACE, 0, "d" * 32, Answer("perhaps"))
    assert (vote.status, vote.label, vote.raw.text) == ("malformed", None, "perhaps")


def test_a_failure_keeps_its_cause_word():
    vote = failed_vote(RULE, TRACE, 0, ModelError("slow", cause="timeout"), "d" * 32)
    assert (vote.status, vote.cause, vote.request) == ("error", "timeout", "d" * 32)


def test_a_heuristic_that_raises_costs_its_own_vote_alone():
    @heuristic
    def breaks(trace):
        return {}["nothing"]

    (vote,) = code_votes(Heuristic("tone", ("kind", "rude"), breaks), RULE, [TRACE])
    assert (vote.status, vote.label) == ("error", None)
    assert "KeyError" in vote.cause
    assert TRACE.trace_id not in vote.cause


def test_what_a_heuristic_says_that_is_no_label_groups_by_what_it_said():
    @heuristic
    def mistaken(trace):
        return "unkind"

    votes = code_votes(
        Heuristic("tone", ("kind", "rude"), mistaken), RULE, [TRACE, replace(TRACE, trace_id="b")]
    )
    (cause,) = {vote.cause for vote in votes}
    assert "'unkind' is not a label" in cause
