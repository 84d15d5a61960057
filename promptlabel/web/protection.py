"""What stands before every request: which hosts, which origins, how much, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from promptlabel.web.refusals import refused

LOOPBACK = ("127.0.0.1", "localhost", "::1")

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class Protection:
    """Refuses foreign hosts and, for writes, foreign origins and anything but JSON; sets the headers.

    A page on another site can make a browser send requests here: the names under which this server is
    called are therefore listed (against DNS rebinding), and a write must come from this very origin.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = LOOPBACK) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Nothing; the request is answered, by a refusal or by the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sender = _with_headers(send)
        refusal = self._refusal(scope["method"], Headers(scope=scope), scope["scheme"])
        await (refusal or self._app)(scope, receive, sender)

    def _refusal(self, method: str, headers: Headers, scheme: str) -> JSONResponse | None:
        if hostname(headers.get("host", "")) not in self._hosts:
            return refused(400, "this server does not answer to that host name")
        if method in ("GET", "HEAD"):
            return None
        if not is_same_origin(headers, scheme):
            return refused(403, "the request comes from another site")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return refused(415, "send JSON, with the content type application/json")
        return None


def hostname(host: str) -> str | None:
    """The name in a Host header, lower case, without port and brackets; None where it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def is_same_origin(headers: Headers, scheme: str) -> bool:
    """Whether a write comes from this server's own pages, or from a program that is no browser."""
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = headers.get("origin")
    return origin is None or origin.lower() == f"{scheme}://{headers.get('host', '')}".lower()


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sender
