from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from promptlabel.web.protection import HEADERS, Protection, hostname

HERE = "http://127.0.0.1:8711"


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("served")


@pytest.fixture
def client(browser: Callable[[ASGIApp], Any]) -> Any:
    app = Starlette(routes=[Route("/", answer, methods=["GET", "POST", "PUT", "DELETE"])])
    return browser(Protection(app))


@pytest.mark.parametrize("host", ["127.0.0.1:8711", "localhost:8711", "[::1]:8711", "LOCALHOST", "127.0.0.1"])
def test_loopback_names_are_served(client: Any, host: str) -> None:
    assert client.get("/", headers={"host": host}).text == "served"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8711",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8711",
        "127.0.0.1@evil.example",
        "evil.example#127.0.0.1",
        "[::2]:8711",
        "[::1",
        "127.0.0.2",
        "0.0.0.0",  # noqa: S104 - a host name that must be refused
        "",
    ],
)
def test_foreign_hosts_are_refused(client: Any, host: str) -> None:
    refusal = client.get("/", headers={"host": host})
    assert refusal.status_code == 400
    assert "host name" in refusal.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "https://127.0.0.1:8711"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://localhost:8711"},
        {"origin": "http://127.0.0.1:8711.evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": HERE},
        {"sec-fetch-site": "none"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_writes_from_other_origins_are_refused(client: Any, headers: dict[str, str], method: str) -> None:
    refusal = client.request(method, "/", headers=headers, json={})
    assert refusal.status_code == 403
    assert "another site" in refusal.json()["error"]


@pytest.mark.parametrize("headers", [{}, {"origin": HERE}, {"origin": HERE, "sec-fetch-site": "same-origin"}])
def test_writes_from_here_are_served(client: Any, headers: dict[str, str]) -> None:
    assert client.post("/", headers=headers, json={}).text == "served"


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonp"],
)
def test_only_json_is_written(client: Any, kind: str) -> None:
    assert client.post("/", content="{}", headers={"content-type": kind}).status_code == 415


def test_every_answer_has_the_headers_refusals_too(client: Any) -> None:
    for response in (
        client.get("/"),
        client.get("/nothing"),
        client.get("/", headers={"host": "evil.example"}),
    ):
        assert {name: response.headers[name] for name in HEADERS} == dict(HEADERS)
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_a_malformed_host_is_no_host() -> None:
    assert hostname("[::1") is None
