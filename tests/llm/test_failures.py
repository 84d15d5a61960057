from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.llm.failures import (
    OUTAGE,
    PERMANENT,
    RETRIED,
    error_in_body,
    from_response,
    retry_after,
    wait_for_room,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def body(**error):
    return orjson.dumps({"error": error})


@pytest.mark.parametrize(
    ("status", "error", "cause", "permanent"),
    [
        (400, {"code": "invalid_request_error"}, "bad_request", False),
        (400, {"code": "content_filter"}, "content_filter", False),
        (400, {"code": "context_length_exceeded"}, "too_long", False),
        (401, {}, "auth", True),
        (402, {}, "no_credit", True),
        (403, {}, "forbidden", True),
        (403, {"metadata": {"reasons": ["violence"]}}, "content_filter", False),
        (404, {}, "not_found", True),
        (408, {}, "timeout", False),
        (422, {}, "bad_request", False),
        (429, {"code": "rate_limit_exceeded"}, "rate_limit", False),
        (429, {"code": "insufficient_quota"}, "quota", True),
        (429, {"type": "insufficient_quota"}, "quota", True),
        (500, {}, "server_error", False),
        (502, {}, "server_error", False),
        (503, {}, "server_error", False),
        (529, {"type": "overloaded_error"}, "overloaded", False),
        (302, {}, "bad_request", False),
    ],
)
def test_status_and_code_decide(status, error, cause, permanent):
    found = from_response(status, {}, body(message="whatever", **error), NOW)
    assert (found.cause, found.permanent) == (cause, permanent)


def test_words_in_a_message_decide_nothing():
    found = from_response(429, {}, body(message="insufficient_quota: invalid api key, model not found"), NOW)
    assert (found.cause, found.permanent) == ("rate_limit", False)


@pytest.mark.parametrize(
    "raw", [b"", b"<html>Bad gateway</html>", b"[]", b'"no"', b'{"error": "no"}', b"\xff\xfe"]
)
def test_any_body_will_do(raw):
    assert from_response(502, {}, raw, NOW).cause == "server_error"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90.0),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, None),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 -0000"}, 30.0),
        ({"retry-after": "Thu, 99 Foo 2026"}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers, seconds):
    assert retry_after(headers, NOW) == seconds


@given(st.text(max_size=40))
def test_no_retry_after_breaks_it(text):
    found = retry_after({"retry-after": text}, NOW)
    assert found is None or found >= 0


def test_an_error_in_a_sound_answer_is_read_like_its_status():
    assert error_in_body({"code": 429, "message": "slow down"}).cause == "rate_limit"
    assert error_in_body({"code": "server_busy"}).cause == "error_body"
    assert error_in_body({"type": "insufficient_quota"}).permanent
    assert error_in_body("busy").cause == "error_body"


def test_a_permanent_cause_is_never_retried_and_an_outage_always():
    assert not PERMANENT & RETRIED
    assert OUTAGE <= RETRIED


def limits(what, left, of, reset):
    names = {"remaining": left, "limit": of, "reset": reset}
    return {f"x-ratelimit-{name}-{what}": str(value) for name, value in names.items()}


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        (limits("requests", 0, 60, "1m0s"), 1.0),
        (limits("requests", 0, 14400, "24h0m0s"), 6.0),
        (limits("requests", 0, 10, "20ms"), 0.002),
        (limits("requests", 0, 10, "5"), 0.5),
        (limits("requests", 1, 60, "59s"), 0.0),
        (limits("tokens", 900, 100_000, "59s"), 59 * 2000 / 99_100),
        (limits("tokens", 5000, 100_000, "57s"), 0.0),
        (limits("requests", 0, 60, "soon"), 0.0),
        (limits("requests", "none", 60, "1s"), 0.0),
        (limits("requests", 0, 0, "1s"), 0.0),
        ({}, 0.0),
    ],
)
def test_a_provider_that_has_no_room_left_is_given_time_for_one_more(headers, wait):
    assert wait_for_room(headers) == pytest.approx(wait)
