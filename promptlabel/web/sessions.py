"""Who is reviewing: secret addresses let people in, a signed cookie remembers who they are."""

from __future__ import annotations

import base64
import hmac
import secrets
from hashlib import sha256
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from promptlabel.people import ROLES, Person, Role, clean_name
from promptlabel.store.contract import Store
from promptlabel.web.access import People, StrangerError

_STATE: Final = "review_secret"
_AGE: Final = 30 * 24 * 3600
_MAINTAINER: Final = frozenset[Role]({"maintainer"})
_NOBODY: Final = "open the address that promptlabel printed"


class Sessions:
    """People behind signed cookies, and the addresses that let them in.

    The secret that signs is kept in the store, so that a reviewer stays signed in, and what their
    browser still has to send stays welcome, when the server is started again. The addresses are made anew by
    every start.

    Args:
        secret: what signs.
        token: the secret of the printed address.
        first: who opens that address first, and is the maintainer.
        open_to_all: whether others may come through it too, under names of their own.
        people: where there are some, nobody else is let in, and their roles are these, whatever a cookie says; each
            needs an address of their own.
    """

    def __init__(
        self,
        secret: bytes,
        token: str,
        first: str = "",
        *,
        open_to_all: bool = True,
        people: People | None = None,
    ) -> None:
        self._secret = secret
        self.token = token
        self._people = people or {}
        self.open_to_all = open_to_all and not people
        self.project = sha256(b"project" + secret).hexdigest()[:12]
        self._cookie = f"promptlabel-{self.project}"
        self._once = {} if people else {token: Person(first, _MAINTAINER)}

    @classmethod
    def open(
        cls, store: Store, first: str = "", *, open_to_all: bool = True, people: People | None = None
    ) -> Sessions:
        """Sessions signed with the store's secret, which is made when there is none."""
        secret = store.state(_STATE)
        if not isinstance(secret, str):
            secret = secrets.token_hex(32)
            store.save_state(_STATE, secret)
        return cls(
            bytes.fromhex(secret), secrets.token_urlsafe(24), first, open_to_all=open_to_all, people=people
        )

    def admits(self, token: str) -> bool:
        """Whether the token is the one of the printed address, and others than the first may use it."""
        return self.open_to_all and hmac.compare_digest(token.encode(), self.token.encode())

    def invite(self, name: str) -> str:
        """The token of an address that lets one browser in, once, under that name."""
        token = secrets.token_urlsafe(24)
        self._once[token] = self._known(Person(name)) or Person(name)
        return token

    def redeem(self, token: str) -> Person | None:
        """Whom the token invites; it does so once."""
        return self._once.pop(token, None)

    def sign_in(self, response: Response, person: Person) -> None:
        """Nothing; the browser that gets the response is that person's from now on."""
        response.set_cookie(
            self._cookie, self._sealed(person), max_age=_AGE, httponly=True, samesite="strict", path="/"
        )

    def identify(self, request: Request) -> Person:
        """See `Access.identify`."""
        person = self.person(request)
        known = self._known(person) if person and clean_name(person.name) else None
        if known is None:
            raise StrangerError(_NOBODY, noteworthy=False)
        return known

    def knows(self, name: str) -> bool:
        """Whether somebody of that name may be invited."""
        return not self._people or name in self._people

    def person(self, request: Request) -> Person | None:
        """Whose browser sent the request; None without a cookie, or with one not signed here."""
        cookie = request.cookies.get(self._cookie, "")
        try:
            said, _, name = base64.urlsafe_b64decode(cookie.partition(".")[0]).decode().partition(" ")
        except ValueError:
            return None
        roles = frozenset(role for role in ROLES if role in said.split("+"))
        person = Person(name, roles)
        return person if hmac.compare_digest(cookie.encode(), self._sealed(person).encode()) else None

    def _known(self, person: Person) -> Person | None:
        """The person as `people` has them, None where it has others."""
        if not self._people:
            return person
        roles = self._people.get(person.name)
        return Person(person.name, frozenset(roles)) if roles else None

    def _sealed(self, person: Person) -> str:
        said = f"{'+'.join(sorted(person.roles))} {person.name}".encode()
        seal = hmac.new(self._secret, said, sha256).hexdigest()
        return f"{base64.urlsafe_b64encode(said).decode()}.{seal}"
