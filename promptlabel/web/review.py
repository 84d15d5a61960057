"""The review page as a Starlette application: pages for people, JSON for the page's own script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from promptlabel.errors import InputError, nearest
from promptlabel.people import Person, clean_name
from promptlabel.pipeline.authoring.workbench import Bench
from promptlabel.pipeline.history import history
from promptlabel.pipeline.reviewing.review import ReviewDesk
from promptlabel.pipeline.reviewing.task_desk import Submission
from promptlabel.records import Trace
from promptlabel.review.queue import Holder
from promptlabel.rules.loading import Task
from promptlabel.settings import Review
from promptlabel.store.contract import Store
from promptlabel.web.access import People, TrustedProxy
from promptlabel.web.door import Door, Endpoint, VisitorBook, page, person_of
from promptlabel.web.health import health_routes
from promptlabel.web.messages import (
    Act,
    DisputedRequest,
    EventsRequest,
    InviteRequest,
    JoinRequest,
    NextRequest,
    item_message,
)
from promptlabel.web.protection import LOOPBACK, Protection
from promptlabel.web.refusals import HANDLERS, body_of, refused
from promptlabel.web.sessions import Sessions
from promptlabel.web.workbench import WORKBENCH_HANDLERS, workbench_routes

_DEEDS_SHOWN: Final = 200
_WRONG_ADDRESS: Final = "this address lets nobody in, or has let somebody in already: ask for a new one"
KEYS: Final = "1234567890abdgijklmnopqrstvwxyz"
"""The labels' keys in order; c, e, f, h, u and space have other meanings."""


