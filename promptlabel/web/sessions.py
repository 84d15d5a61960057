"""Who is reviewing: a secret in the printed address lets people in, a signed cookie remembers their names."""

from __future__ import annotations

import base64
import hmac
import secrets
from hashlib import sha256
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from promptlabel.store.contract import Store

_STATE: Final = "review_secret"
_AGE: Final = 30 * 24 * 3600
LONGEST_NAME: Final = 64


class Sessions:
    """Names of reviewers behind signed cookies.

    The secret that signs is kept in the store, so that a reviewer stays signed in, and what their
    browser still has to send stays welcome, when the server is started again. The token in the printed
    address is made anew by every start.
    """

    def __init__(self, secret: bytes, token: str) -> None:
        self._secret = secret
        self.token = token
        self.project = sha256(b"project" + secret).hexdigest()[:12]
        self._cookie = f"promptlabel-{self.project}"

    @classmethod
    def open(cls, store: Store) -> Sessions:
        """Sessions signed with the store's secret, which is made when there is none."""
        secret = store.state(_STATE)
        if not isinstance(secret, str):
            secret = secrets.token_hex(32)
            store.save_state(_STATE, secret)
        return cls(bytes.fromhex(secret), secrets.token_urlsafe(24))

    def admits(self, token: str) -> bool:
        """Whether the token is the one of the printed address."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def sign_in(self, response: Response, reviewer: str) -> None:
        """Nothing; the browser that gets the response is the reviewer's from now on."""
        response.set_cookie(
            self._cookie, self._sealed(reviewer), max_age=_AGE, httponly=True, samesite="strict", path="/"
        )

    def reviewer(self, request: Request) -> str | None:
        """The reviewer whose browser sent the request; None without a cookie, or with one not signed here."""
        cookie = request.cookies.get(self._cookie, "")
        try:
            name = base64.urlsafe_b64decode(cookie.partition(".")[0]).decode()
        except ValueError:
            return None
        return name if hmac.compare_digest(cookie.encode(), self._sealed(name).encode()) else None

    def _sealed(self, reviewer: str) -> str:
        seal = hmac.new(self._secret, reviewer.encode(), sha256).hexdigest()
        return f"{base64.urlsafe_b64encode(reviewer.encode()).decode()}.{seal}"


def clean_name(name: str) -> str | None:
    """The reviewer's name without surrounding blanks; None when it is empty, too long or not printable."""
    name = " ".join(name.split())
    return name if name and len(name) <= LONGEST_NAME and name.isprintable() else None
