"""Lets people through to what their roles allow, and writes down who came, who was refused, and what was done."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final, TypeAlias

from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from promptlabel.deeds import DONE, REFUSED, Deed
from promptlabel.errors import StoreHeldError
from promptlabel.people import RIGHTS, Person, Right
from promptlabel.pipeline.recording import Actor
from promptlabel.records import JsonValue
from promptlabel.store.contract import Store
from promptlabel.web.access import Access, StrangerError
from promptlabel.web.refusals import refused

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
Opened: TypeAlias = Callable[[], AbstractContextManager[Store]]

TEMPLATES: Final = Environment(
    loader=PackageLoader("promptlabel.web"), autoescape=select_autoescape(default=True)
)
_QUIET: Final = timedelta(minutes=1)
_MOST_KEPT: Final = 1000


def page(template: str, status: int = 200, /, **values: object) -> HTMLResponse:
    """The template as an answer."""
    return HTMLResponse(TEMPLATES.get_template(template).render(values), status_code=status)


def person_of(request: Request) -> Person:
    """Who sent a request that a door let through."""
    person: Person = request.state.person
    return person


class VisitorBook:
    """Writes into the project's history what happens at its pages.

    Args:
        opened: opens the project, for as long as it takes to write.
        clock: tells when that is.
    """

    def __init__(self, opened: Opened, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._opened, self._clock = opened, clock
        self._seen: set[tuple[str, str]] = set()
        self._refused: dict[tuple[str, ...], datetime] = {}
        self._left_out: Counter[tuple[str, ...]] = Counter()
        self._waiting: deque[Deed] = deque()
        self._writing = Lock()

    async def write(
        self,
        request: Request,
        name: str,
        verb: str,
        *,
        task: str | None = None,
        outcome: str = DONE,
        details: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Nothing; that somebody of this name did this is in the history."""
        actor = Actor(name, "page", _host(request))
        self._waiting.append(actor.deed(verb, task=task, outcome=outcome, details=details, clock=self._clock))
        # Where another verb has the embedded store it is written with what comes next.
        with suppress(StoreHeldError):
            await run_in_threadpool(self.finish)

    def finish(self) -> None:
        """Nothing; whatever waited for the store is in the history.

        Raises:
            StoreHeldError: while another process has the store; it waits still.
        """
        with self._writing:
            while self._waiting:
                with self._opened() as store:
                    store.add_deed(self._waiting[0])
                self._waiting.popleft()

    async def came(self, request: Request, person: Person) -> None:
        """Nothing; that the person came from there is in the history once, while this server runs."""
        visit = (person.name, _host(request))
        if visit not in self._seen:
            self._seen.add(visit)
            await self.write(request, person.name, "sign in", details={"roles": sorted(person.roles)})

    async def turned_away(self, request: Request, name: str, sentence: str) -> None:
        """Nothing; the refusal is in the history, once a minute where the same is refused again and again."""
        path = _path(request)
        key, now = (name, _host(request), path, sentence), self._clock()
        if now - self._refused.get(key, now - _QUIET) < _QUIET:
            self._left_out[key] += 1
            return
        if len(self._refused) >= _MOST_KEPT:
            self._refused = {one: at for one, at in self._refused.items() if now - at < _QUIET}
        if len(self._refused) >= _MOST_KEPT:
            return  # whoever sends a thousand kinds of nonsense a minute does not fill the store with it
        self._refused[key] = now
        again = self._left_out.pop(key, 0)
        details: dict[str, JsonValue] = {"path": path, "because": sentence[:300]}
        if again:
            details["left out before"] = again
        await self.write(request, name[:200], "open a page", outcome=REFUSED, details=details)


class Door:
    """Stands before the routes of an application.

    Args:
        access: tells who sends a request.
        book: where visits are written.
    """

    def __init__(self, access: Access, book: VisitorBook) -> None:
        self.access, self.book = access, book

    def for_pages(self, right: Right, endpoint: Endpoint) -> Endpoint:
        """The endpoint for whoever has the right; others read why they are refused on a page."""
        return self._guarded(right, endpoint, _page_for_strangers, _page_of_refusal)

    def for_scripts(self, right: Right, endpoint: Endpoint) -> Endpoint:
        """The endpoint for whoever has the right; others are refused in JSON."""
        return self._guarded(right, endpoint, lambda error: refused(403, str(error)), _refusal)

    def may(self, request: Request, right: Right) -> bool:
        """Whether the sender has the right."""
        try:
            return self.access.identify(request).may(right)
        except StrangerError:
            return False

    async def refuse(self, request: Request, right: Right) -> Response:
        """The answer, in JSON, to somebody who has not the right."""
        person = person_of(request)
        await self.book.turned_away(request, person.name, lacking(person, right))
        return _refusal(person, right)

    def _guarded(
        self,
        right: Right,
        endpoint: Endpoint,
        locked: Callable[[StrangerError], Response],
        refusal: Callable[[Person, Right], Response],
    ) -> Endpoint:
        async def entered(request: Request) -> Response:
            try:
                person = self.access.identify(request)
            except StrangerError as error:
                if error.noteworthy:
                    await self.book.turned_away(request, error.name, str(error))
                return locked(error)
            if not person.may(right):
                await self.book.turned_away(request, person.name, lacking(person, right))
                return refusal(person, right)
            await self.book.came(request, person)
            request.state.person = person
            return await endpoint(request)

        return entered


_DOING: Final[Mapping[Right, str]] = {
    "review": "reviewing",
    "write rules": "writing rules",
    "adjudicate": "settling conflicts",
    "invite": "inviting others",
    "see history": "reading who did what",
}


def lacking(person: Person, right: Right) -> str:
    """The sentence for somebody who has not the right."""
    roles = " or ".join(f"{role}s" for role in sorted(RIGHTS[right]))
    return f"{_DOING[right]} is for {roles}, and you are {person}"


def _refusal(person: Person, right: Right) -> Response:
    return refused(403, lacking(person, right))


def _page_for_strangers(error: StrangerError) -> Response:
    return page("locked.html", 403, sentence=str(error))


def _page_of_refusal(person: Person, right: Right) -> Response:
    return page("refused.html", 403, sentence=lacking(person, right))


def _path(request: Request) -> str:
    """The path, without the token of an address that lets people in."""
    path = request.url.path
    return "/join" if path.startswith("/join/") else path[:200]


def _host(request: Request) -> str:
    return request.client.host if request.client else ""