_Body = TypeVar("_Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Admission:
    """Who comes to the pages, and to what, beside reviewing.

    Attributes:
        people: names and roles; where there are some, nobody else is let in.
        proxy: who says which of them sends a request; without, addresses let them in.
        bench: where there is one, experts write rules at ``/workbench``.
    """

    people: People = field(default_factory=dict)
    proxy: TrustedProxy | None = None
    bench: Bench | None = None


def review_app(
    store: Store,
    tasks: Sequence[Task],
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    reviewer: str = "reviewer",
    hosts: Iterable[str] = LOOPBACK,
    review: Review = Review(),  # noqa: B008 - frozen
    open_to_all: bool = True,
    folder: Path | None = None,
    admission: Admission = Admission(),
) -> Starlette:
    """The application; `app.state` has its `desk`, its `sessions`, and the `path` of the printed address.

    Args:
        store: where queue, votes and decisions are.
        tasks: what is reviewed; the first is shown first.
        now: the clock.
        reviewer: the name of whoever opens the address first, the maintainer; others give theirs.
        hosts: the names under which the server may be called.
        review: how many people label each trace, and what is mixed in to test them.
        folder: where leases are kept, so that they outlive a kill.
        open_to_all: whether the address lets others in; if not, each needs an address of their own.
        admission: who the people are, who says so, and what else than the review is served to them.
    """
    desk = ReviewDesk(store, tasks, now, review=review, folder=folder)
    sessions = Sessions.open(store, reviewer, open_to_all=open_to_all, people=admission.people)
    door = Door(admission.proxy or sessions, VisitorBook(lambda: nullcontext(store), now))
    pages = _Pages(store, desk, sessions, door, admission)
    app = Starlette(
        routes=[
            Route("/", door.for_pages("review", pages.home)),
            Route("/tasks/{task}", door.for_pages("review", pages.task)),
            Route("/tasks/{task}/conflicts", door.for_pages("adjudicate", pages.conflicts)),
            Route("/history", door.for_pages("see history", pages.history)),
            _posted("/api/tasks/{task}/next", door.for_scripts("review", pages.next_items)),
            _posted("/api/tasks/{task}/disputed", door.for_scripts("adjudicate", pages.disputed)),
            _posted("/api/tasks/{task}/events", door.for_scripts("review", pages.events)),
            *(() if admission.proxy else pages.joining()),
            *(workbench_routes(admission.bench, door, "/workbench") if admission.bench else ()),
            *health_routes(store, tasks),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        middleware=[Middleware(Protection, hosts=tuple(hosts))],
        exception_handlers=HANDLERS | (WORKBENCH_HANDLERS if admission.bench else {}),
    )
    app.state.token, app.state.sessions, app.state.desk = sessions.token, sessions, desk
    app.state.path = "/" if admission.people else f"/join/{sessions.token}"
    return app


def _posted(path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=["POST"])


class _Pages:
    def __init__(
        self, store: Store, desk: ReviewDesk, sessions: Sessions, door: Door, admission: Admission
    ) -> None:
        self.store, self.desk, self.sessions = store, desk, sessions
        self.door, self.admission = door, admission

    async def home(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        return RedirectResponse(f"/tasks/{quote(next(iter(self.desk.tasks)), safe='')}", status_code=303)

    # --- getting in without a proxy

    def joining(self) -> list[Route]:
        """The routes by which addresses let people in."""
        return [
            Route("/join/{token}", self.join_page),
            _posted("/join", self.join),
            _posted("/invite", self.door.for_scripts("invite", self.invite)),
        ]

    async def join_page(self, request: Request) -> Response:
        """Whom the address invites by name is let in at once; those whom it invites at large are asked for a name."""
        token = request.path_params["token"]
        invited = self.sessions.redeem(token) if request.method == "GET" else None
        if invited is None and not self.sessions.admits(token):
            return await self._wrong_address(request)
        if invited is None and self.sessions.person(request) is None:
            return page("join.html", token=token)
        response = RedirectResponse("/", status_code=303)
        if invited is not None:
            await self.door.book.came(request, invited)
            self.sessions.sign_in(response, invited)
        return response

    async def _wrong_address(self, request: Request) -> Response:
        """The answer to somebody whose address lets nobody in; what they tried is not repeated anywhere."""
        if self.sessions.person(request) is None:
            await self.door.book.turned_away(request, "", _WRONG_ADDRESS)
        return page("locked.html", 403, sentence=_WRONG_ADDRESS)

    async def join(self, request: Request) -> Response:
        wanted = await _parsed(JoinRequest, request)
        if not self.sessions.admits(wanted.token) and not self._may_rename(request):
            await self.door.book.turned_away(request, "", _WRONG_ADDRESS)
            return refused(403, "open the address that promptlabel printed")
        name = clean_name(wanted.name)
        if name is None:
            return refused(422, "a name has 1 to 64 printable characters")
        here = self.sessions.person(request)
        person = Person(name, here.roles) if here else Person(name)
        response = JSONResponse({"reviewer": name})
        await self.door.book.came(request, person)
        self.sessions.sign_in(response, person)
        return response

    async def invite(self, request: Request) -> Response:
        """The address that lets one browser in, once, under the name."""
        name = clean_name((await _parsed(InviteRequest, request)).name)
        if name is None:
            return refused(422, "a name has 1 to 64 printable characters")
        if not self.sessions.knows(name):
            return refused(422, f"{name} is not among `people`{nearest(name, self.admission.people)}")
        await self.door.book.write(request, person_of(request).name, "invite", details={"name": name})
        return JSONResponse({"address": f"{request.base_url}join/{self.sessions.invite(name)}"})

    # --- what is served to people

    async def history(self, request: Request) -> Response:
        found = await run_in_threadpool(lambda: history(self.store, most=_DEEDS_SHOWN))
        return page("history.html", found=found, **self._of_everybody(request))

    async def task(self, request: Request) -> Response:
        return await self._task_page(request, adjudicating=False)

    async def conflicts(self, request: Request) -> Response:
        return await self._task_page(request, adjudicating=True)

    async def _task_page(self, request: Request, *, adjudicating: bool) -> Response:
        person = person_of(request)
        task = self.desk.tasks.get(request.path_params["task"])
        if task is None:
            return RedirectResponse("/", status_code=303)
        settles = person.may("adjudicate")
        disputed = await run_in_threadpool(self._count_disputed, task.name) if settles else 0
        return page(
            "review.html",
            task=task,
            tasks=list(self.desk.tasks),
            keys=KEYS.ljust(len(task.labels)),
            sides=("Left", "Right") if task.spec.kind == "pairwise" else (),
            **self._of_everybody(request),
            project=self.sessions.project,
            address=f"{request.base_url}join/{self.sessions.token}" if self.sessions.open_to_all else None,
            adjudicating=adjudicating,
            disputed=disputed,
        )

    async def disputed(self, request: Request) -> Response:
        """Traces on which reviewers differ, with what each said, and nothing of what the rules say."""
        reviewer, task = self._who(request)
        if task is None:
            return _no_such_task()
        wanted = await _parsed(DisputedRequest, request)
        found, waiting = await run_in_threadpool(self.desk.disputed, task, wanted.count, wanted.have)
        items = [
            {**self._item(task, reviewer, trace), "opinions": conflict.labels} for trace, conflict in found
        ]
        progress = {"labelled": 0, "skipped": 0, "flagged": 0, "left": waiting}
        return JSONResponse({"items": items, "progress": progress})

    async def next_items(self, request: Request) -> Response:
        reviewer, task = self._who(request)
        if task is None:
            return _no_such_task()
        wanted = await _parsed(NextRequest, request)
        traces = await run_in_threadpool(
            self.desk.next_items, task, Holder(reviewer, wanted.tab), wanted.count, wanted.have
        )
        return JSONResponse(
            {
                "items": [self._item(task, reviewer, trace) for trace in traces],
                "progress": asdict(self.desk.progress(task, reviewer, wanted.tab)),
            }
        )

    async def events(self, request: Request) -> Response:
        reviewer, task = self._who(request)
        if task is None:
            return _no_such_task()
        acts = (await _parsed(EventsRequest, request)).events
        if any(act.action == "adjudicate" for act in acts) and not person_of(request).may("adjudicate"):
            return await self.door.refuse(request, "adjudicate")
        results = [await run_in_threadpool(self._result, task, reviewer, act) for act in acts]
        await self._note_settled(request, task, acts, results)
        return JSONResponse({"results": results, "progress": asdict(self.desk.progress(task, reviewer))})

    def _result(self, task: str, reviewer: str, act: Act) -> dict[str, Any]:
        """What became of one act; one that is refused does not hold back those after it."""
        try:
            receipt = self.desk.submit(task, reviewer, Submission(**act.model_dump()))
        except InputError as error:
            return {"event_id": act.event_id, "outcome": "refused", "reason": str(error)}
        result: dict[str, Any] = asdict(receipt)
        if receipt.trace_id is not None and act.action in ("label", "change", "adjudicate"):
            reveal = self.desk.reveal(task, reviewer, receipt.trace_id)
            result["reveal"] = asdict(reveal) if reveal else None
        if receipt.trace_id is not None and act.action == "undo":
            trace = self.desk.trace(task, reviewer, receipt.trace_id)
            result["item"] = self._item(task, reviewer, trace) if trace else None
        return result

    def _item(self, task: str, reviewer: str, trace: Trace) -> dict[str, Any]:
        return item_message(trace, self.desk.tasks[task].spec, reviewer)

    async def _note_settled(
        self, request: Request, task: str, acts: Sequence[Act], results: Sequence[Mapping[str, Any]]
    ) -> None:
        """Nothing; each conflict settled now is in the history, by the event that says how."""
        for act, result in zip(acts, results, strict=True):
            if act.action == "adjudicate" and result["outcome"] == "stored":
                name, details = person_of(request).name, {"event": act.event_id}
                await self.door.book.write(request, name, "adjudicate", task=task, details=details)

    def _who(self, request: Request) -> tuple[str, str | None]:
        task = request.path_params["task"]
        return person_of(request).name, task if task in self.desk.tasks else None

    def _of_everybody(self, request: Request) -> dict[str, object]:
        """What every page shows of the person before it and of where they may go."""
        return {
            "person": person_of(request),
            "has_workbench": self.admission.bench is not None,
            "is_named": bool(self.admission.people),
            "is_proxied": self.admission.proxy is not None,
        }

    def _may_rename(self, request: Request) -> bool:
        """Whether the browser is signed in and names are free to choose."""
        return self.sessions.open_to_all and self.sessions.person(request) is not None

    def _count_disputed(self, task: str) -> int:
        return self.desk.disputed(task, 0)[1]


def _no_such_task() -> Response:
    return refused(404, "no such task")


async def _parsed(model: type[_Body], request: Request) -> _Body:
    return model.model_validate_json(await body_of(request))
