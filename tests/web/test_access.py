"""Who sends a request: by a cookie, or by the word of a proxy, and never by anybody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from promptlabel.errors import InputError
from promptlabel.people import Person
from promptlabel.settings import Settings
from promptlabel.web.access import PROOF, SECRET, StrangerError, TrustedProxy, trusted_proxy
from promptlabel.web.sessions import Sessions

KEY = "0123456789abcdef"
USER = "X-Forwarded-User"
SETTINGS = Settings.model_validate({"people": {"anna": ["expert", "maintainer"], "zoë": "reviewer"}})
PROXY = TrustedProxy(USER, KEY, SETTINGS.people)


def request(*headers: tuple[str, str], **more: str) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "headers": raw, "client": ("127.0.0.1", 1), **more})


def test_a_proxy_that_proves_itself_is_believed() -> None:
    found = PROXY.identify(request((PROOF, KEY), (USER, "anna")))
    assert found == Person("anna", frozenset({"expert", "maintainer"}))
    assert found.may("write rules")
    assert PROXY.identify(request((PROOF, KEY), (USER, " zoë "))) == Person("zoë", frozenset({"reviewer"}))


@pytest.mark.parametrize(
    "headers",
    [
        [(USER, "anna")],
        [(USER, "anna"), (PROOF, "")],
        [(USER, "anna"), (PROOF, KEY[:-1])],
        [(USER, "anna"), (PROOF, KEY.upper())],
        [(USER, "anna"), (PROOF, "wrong"), (PROOF, KEY)],
        [(USER, "anna"), (PROOF, KEY), (PROOF, KEY)],
        [(USER, "anna"), (PROOF.replace("-", "_"), KEY)],
        [(USER, "anna"), ("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1")],
    ],
)
def test_nobody_else_is_even_from_this_machine(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(StrangerError, match="come through the proxy") as refused:
        PROXY.identify(request(*headers))
    assert refused.value.noteworthy
    assert refused.value.name == "anna"


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=24))
def test_no_other_secret_opens(guess: str) -> None:
    if guess != KEY:
        with pytest.raises(StrangerError):
            PROXY.identify(request((PROOF, guess), (USER, "anna")))


def test_whoever_comes_with_nothing_is_not_worth_a_note() -> None:
    with pytest.raises(StrangerError) as refused:
        PROXY.identify(request())
    assert not refused.value.noteworthy


@pytest.mark.parametrize(
    "named", [[], [""], ["anna", "zoë"], ["anna", "anna"], ["ANNA"], ["ana"], ["anna,zoë"], ["an\u202ena"]]
)
def test_a_proxy_that_names_nobody_known_or_several_is_refused(named: list[str]) -> None:
    headers = [(USER, name) for name in named]
    with pytest.raises(StrangerError, match=r"did not say|nobody named") as refused:
        PROXY.identify(request((PROOF, KEY), *headers))
    assert "did you mean" not in str(refused.value), "a stranger is told no names"


def test_a_cookie_counts_for_nothing_beside_a_proxy() -> None:
    response = Response()
    Sessions(b"secret", "token").sign_in(response, Person("anna", frozenset({"maintainer"})))
    cookie = response.headers["set-cookie"].partition(";")[0]
    with pytest.raises(StrangerError):
        PROXY.identify(request(("Cookie", cookie)))


def test_what_is_missing_is_told_all_at_once() -> None:
    with pytest.raises(InputError) as refused:
        trusted_proxy(Settings(), "X Forwarded", {SECRET: "short"})
    assert [fault.key for fault in refused.value.faults] == ["--trusted-header", "people", SECRET]
    with pytest.raises(InputError, match=f"{SECRET}: is not set.*16 characters or more"):
        trusted_proxy(SETTINGS, USER, {})
    assert trusted_proxy(SETTINGS, USER, {SECRET: KEY}) == PROXY


def test_roles_are_those_of_the_settings_whatever_a_cookie_says() -> None:
    response = Response()
    before = Sessions(b"secret", "token", people={"anna": ("maintainer",), "ben": ("expert",)})
    before.sign_in(response, Person("anna", frozenset({"maintainer"})))
    cookie = ("Cookie", response.headers["set-cookie"].partition(";")[0])
    assert before.identify(request(cookie)).may("adjudicate")
    demoted = Sessions(b"secret", "token", people={"anna": ("reviewer",)})
    assert demoted.identify(request(cookie)) == Person("anna", frozenset({"reviewer"}))
    gone = Sessions(b"secret", "token", people={"ben": ("expert",)})
    with pytest.raises(StrangerError):
        gone.identify(request(cookie))


def test_where_people_are_named_no_address_is_for_everybody() -> None:
    sessions = Sessions(b"secret", "token", "anna", people={"anna": ("maintainer",)})
    assert not sessions.admits("token")
    assert sessions.redeem("token") is None
    assert sessions.redeem(sessions.invite("anna")) == Person("anna", frozenset({"maintainer"}))
    assert not sessions.knows("ben")
