#!/usr/bin/env python3
"""A mock of an OpenAI-shaped model server, fast enough not to be what a bench measures, with every fault.

Run it (`python scripts/mock_model.py --port 0 --latency 0.1 --fault reset=0.01 --fault 429=0.02`) or, in a test,
`async with serving(Behaviour(...)) as server`. It answers a JSON schema's enum by a hash of the prompt, counts what
it was asked, and tells at `/__stats`. With `--log` it keeps a record of every request, told at `/__log?from=N`; a
JSON object posted to `/__behave` changes how it behaves from then on.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from email.utils import formatdate

import orjson

FAULTS = (
    "429", "429_retry_after", "429_ms", "429_date", "429_negative", "429_3600", "503_retry_after", "quota", "400",
    "401", "402", "403", "404", "408", "500", "502", "503", "504", "529", "hang", "headers_only", "drip", "close",
    "reset", "truncated", "wrong_length", "short_length", "gzip", "half_stream", "html", "error_body", "empty",
    "length", "filtered", "refusal", "wrong_label", "extra_keys", "nan", "megabyte", "no_usage",
)  # fmt: skip
"""Every fault by name; numbers are HTTP statuses."""

_HEAD = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"key=([\w-]+)")
_RULE = re.compile(rb"rule=([\w-]+)")
_BEARER = re.compile(rb"\r\nauthorization: *bearer ([^\r]+)", re.IGNORECASE)
_LISTED = re.compile(r'exactly one of: ("(?:[^.]|\.(?! ))+")\. ')
_ABOUT_ITSELF = re.compile(rb"(GET|POST) /__")
_DATE_AHEAD = 2
_GARBLED = frozenset(
    {
        "close",
        "reset",
        "truncated",
        "wrong_length",
        "short_length",
        "gzip",
        "half_stream",
        "html",
        "error_body",
    }
)
_numbers = itertools.count()


@dataclass
class Behaviour:
    """How the server behaves.

    Attributes:
        latency, jitter: seconds before an answer; jitter is the mean of an exponential on top.
        rates: fault name -> share of requests.
        script: faults of the first requests in order, None for a sound answer; then the rates.
        retry_after: seconds told with `429_retry_after`.
        input_tokens, output_tokens: what it reports; input None means a token for every four bytes.
        capacity: more requests at once than this are answered 429.
        log: whether every request is kept for `/__log`.
    """

    latency: float = 0.0
    jitter: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    script: Sequence[str | None] = ()
    retry_after: float = 1.0
    input_tokens: int | None = None
    output_tokens: int = 5
    capacity: int | None = None
    seed: int = 0
    log: bool = False


@dataclass(slots=True)
class Request:
    """One request as the server saw it; times are of the monotonic clock, which all processes share.

    Attributes:
        key: the `key=...` in its prompt, and after a dash the `rule=...`.
        bearer: the key it was sent with.
        connection: the number of its connection.
        fault: what went wrong with its answer; None where it was sound.
        replied: when the whole answer was handed to the kernel; None while it is open, and for ever after a hang.
        until: when a client that heeds Retry-After may come again at the earliest.
        answer: the label it was answered with, where the answer was sound.
    """

    key: str
    bearer: str
    connection: int
    arrived: float
    fault: str | None
    replied: float | None = None
    until: float | None = None
    answer: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass
class Seen:
    """What the server was asked; `keys` counts requests by the `key=...` in their prompts."""

    requests: int = 0
    open: int = 0
    most_open: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    input_tokens: int = 0
    output_tokens: int = 0
    last_body: bytes = b""
    last_head: bytes = b""


class MockModel:
    """The server's state; one connection is one `_Connection`."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.seen = Seen()
        self.url = ""
        self.connections: set[asyncio.Transport] = set()
        self.log: list[Request] = []
        self._random = random.Random(behaviour.seed)
        self._script = iter(behaviour.script)

    def delay(self) -> float:
        """Seconds before the next answer."""
        jitter = self.behaviour.jitter
        return self.behaviour.latency + (self._random.expovariate(1 / jitter) if jitter else 0.0)

    def fault(self) -> str | None:
        """The next request's fault, or None."""
        for scripted in self._script:
            return scripted
        if self.behaviour.capacity is not None and self.seen.open > self.behaviour.capacity:
            return "429"
        if not self.behaviour.rates:
            return None
        luck = self._random.random()
        for name, rate in self.behaviour.rates.items():
            luck -= rate
            if luck < 0:
                return name
        return None

    def behave(self, changes: dict) -> None:
        """Nothing; from now on the server behaves so."""
        self.behaviour = replace(self.behaviour, **changes)
        if "script" in changes:
            self._script = iter(changes["script"])

    def arrived(self, head: bytes, body: bytes, connection: int) -> Request:
        """The request, once it is counted."""
        seen = self.seen
        seen.requests += 1
        seen.open += 1
        seen.most_open = max(seen.most_open, seen.open)
        seen.last_head, seen.last_body = head, body
        key = "-".join(found[1].decode() for found in (_KEY.search(body), _RULE.search(body)) if found)
        if key:
            seen.keys[key] += 1
        fault = self.fault()
        if fault:
            seen.faults[fault] += 1
        bearer = _BEARER.search(head) if self.behaviour.log else None
        request = Request(key, bearer[1].decode() if bearer else "", connection, time.monotonic(), fault)
        if self.behaviour.log:
            self.log.append(request)
        return request

    def completion(self, body: bytes, seen: Request) -> bytes:
        """A chat completion for the request, its content spoilt where the fault is one of content."""
        request = orjson.loads(body)
        fault = seen.fault
        content, finish, extra = _content(request, fault)
        tokens = len(body) // 4 if self.behaviour.input_tokens is None else self.behaviour.input_tokens
        seen.input_tokens, seen.output_tokens = tokens, self.behaviour.output_tokens
        if fault in (None, "no_usage"):
            seen.answer = _choose(request)
        self.seen.input_tokens += tokens
        self.seen.output_tokens += self.behaviour.output_tokens
        message = {"role": "assistant", "content": content, **extra}
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": _logprobs(request)}
        usage = {"prompt_tokens": tokens, "completion_tokens": self.behaviour.output_tokens}
        usage["total_tokens"] = sum(usage.values())
        reported = {} if fault == "no_usage" else {"usage": usage}
        shape = {"id": "mock", "object": "chat.completion", "created": 1, "model": request["model"]}
        return orjson.dumps({**shape, "choices": [choice], **reported})

    def stats(self) -> bytes:
        """The counts as JSON."""
        seen = self.seen
        repeats = sum(count - 1 for count in seen.keys.values())
        return orjson.dumps(
            {
                "requests": seen.requests,
                "most_open": seen.most_open,
                "faults": dict(seen.faults),
                "keys": len(seen.keys),
                "repeats": repeats,
                "input_tokens": seen.input_tokens,
                "output_tokens": seen.output_tokens,
            }
        )


