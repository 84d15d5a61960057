"""A prompt rule: what it asks of a trace, and when it is another rule."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.errors import PromptlabelError
from promptlabel.records import Message, Shot, Trace
from promptlabel.rules.prompt import PromptRule, RenderError
from promptlabel.rules.spec import RuleSpec, TaskSpec

TASK = TaskSpec(task="quality", labels={"good": "solved it", "bad": "did not"}, guidelines="Be fair.")
TRACE = Trace(
    "t1", input="How?", output="So.", category="howto", metadata={"tags": ["a", "b"], "deep": {"n": 1}}
)
EXAMPLES = [
    {"input": "1?", "output": "2", "vote": "good"},
    {"input": "3?", "output": "no", "vote": "abstain"},
]


def rule(
    prompt: str = "{{ trace.input }} -> {{ trace.output }} Good?", task: TaskSpec = TASK, **spec: object
) -> PromptRule:
    return PromptRule("clear", RuleSpec.model_validate({"prompt": prompt} | spec), task)


def prompt_for(trace: Trace, template: str) -> str:
    return rule(template).question(trace, decode="json", few_shot=False).prompt


def test_a_question_is_the_rendered_prompt_and_the_answers_in_order() -> None:
    asked = rule(answers={"yes": "good", "no": "bad", "unsure": "abstain"}, rationale=True)
    question = asked.question(TRACE, decode="logprobs", few_shot=False, sample=2)
    assert question.prompt == "How? -> So. Good?"
    assert question.answers == ("yes", "no", "unsure")
    assert (question.decode, question.rationale, question.sample, question.shots) == ("logprobs", True, 2, ())
    assert asked.answers == {"yes": "good", "no": "bad", "unsure": None}
    assert (asked.task, asked.kind, asked.labels, asked.models) == (
        "quality",
        "prompt",
        ("good", "bad"),
        ("default",),
    )


def test_a_template_sees_the_whole_trace_as_plain_data() -> None:
    trace = Trace(
        "t2",
        input="Q",
        messages=(Message("user", "hi", datetime(2026, 1, 2, tzinfo=UTC)), Message("bot", "yo")),
        metadata={"x": (1, {"y": None})},
    )
    assert prompt_for(trace, "{{ trace.trace_id }}|{{ trace.output }}|{{ trace.category }}") == "t2||"
    assert prompt_for(trace, "{{ trace.transcript }}") == trace.transcript
    assert prompt_for(trace, "{{ trace.messages }}") == (
        "[{'role': 'user', 'content': 'hi', 'timestamp': '2026-01-02T00:00:00+00:00'},"
        " {'role': 'bot', 'content': 'yo', 'timestamp': ''}]"
    )
    assert prompt_for(trace, "{{ trace.metadata|tojson }}") == '{"x": [1, {"y": null}]}'
    assert prompt_for(trace, "{{ guidelines }} {{ labels.bad }}") == "Be fair. did not"


def test_objects_in_metadata_become_text() -> None:
    class Secret:
        password = "hunter2"

        def __str__(self) -> str:
            return "an object"

    trace = Trace("t", input="x", metadata={"o": Secret()})  # type: ignore[dict-item]
    assert prompt_for(trace, "{{ trace.metadata.o }}") == "an object"
    with pytest.raises(RenderError):
        prompt_for(trace, "{{ trace.metadata.o.password }}")


@given(st.text(), st.text())
def test_the_text_of_a_trace_is_never_taken_for_a_template(said: str, replied: str) -> None:
    trace = Trace("t", input=said, output="{{ 1 + 1 }}" + replied)
    assert prompt_for(trace, "<{{ trace.input }}|{{ trace.output }}>") == f"<{said}|{{{{ 1 + 1 }}}}{replied}>"


def test_a_failed_rendering_names_the_rule_and_the_trace() -> None:
    with pytest.raises(RenderError, match=r"rule clear, trace t1: .*'missing'") as caught:
        prompt_for(TRACE, "{{ trace.metadata.missing }}")
    assert isinstance(caught.value, PromptlabelError)
    assert isinstance(caught.value, ValueError)
    assert (caught.value.rule, caught.value.trace_id) == ("clear", "t1")


def test_a_prompt_that_grows_without_measure_is_stopped() -> None:
    long = Trace("t", input="x" * 600_000)
    with pytest.raises(RenderError, match="longer than 1,000,000"):
        prompt_for(long, "{{ trace.input }}{{ trace.input }}")


# --- shots


@pytest.mark.parametrize(
    ("shots", "prompt", "few_shot", "shown"),
    [
        ("auto", "{{ trace.input }}?", True, True),
        ("auto", "{{ trace.input }}?", False, False),
        ("none", "{{ trace.input }}?", True, False),
        ("fixed", "{{ trace.input }}?", False, True),
        ("auto", "{% for e in examples %}{{ e.input }}{% endfor %}{{ trace.input }}?", True, False),
    ],
)
def test_examples_are_shots_where_the_rule_and_the_model_want_them(
    shots: str, prompt: str, few_shot: bool, shown: bool
) -> None:
    asked = rule(
        prompt,
        shots=shots,
        examples=EXAMPLES,
        answers={"unsure": "abstain", "yes": "good", "yep": "good", "no": "bad"},
    )
    question = asked.question(TRACE, decode="json", few_shot=few_shot)
    assert question.shots == ((Shot("1??", "yes"), Shot("3??", "unsure")) if shown else ())


def test_a_shot_is_rendered_like_the_question() -> None:
    asked = rule("{{ trace.trace_id }} {{ trace.transcript }}", examples=EXAMPLES[:1])
    (shot,) = asked.question(TRACE, decode="json", few_shot=True).shots
    assert shot == Shot("example user: 1?\nassistant: 2", "good")


# --- the hash


SAME = [
    {"description": "words"},
    {"tags": ["x"], "owner": "me"},
    {"model": "judge"},
    {"active": False},
    {"answers": {"good": "good", "bad": "bad"}},
    {"shots": "none"},
    {"prompt": "{{trace.input}} -> {{ trace.output }} {# why #}Good?\n"},
]
OTHER = [
    {"prompt": "{{ trace.input }} -> {{ trace.output }} Bad?"},
    {"answers": {"bad": "bad", "good": "good"}},
    {"answers": {"good": "bad", "bad": "good"}},
    {"decode": "text"},
    {"rationale": True},
    {"samples": 3},
    {"abstain_below": 0.6},
    {"examples": EXAMPLES[:1]},
]


@pytest.mark.parametrize("change", SAME)
def test_what_votes_do_not_depend_on_keeps_the_hash(change: dict[str, object]) -> None:
    assert rule(**change).rule_hash == rule().rule_hash
    assert PromptRule("renamed", rule().spec, TASK).rule_hash == rule().rule_hash


@pytest.mark.parametrize("change", OTHER)
def test_what_votes_depend_on_changes_the_hash(change: dict[str, object]) -> None:
    assert rule(**change).rule_hash != rule().rule_hash


def test_each_change_makes_a_rule_of_its_own() -> None:
    assert len({rule(**change).rule_hash for change in OTHER}) == len(OTHER)


@pytest.mark.parametrize(
    ("prompt", "spec", "matters"),
    [
        ("Good?", {"shots": "auto"}, True),
        ("Good?", {"shots": "none"}, False),
        ("{{ examples[0].input if examples else '' }} Good?", {"shots": "none"}, True),
        ("Good?", {"shots": "fixed"}, True),
    ],
)
def test_examples_matter_only_where_a_question_can_show_them(
    prompt: str, spec: dict[str, object], matters: bool
) -> None:
    first = rule(prompt, examples=EXAMPLES, **spec)
    second = rule(prompt, examples=EXAMPLES[:1], **spec)
    assert (first.rule_hash != second.rule_hash) is matters


@pytest.mark.parametrize(
    ("prompt", "matters"), [("Good?", False), ("{{ guidelines }} {{ labels.good }}", True)]
)
def test_the_task_matters_only_where_the_prompt_shows_it(prompt: str, matters: bool) -> None:
    reworded = TaskSpec(task="quality", labels={"good": "helped", "bad": "did not"}, guidelines="Be kind.")
    assert (rule(prompt).rule_hash != rule(prompt, task=reworded).rule_hash) is matters


def test_default_answers_follow_the_labels() -> None:
    wider = TaskSpec(task="quality", labels={"good": "", "bad": "", "mixed": ""})
    assert rule(task=wider).rule_hash != rule().rule_hash
    fixed = {"answers": {"yes": "good", "no": "bad"}}
    assert rule(task=wider, **fixed).rule_hash == rule(**fixed).rule_hash


def test_rendering_takes_microseconds() -> None:
    asked = rule("{{ trace.transcript }}\nDoes the user ask the same thing again?")
    traces = [Trace(str(number), input="hello " * 20, output="well " * 30) for number in range(4000)]
    asked.question(traces[0], decode="json", few_shot=False)
    started = time.process_time()
    for trace in traces:
        asked.question(trace, decode="json", few_shot=False)
    assert (time.process_time() - started) / len(traces) < 150e-6, (
        "a million votes must not take minutes to render"
    )
