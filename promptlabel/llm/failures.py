"""From status, error code and exception to a `ModelError` with a stable cause; never from a message's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import orjson

from promptlabel.errors import ModelError
from promptlabel.records import Answer

RETRIED: Final = frozenset(
    {
        "rate_limit",
        "server_error",
        "overloaded",
        "timeout",
        "connection",
        "malformed_body",
        "error_body",
        "empty",
    }
)
"""Causes that may pass; all others end the question at once."""

OUTAGE: Final = frozenset({"server_error", "overloaded", "timeout", "connection"})
"""Causes that say something of the server rather than of one question."""

PERMANENT: Final = frozenset({"auth", "no_credit", "forbidden", "not_found", "quota", "bad_address"})
"""Causes that every further question of the model would meet too."""

OF_THE_RULE: Final = frozenset({"bad_request", "no_logprobs", "truncated", "client_error"})
"""Causes that, met by the first questions alike, lie in how they are asked rather than in what they quote."""

_BY_STATUS: Final[Mapping[int, str]] = {
    401: "auth",
    402: "no_credit",
    403: "forbidden",
    404: "not_found",
    408: "timeout",
    409: "server_error",
    413: "too_long",
    425: "server_error",
    429: "rate_limit",
    529: "overloaded",
}
_BY_CODE: Final[Mapping[str, str]] = {
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "no_credit",
    "insufficient_balance": "no_credit",
    "credit_balance_too_low": "no_credit",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "permission_error": "forbidden",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "overloaded_error": "overloaded",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "context_length_exceeded": "too_long",
    "string_above_max_length": "too_long",
}
_ADVICE: Final[Mapping[str, str]] = {
    "auth": "the key was refused: check the environment variable that holds it",
    "no_credit": "the account has no credit left",
    "quota": "the account's quota is used up",
    "forbidden": "the key may not use this model",
    "not_found": "no such model or address: check `model` and `api_base`",
    "bad_address": "the address cannot be used: check `api_base`",
}
_EXCERPT = 300
_SCARCE: Final = 0.02
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class UnusableAnswerError(ModelError):
    """The model was asked, and perhaps paid, but its answer cannot be used.

    Attributes:
        answer: what came back with its price; None where usage is unknown and may have been charged.
    """

    def __init__(self, message: str, *, cause: str, answer: Answer | None = None) -> None:
        super().__init__(message, cause=cause)
        self.answer = answer


def from_response(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ModelError:
    """The error that an HTTP answer other than 200 stands for; `now` dates a Retry-After given as a date."""
    codes, message = _read_error(body)
    return refusal(status, codes, message, retry_after(headers, now))


def refusal(status: int, codes: tuple[str, ...], message: str, wait: float | None = None) -> ModelError:
    """The error for a status, the codes and types in its body, its text, and the wait it asks for."""
    cause = cause_of(status, codes)
    advice = f"{_ADVICE[cause]}; " if cause in _ADVICE else ""
    return ModelError(
        f"{advice}HTTP {status}: {message or 'no message'}",
        cause=cause,
        permanent=cause in PERMANENT,
        retry_after=wait,
    )


def cause_of(status: int, codes: tuple[str, ...] = ()) -> str:
    """The stable cause word of a status; a known error code or type says more than the status does."""
    for code in codes:
        if code in _BY_CODE:
            return _BY_CODE[code]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return "server_error" if status >= 500 else "bad_request"


def error_in_body(error: object) -> ModelError:
    """The error that stands in the body of an answer with status 200."""
    codes, message = _codes_and_message(error)
    status = next((int(code) for code in codes if code.isdigit()), None)
    if status is not None and status >= 400:
        return refusal(status, codes, message)
    cause = next((_BY_CODE[code] for code in codes if code in _BY_CODE), "error_body")
    return ModelError(
        f"an error in an answer of status 200: {message}", cause=cause, permanent=cause in PERMANENT
    )


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds the server asks to wait, from milliseconds, seconds or an HTTP date; None if absent or senseless."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    told = headers.get("retry-after")
    seconds = _number(told)
    return seconds if seconds is not None else _seconds_until(told, now)


def wait_for_room(headers: Mapping[str, str]) -> float:
    """Seconds until a provider takes one more request, by its ``x-ratelimit-*`` headers; 0 while there is room.

    They tell what is left and when all of the limit is back; a bucket that fills steadily has room for one
    after that time divided by the limit. Of tokens a fiftieth of the limit counts as none left.
    """
    return max(_wait_for(headers, "requests", 1.0), _wait_for(headers, "tokens", _SCARCE))


def _wait_for(headers: Mapping[str, str], what: str, least: float) -> float:
    left = _number(headers.get(f"x-ratelimit-remaining-{what}"))
    limit = _number(headers.get(f"x-ratelimit-limit-{what}"))
    reset = _duration(headers.get(f"x-ratelimit-reset-{what}", ""))
    if left is None or not limit or reset is None:
        return 0.0
    needed = least if least >= 1 else least * limit
    return 0.0 if left >= needed else min(reset, reset * needed / max(1.0, limit - left))


def _duration(text: str) -> float | None:
    """Seconds of ``1s``, ``6m0s``, ``20ms``, ``1h2m3.5s`` or a plain number."""
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return _number(text)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else -1.0
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _seconds_until(date: str | None, now: datetime) -> float | None:
    if not date:
        return None
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return None
    wait = (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds()
    return wait if wait >= 0 else None


def _read_error(body: bytes) -> tuple[tuple[str, ...], str]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return (), body[:_EXCERPT].decode("utf-8", "replace")
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    return _codes_and_message(error)


def _codes_and_message(error: object) -> tuple[tuple[str, ...], str]:
    if not isinstance(error, dict):
        return (), str(error)[:_EXCERPT]
    metadata = error.get("metadata")
    moderated = ("content_filter",) if isinstance(metadata, dict) and metadata.get("reasons") else ()
    codes = tuple(str(error[key]) for key in ("code", "type") if error.get(key) is not None)
    return moderated + codes, str(error.get("message", error))[:_EXCERPT]
