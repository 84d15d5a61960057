from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from promptlabel.people import LONGEST_NAME, Person, clean_name
from promptlabel.web.sessions import Sessions


def cookie_of(sessions: Sessions, name: str) -> str:
    response = Response()
    sessions.sign_in(response, Person(name))
    return response.headers["set-cookie"]


def request_with(cookie: str) -> Request:
    return Request({"type": "http", "headers": [(b"cookie", cookie.encode("latin-1"))]})


@given(st.text(min_size=1, max_size=LONGEST_NAME).filter(clean_name))
def test_a_signed_in_browser_is_its_reviewer(name: str) -> None:
    sessions = Sessions(b"secret", "token")
    assert sessions.person(request_with(cookie_of(sessions, name).partition(";")[0])) == Person(name)


def test_the_cookie_is_for_this_site_and_no_script() -> None:
    attributes = cookie_of(Sessions(b"secret", "token"), "anna").lower()
    assert "httponly" in attributes
    assert "samesite=strict" in attributes


@given(st.integers(0, 200), st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=';,"\\'))
def test_a_cookie_that_was_changed_is_nobodys(place: int, letter: str) -> None:
    sessions = Sessions(b"secret", "token")
    name, _, value = cookie_of(sessions, "anna").partition(";")[0].partition("=")
    place %= len(value)
    forged = value[:place] + letter + value[place + 1 :]
    expected = Person("anna") if forged == value else None
    assert sessions.person(request_with(f"{name}={forged}")) == expected


@pytest.mark.parametrize("cookie", ["", "promptlabel-x=1", "nonsense", "=.="])
def test_without_a_cookie_nobody_is_signed_in(cookie: str) -> None:
    assert Sessions(b"secret", "token").person(request_with(cookie)) is None


def test_another_projects_cookie_is_not_taken() -> None:
    theirs = cookie_of(Sessions(b"theirs", "token"), "anna").partition(";")[0]
    assert Sessions(b"ours", "token").person(request_with(theirs)) is None


def test_only_the_printed_token_admits() -> None:
    sessions = Sessions(b"secret", "token")
    assert sessions.admits("token")
    assert not any(sessions.admits(wrong) for wrong in ("", "Token", "token ", "tökén"))


def test_an_invitation_works_once_and_says_who_comes() -> None:
    sessions = Sessions(b"secret", "token", "anna", open_to_all=False)
    ben = sessions.invite("ben")
    assert sessions.redeem(ben) == Person("ben")
    assert sessions.redeem("token") == Person("anna", frozenset({"maintainer"}))
    assert sessions.redeem(ben) is sessions.redeem("token") is sessions.redeem("guess") is None
    assert not sessions.admits("token")


def test_nobody_becomes_a_maintainer_by_a_name() -> None:
    sessions = Sessions(b"secret", "token", "anna")
    for name in ("maintainer anna", "anna", "maintainer"):
        found = sessions.person(request_with(cookie_of(sessions, name).partition(";")[0]))
        assert found == Person(name)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("  anna  b ", "anna b"),
        ("", None),
        ("  ", None),
        ("a\x00b", None),
        ("x" * 65, None),
        ("\u202eanna", None),
    ],
)
def test_names_are_printable_and_not_too_long(name: str, kept: str | None) -> None:
    assert clean_name(name) == kept
