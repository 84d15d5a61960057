"""Who sends a request: whoever the cookie says, or whoever a proxy says that proves itself.

A header that names a person is taken only beside another that holds a secret, which this process and its proxy share.
Where the request comes from proves nothing: everybody on the machine comes from loopback. Passwords are the proxy's.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.requests import Request

from promptlabel.errors import Fault, InputError
from promptlabel.people import Person, Role
from promptlabel.settings import CONFIGURATION_FILE, Settings

PROOF: Final = "X-Promptlabel-Proxy"
"""The header in which the proxy sends the secret."""
SECRET: Final = "PROMPTLABEL_PROXY_SECRET"  # noqa: S105 - the name of the variable
_SHORTEST_SECRET: Final = 16
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")

People = Mapping[str, tuple[Role, ...]]


class StrangerError(Exception):
    """Nobody that this server knows sends the request; the text is the sentence that they read.

    Attributes:
        name: whom the request claims to come from.
        noteworthy: whether somebody tried, rather than came without anything.
    """

    def __init__(self, sentence: str, name: str = "", *, noteworthy: bool = True) -> None:
        super().__init__(sentence)
        self.name, self.noteworthy = name, noteworthy


class Access(Protocol):
    """Tells who sends a request."""

    def identify(self, request: Request) -> Person:
        """The person.

        Raises:
            StrangerError: if it is nobody known.
        """
        ...


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    """People as a proxy in front names them, in `header`; their roles are those of `people`."""

    header: str
    secret: str
    people: People

    def identify(self, request: Request) -> Person:
        """See `Access.identify`."""
        proofs = request.headers.getlist(PROOF)
        if len(proofs) != 1 or not hmac.compare_digest(proofs[0].encode(), self.secret.encode()):
            claimed = request.headers.get(self.header, "")
            noteworthy = bool(claimed or proofs)
            raise StrangerError("come through the proxy that signs people in", claimed, noteworthy=noteworthy)
        named = [name.strip() for name in request.headers.getlist(self.header)]
        if len(named) != 1 or not named[0]:
            raise StrangerError("the proxy did not say who you are", ", ".join(named))
        name = _text(named[0])
        if name not in self.people:
            raise StrangerError(
                f"nobody named {name} is among the people of this project: ask its maintainer", name
            )
        return Person(name, frozenset(self.people[name]))


def _text(header: str) -> str:
    """The name as people write it: headers come as Latin-1, and proxies send UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def trusted_proxy(
    settings: Settings, header: str, environment: Mapping[str, str] = os.environ
) -> TrustedProxy:
    """The proxy that names people in that header.

    Raises:
        InputError: where `people` or the shared secret is missing, or the header is none.
    """
    faults = []
    if not _HEADER.fullmatch(header):
        faults.append(Fault(f"'{header}' is no name of a header", key="--trusted-header"))
    if not settings.people:
        message = "is missing: names as the proxy sends them, and the roles of each"
        faults.append(Fault(message, CONFIGURATION_FILE, key="people"))
    secret = environment.get(SECRET, "")
    if len(secret) < _SHORTEST_SECRET:
        told = f"has {len(secret)} characters" if secret else "is not set"
        message = (
            f"{told}: give this process and its proxy one secret of {_SHORTEST_SECRET} characters or more,"
            f" which the proxy sends as {PROOF}; else anybody on this machine could name anybody"
        )
        faults.append(Fault(message, key=SECRET))
    if faults:
        raise InputError(faults)
    return TrustedProxy(header, secret, settings.people)
