"""Lines of batch files, there and back."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.errors import ModelError
from promptlabel.llm.batches import custom_ids, read_reply, request_line
from promptlabel.llm.client import Request

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def line(response, error=None):
    return orjson.dumps({"id": "b", "custom_id": "one", "response": response, "error": error})


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_request_is_one_line_whatever_its_text(text):
    written = request_line("one", Request("/chat/completions", {"messages": [{"content": text}]}))
    assert written.count(b"\n") == 1
    read = orjson.loads(written)
    assert (read["custom_id"], read["method"], read["url"]) == ("one", "POST", "/v1/chat/completions")
    assert read["body"]["messages"][0]["content"] == text


def test_a_text_that_cannot_be_encoded_fails_alone():
    with pytest.raises(ModelError) as caught:
        request_line("one", Request("/chat/completions", {"text": "\ud800"}))
    assert caught.value.cause == "bad_text"


def test_a_question_of_several_lines_has_numbered_ids():
    assert custom_ids("d", 1) == ["d"]
    assert custom_ids("d", 3) == ["d-0", "d-1", "d-2"]


def test_a_sound_reply_is_its_body():
    custom_id, body = read_reply(line({"status_code": 200, "body": {"choices": []}}), NOW)
    assert (custom_id, orjson.loads(body)) == ("one", {"choices": []})


@pytest.mark.parametrize(
    ("response", "error", "cause", "permanent"),
    [
        ({"status_code": 500, "body": {"error": {"message": "no"}}}, None, "server_error", False),
        ({"status_code": 400, "body": {"error": {"code": "content_filter"}}}, None, "content_filter", False),
        ({"status_code": 429, "body": {"error": {"code": "insufficient_quota"}}}, None, "quota", True),
        ({"status_code": 401, "body": None}, {"error": {"message": "no", "code": 401}}, "auth", True),
        ({"status_code": 400, "body": None}, {"error": {"message": "too long"}}, "bad_request", False),
        (None, {"code": "batch_expired", "message": "not in time"}, "expired", False),
        (None, {"code": "batch_cancelled", "message": "stopped"}, "expired", False),
        (None, {"code": "strange", "message": "?"}, "error_body", False),
        (None, "words", "error_body", False),
        (None, None, "error_body", False),
        ({"status_code": 200, "body": "text"}, None, "error_body", False),
    ],
)
def test_a_failed_line_has_its_cause(response, error, cause, permanent):
    custom_id, failure = read_reply(line(response, error), NOW)
    assert custom_id == "one"
    assert (failure.cause, failure.permanent) == (cause, permanent)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"1", b"{}", b'{"custom_id": "x", "response": []}'])
def test_what_is_no_reply_is_none(content):
    found = read_reply(content, NOW)
    assert found is None or isinstance(found[1], ModelError)


@given(st.binary(max_size=60))
def test_no_line_breaks_the_reader(content):
    read_reply(content, NOW)
