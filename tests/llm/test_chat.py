import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.errors import ModelError
from promptlabel.llm.chat import accepts, answer_form, distribution, form_of, messages, read_completion
from promptlabel.records import Answer, Question, SetQuestion, Shot, Usage

YES_NO = ("yes", "no")


def completion(content="yes", finish="stop", usage=None, **message):
    choice = {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return orjson.dumps({"choices": [choice], "usage": usage})


def free(_):
    return 0.0


def test_the_form_is_a_strict_enum_without_ornament():
    schema = answer_form(YES_NO, False).response_format["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"] == {
        "type": "object",
        "properties": {"answer": {"enum": ["yes", "no"], "type": "string"}},
        "required": ["answer"],
        "additionalProperties": False,
    }


def test_the_rationale_is_asked_for_before_the_answer():
    schema = answer_form(YES_NO, True).response_format["json_schema"]["schema"]
    assert schema["required"] == ["rationale", "answer"]
    assert list(schema["properties"]) == ["rationale", "answer"]


def test_the_form_is_made_once():
    assert answer_form(YES_NO, False) is answer_form(("yes", "no"), False)


@pytest.mark.parametrize("decode", ["json", "logprobs", "text"])
def test_the_chat_names_the_answers_shows_the_examples_and_ends_with_the_prompt(decode):
    question = Question("Good?", YES_NO, (Shot("Bad?", "no"),), decode)
    system, user, assistant, last = messages(question)
    assert all(answer in system["content"] for answer in YES_NO)
    assert (user["content"], last["content"]) == ("Bad?", "Good?")
    assert [one["role"] for one in (system, user, assistant, last)] == ["system", "user", "assistant", "user"]
    assert assistant["content"] == ('{"answer":"no"}' if decode == "json" else "no")


def test_questions_of_one_rule_share_all_but_the_last_message():
    chats = [messages(Question(prompt, YES_NO, (Shot("Bad?", "no"),))) for prompt in ("one", "two")]
    assert chats[0][:-1] == chats[1][:-1]


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ('{"answer": "yes"}', True),
        (' {"answer":"no"} ', True),
        ('{"answer": "maybe"}', False),
        ('{"answer": "Yes"}', False),
        ('{"answer": "yes", "and": 1}', False),
        ('{"answer": ["yes"]}', False),
        ('{"answer": NaN}', False),
        ("yes", False),
        ("", False),
        ("null", False),
    ],
)
def test_only_the_form_is_accepted(text, accepted):
    assert accepts(Question("Good?", YES_NO), Answer(text)) is accepted


def test_a_completion_becomes_a_priced_answer():
    usage = {"prompt_tokens": 100, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 60}}
    answer = read_completion(completion("yes", usage=usage), Question("Good?", YES_NO), lambda _: 0.25)
    assert answer == Answer("yes", usage=Usage(100, 4, 60), usd=0.25)


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", "malformed_body"),
        (b'{"choices": [', "malformed_body"),
        (b"[]", "malformed_body"),
        (b"null", "malformed_body"),
        (b"{}", "malformed_body"),
        (b'{"choices": []}', "malformed_body"),
        (b'{"choices": [{"message": null}]}', "malformed_body"),
        (
            b'{"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens": "many"}}',
            "malformed_body",
        ),
        (
            b'{"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens_details": 3}}',
            "malformed_body",
        ),
        (b'data: {"choices": []}', "malformed_body"),
        (b'{"error": {"message": "busy"}}', "error_body"),
        (completion(""), "empty"),
        (completion(None), "empty"),
        (completion(["yes"]), "empty"),
        (completion('{"ans', "length"), "truncated"),
        (completion(None, refusal="I will not."), "refusal"),
        (completion("", "content_filter"), "content_filter"),
    ],
)
def test_what_is_no_answer_has_a_cause(raw, cause):
    with pytest.raises(ModelError) as caught:
        read_completion(raw, Question("Good?", YES_NO), free)
    assert caught.value.cause == cause