_SPOILT: dict[str, tuple[str | None, str, dict]] = {
    "empty": ("", "stop", {}),
    "filtered": ("", "content_filter", {}),
    "refusal": (None, "stop", {"refusal": "I will not."}),
    "wrong_label": ('{"answer": "none of these"}', "stop", {}),
    "nan": ('{"answer": NaN}', "stop", {}),
    "megabyte": ("x" * 1_000_000, "stop", {}),
}


def _content(request: dict, fault: str | None) -> tuple[str | None, str, dict]:
    if fault in _SPOILT:
        return _SPOILT[fault]
    answer = {"answer": _choose(request)}
    if fault == "extra_keys":
        return orjson.dumps({**answer, "and": 1}).decode(), "stop", {}
    structured = "response_format" in request or "JSON" in _text(request, 0)
    sound = orjson.dumps(answer).decode() if structured else answer["answer"]
    return (sound[:-3], "length", {}) if fault == "length" else (sound, "stop", {})


def _choose(request: dict) -> str:
    prompt = _text(request, -1).encode()
    choices = _choices(request)
    return choices[hashlib.blake2b(prompt, digest_size=4).digest()[0] % len(choices)]


def _text(request: dict, index: int) -> str:
    """A message's text; some clients first ask nothing at all, to read the headers."""
    messages = request["messages"]
    content = messages[index]["content"] if messages else ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _choices(request: dict) -> list[str]:
    """The answers that the schema admits, or those that the first message lists in quotation marks."""
    schema = request.get("response_format", {}).get("json_schema", {}).get("schema", {})
    answer = schema.get("properties", {}).get("answer", {})
    if answer:
        return answer.get("enum") or [answer["const"]]
    listed = _LISTED.search(_text(request, 0))
    return json.loads(f"[{listed[1]}]") if listed else ["yes"]


def _logprobs(request: dict) -> dict | None:
    if not request.get("logprobs"):
        return None
    top = [
        {"token": "yes", "logprob": -0.3567},
        {"token": " no", "logprob": -1.6094},
        {"token": "?", "logprob": -2.3},
    ]
    return {"content": [{"token": "yes", "logprob": -0.3567, "top_logprobs": top}]}