def test_an_answer_that_was_paid_but_is_of_no_use_keeps_text_and_price():
    raw = completion('{"ans', "length", usage={"prompt_tokens": 9, "completion_tokens": 64})
    with pytest.raises(ModelError) as caught:
        read_completion(raw, Question("Good?", YES_NO), lambda usage: usage.output_tokens * 0.5)
    assert caught.value.answer == Answer('{"ans', usage=Usage(9, 64), usd=32.0)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "choices",
                        "message",
                        "content",
                        "usage",
                        "logprobs",
                        "error",
                        "finish_reason",
                        "prompt_tokens",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_body_is_a_surprise(body):
    for decode in ("json", "logprobs"):
        try:
            answer = read_completion(orjson.dumps(body), Question("Good?", YES_NO, decode=decode), free)
        except ModelError:
            continue
        assert isinstance(answer.text, str)


def with_logprobs(top):
    content = [{"token": "yes", "logprob": 0.0, "top_logprobs": [{"token": t, "logprob": p} for t, p in top]}]
    choice = {"message": {"content": "yes"}, "finish_reason": "length", "logprobs": {"content": content}}
    return orjson.dumps({"choices": [choice]})


def test_one_token_becomes_a_distribution():
    raw = with_logprobs([("yes", math.log(0.6)), (" no", math.log(0.2)), ("?", math.log(0.2))])
    answer = read_completion(raw, Question("Good?", YES_NO, decode="logprobs"), free)
    assert answer.text == "yes"
    assert answer.distribution == pytest.approx({"yes": 0.75, "no": 0.25})
    assert answer.outside == pytest.approx(0.2)


def test_a_server_without_log_probabilities_is_told_so():
    with pytest.raises(ModelError) as caught:
        read_completion(completion("yes"), Question("Good?", YES_NO, decode="logprobs"), free)
    assert caught.value.cause == "no_logprobs"


def test_log_probabilities_that_a_server_mixed_up_are_no_distribution():
    raw = with_logprobs([("yes", -0.5), ("<|endoftext|>", -9999.0)])
    with pytest.raises(ModelError, match="tokenizer") as caught:
        read_completion(raw, Question("Good?", YES_NO, decode="logprobs"), free)
    assert caught.value.cause == "no_logprobs"


def test_a_token_that_begins_several_answers_counts_for_none():
    found, outside = distribution([("un", math.log(0.5)), ("uns", math.log(0.3))], ("unsure", "unclear"))
    assert found == pytest.approx({"unsure": 1.0, "unclear": 0.0})
    assert outside == pytest.approx(0.7)


def test_case_and_quotes_are_no_other_answer_unless_answers_differ_by_them():
    found, outside = distribution([("Yes", math.log(0.5)), ('"no', math.log(0.25))], YES_NO)
    assert found == pytest.approx({"yes": 2 / 3, "no": 1 / 3})
    assert outside == pytest.approx(0.25)
    apart, _ = distribution([("US", math.log(0.5)), ("us", math.log(0.25))], ("US", "us"))
    assert apart == pytest.approx({"US": 2 / 3, "us": 1 / 3})


def test_no_mass_on_any_answer_is_no_distribution():
    assert distribution([("?", 0.0)], YES_NO) == (None, 1.0)


@given(
    st.lists(st.tuples(st.sampled_from(["yes", " yes", "n", "no", "x", ""]), st.floats(-20, 0)), max_size=20)
)
def test_a_distribution_sums_to_one(top):
    found, outside = distribution(top, YES_NO)
    assert 0 <= outside <= 1
    if found:
        assert math.fsum(found.values()) == pytest.approx(1)


def test_of_a_set_any_number_of_answers_is_admitted():
    question = SetQuestion("?", ("refund", "bug"), (Shot("x", "bug, refund"),), "json")
    schema = form_of(question).response_format["json_schema"]["schema"]
    assert schema["properties"]["answer"] == {
        "type": "array",
        "items": {"enum": ["refund", "bug"], "type": "string"},
    }
    assert accepts(question, Answer('{"answer": []}'))
    assert accepts(question, Answer('{"answer": ["bug", "refund"]}'))
    assert not accepts(question, Answer('{"answer": "bug"}'))
    opening, _, shown, _ = messages(question)
    assert "the list of those that apply" in opening["content"]
    assert shown["content"] == '{"answer":["bug","refund"]}'
    text = messages(SetQuestion("?", ("refund", "bug"), decode="text"))[0]["content"]
    assert "separated by commas" in text
    assert "none" in text