class _Connection(asyncio.Protocol):
    def __init__(self, model: MockModel) -> None:
        self._model = model
        self._buffer = b""
        self._number = next(_numbers)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._model.connections.add(transport)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._model.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _CONTENT_LENGTH.search(self._buffer, 0, end + 2)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < total:
                return
            head, body = self._buffer[:end], self._buffer[end + 4 : total]
            self._buffer = self._buffer[total:]
            self._take(head, body)

    def _take(self, head: bytes, body: bytes) -> None:
        if _ABOUT_ITSELF.match(head):
            self._write(_response(200, self._told(head, body)))
            return
        request = self._model.arrived(head, body, self._number)
        delay = self._model.delay()
        if delay:
            asyncio.get_running_loop().call_later(delay, self._reply, body, request)
        else:
            self._reply(body, request)

    def _told(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"POST"):
            self._model.behave(orjson.loads(body))
            return b"{}"
        since = re.match(rb"GET /__log\?from=(\d+)", head)
        if since:
            return orjson.dumps([asdict(request) for request in self._model.log[int(since[1]) :]])
        return self._model.stats()

    def _reply(self, body: bytes, request: Request) -> None:
        self._model.seen.open -= 1
        if request.fault is not None:
            self._misbehave(body, request)
            return
        self._write(_response(200, self._model.completion(body, request)))
        if self._transport.is_closing():
            return
        request.replied = time.monotonic()
        if request.key:
            self._model.seen.served[request.key] += 1

    def _misbehave(self, body: bytes, request: Request) -> None:
        fault = request.fault or ""
        if fault in {"hang", "headers_only", "drip"}:
            self._stall(fault)
            return
        if fault[:3].isdigit() or fault == "quota":
            self._write(self._refusal(request))
        elif fault in _GARBLED:
            self._garble(self._model.completion(body, request), fault)
        else:
            self._write(_response(200, self._model.completion(body, request)))
        request.replied = time.monotonic()

    def _refusal(self, request: Request) -> bytes:
        if request.fault == "quota":
            return _response(429, _error("insufficient_quota", "You exceeded your current quota"))
        status, _, kind = (request.fault or "").partition("_")
        header, wait = self._waiting(kind)
        if wait is not None:
            request.until = time.monotonic() + wait
        return _response(int(status), _error("mock", "no"), header)

    def _waiting(self, kind: str) -> tuple[bytes, float | None]:
        """The header that asks to wait, and the seconds it asks for."""
        seconds = self._model.behaviour.retry_after
        match kind:
            case "retry_after":
                return b"Retry-After: %g\r\n" % seconds, seconds
            case "ms":
                return b"retry-after-ms: %d\r\n" % (1000 * seconds), seconds
            case "date":
                then = int(time.time()) + _DATE_AHEAD
                return b"Retry-After: %s\r\n" % formatdate(then, usegmt=True).encode(), then - time.time()
            case "3600":
                return b"Retry-After: 3600\r\n", 3600.0
            case "negative":
                return b"Retry-After: -5\r\n", None
        return b"", None

    def _stall(self, fault: str) -> None:
        if fault == "headers_only":
            self._write(_HEAD % (200, b"", 400))
        elif fault == "drip":
            self._write(_HEAD % (200, b"", 100_000))
            self._drip()

    def _drip(self) -> None:
        if not self._transport.is_closing():
            self._write(b" ")
            asyncio.get_running_loop().call_later(0.05, self._drip)

    def _garble(self, completion: bytes, fault: str) -> None:
        match fault:
            case "close":
                self._transport.close()
            case "reset":
                whole = _response(200, completion)
                self._write(whole[: len(whole) // 2])
                self._transport.abort()
            case "wrong_length" | "short_length":
                told = len(completion) + (100 if fault == "wrong_length" else -40)
                self._write(_HEAD % (200, b"", told) + completion)
                self._transport.close()
            case _:
                head = b"Content-Encoding: gzip\r\n" if fault == "gzip" else b""
                self._write(_response(200, _garbage(completion, fault), head))

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


def _garbage(completion: bytes, fault: str) -> bytes:
    return {
        "truncated": completion[: len(completion) // 2],
        "gzip": b"\x1f\x8bnot gzip at all",
        "half_stream": b'data: {"choices": [{"delta": {"content": "ye',
        "html": b"<html><body>Bad gateway, but politely</body></html>",
        "error_body": _error("server_busy", "try again"),
    }[fault]


def _response(status: int, body: bytes, headers: bytes = b"") -> bytes:
    return _HEAD % (status, headers, len(body)) + body


def _error(code: str, message: str) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": code, "code": code}})


@asynccontextmanager
async def serving(behaviour: Behaviour | None = None, port: int = 0) -> AsyncIterator[MockModel]:
    """A running server; its address is `url`."""
    model = MockModel(behaviour or Behaviour())
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(model), "127.0.0.1", port, backlog=2048
    )
    model.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield model
    finally:
        server.close()
        for connection in tuple(model.connections):
            connection.abort()


async def _serve(behaviour: Behaviour, port: int) -> None:
    async with serving(behaviour, port) as model:
        print(json.dumps({"url": model.url}), flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--capacity", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", action="store_true")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=RATE", help=", ".join(FAULTS))
    given = parser.parse_args()
    rates = {name: float(rate) for name, _, rate in (fault.partition("=") for fault in given.fault)}
    unknown = rates.keys() - set(FAULTS)
    if unknown:
        parser.error(f"unknown faults: {', '.join(unknown)}")
    behaviour = Behaviour(
        given.latency, given.jitter, rates, capacity=given.capacity, seed=given.seed, log=given.log
    )
    try:
        from uvloop import run
    except ImportError:
        from asyncio import run
    try:
        run(_serve(behaviour, given.port))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
