"""The review page as a Starlette application: pages for people, JSON for the page's own script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, select_autoescape
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from promptlabel.errors import InputError
from promptlabel.pipeline.reviewing.review import ReviewDesk
from promptlabel.pipeline.reviewing.task_desk import Submission
from promptlabel.records import Trace
from promptlabel.review.queue import Holder
from promptlabel.rules.loading import Task
from promptlabel.settings import Review
from promptlabel.store.contract import Store
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
from promptlabel.web.sessions import Person, Sessions, clean_name

KEYS: Final = "1234567890abdgijklmnopqrstvwxyz"
"""The labels' keys in order; c, e, f, h, u and space have other meanings."""


_Body = TypeVar("_Body", bound=BaseModel)


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
) -> Starlette:
    """The application; `app.state` has its `desk` and its `sessions`, whose `token` is that of the printed address.

    Args:
        store: where queue, votes and decisions are.
        tasks: what is reviewed; the first is shown first.
        now: the clock.
        reviewer: the name of whoever opens the address first, the maintainer; others give theirs.
        hosts: the names under which the server may be called.
        review: how many people label each trace, and what is mixed in to test them.
        folder: where leases are kept, so that they outlive a kill.
        open_to_all: whether the address lets others in; if not, each needs an address of their own.
    """
    desk = ReviewDesk(store, tasks, now, review=review, folder=folder)
    sessions = Sessions.open(store, reviewer, open_to_all=open_to_all)
    pages = _Pages(desk, sessions)
    app = Starlette(
        routes=[
            Route("/", pages.home),
            Route("/join/{token}", pages.join_page),
            Route("/join", pages.join, methods=["POST"]),
            Route("/invite", pages.invite, methods=["POST"]),
            Route("/tasks/{task}", pages.task),
            Route("/tasks/{task}/conflicts", pages.conflicts),
            Route("/api/tasks/{task}/next", pages.next_items, methods=["POST"]),
            Route("/api/tasks/{task}/disputed", pages.disputed, methods=["POST"]),
            Route("/api/tasks/{task}/events", pages.events, methods=["POST"]),
            *health_routes(store, tasks),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        middleware=[Middleware(Protection, hosts=tuple(hosts))],
        exception_handlers=HANDLERS,
    )
    app.state.token, app.state.sessions, app.state.desk = sessions.token, sessions, desk
    return app


class _Pages:
    def __init__(self, desk: ReviewDesk, sessions: Sessions) -> None:
        self.desk, self.sessions = desk, sessions
        self._templates = Environment(
            loader=PackageLoader("promptlabel.web"), autoescape=select_autoescape(default=True)
        )

    async def home(self, request: Request) -> Response:
        if self.sessions.person(request) is None:
            return self._locked()
        return RedirectResponse(f"/tasks/{quote(next(iter(self.desk.tasks)), safe='')}", status_code=303)

    async def join_page(self, request: Request) -> Response:
        """Whom the address invites by name is let in at once; those whom it invites at large are asked for a name."""
        token = request.path_params["token"]
        invited = self.sessions.redeem(token) if request.method == "GET" else None
        if invited is None and not self.sessions.admits(token):
            return self._locked()
        if invited is None and self.sessions.person(request) is None:
            return self._html("join.html", 200, token=token)
        response = RedirectResponse("/", status_code=303)
        if invited is not None:
            self.sessions.sign_in(response, invited)
        return response

    async def join(self, request: Request) -> Response:
        wanted = await _parsed(JoinRequest, request)
        if not self.sessions.admits(wanted.token) and not self._may_rename(request):
            return refused(403, "open the address that promptlabel printed")
        name = clean_name(wanted.name)
        if name is None:
            return refused(422, "a name has 1 to 64 printable characters")
        response = JSONResponse({"reviewer": name})
        self.sessions.sign_in(response, Person(name, self._is_maintainer(request)))
        return response

    async def invite(self, request: Request) -> Response:
        """The address that lets one browser in, once, under the name."""
        if not self._is_maintainer(request):
            return refused(403, "only who started the review invites others")
        name = clean_name((await _parsed(InviteRequest, request)).name)
        if name is None:
            return refused(422, "a name has 1 to 64 printable characters")
        return JSONResponse({"address": f"{request.base_url}join/{self.sessions.invite(name)}"})

    async def task(self, request: Request) -> Response:
        return await self._task_page(request, adjudicating=False)

    async def conflicts(self, request: Request) -> Response:
        return await self._task_page(request, adjudicating=True)

    async def _task_page(self, request: Request, *, adjudicating: bool) -> Response:
        person = self.sessions.person(request)
        task = self.desk.tasks.get(request.path_params["task"])
        if person is None or (adjudicating and not person.is_maintainer):
            return self._locked()
        if task is None:
            return RedirectResponse("/", status_code=303)
        disputed = await run_in_threadpool(self._count_disputed, task.name) if person.is_maintainer else 0
        return self._html(
            "review.html",
            200,
            task=task,
            tasks=list(self.desk.tasks),
            keys=KEYS.ljust(len(task.labels)),
            sides=("Left", "Right") if task.spec.kind == "pairwise" else (),
            person=person,
            project=self.sessions.project,
            address=f"{request.base_url}join/{self.sessions.token}" if self.sessions.open_to_all else None,
            adjudicating=adjudicating,
            disputed=disputed,
        )

    async def disputed(self, request: Request) -> Response:
        """Traces on which reviewers differ, with what each said, and nothing of what the rules say."""
        reviewer, task = self._who(request)
        if not self._is_maintainer(request) or reviewer is None or task is None:
            return self._stranger(task)
        wanted = await _parsed(DisputedRequest, request)
        found, waiting = await run_in_threadpool(self.desk.disputed, task, wanted.count, wanted.have)
        items = [
            {**self._item(task, reviewer, trace), "opinions": conflict.labels} for trace, conflict in found
        ]
        progress = {"labelled": 0, "skipped": 0, "flagged": 0, "left": waiting}
        return JSONResponse({"items": items, "progress": progress})

    async def next_items(self, request: Request) -> Response:
        reviewer, task = self._who(request)
        if reviewer is None or task is None:
            return self._stranger(task)
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
        if reviewer is None or task is None:
            return self._stranger(task)
        acts = (await _parsed(EventsRequest, request)).events
        if any(act.action == "adjudicate" for act in acts) and not self._is_maintainer(request):
            return refused(403, "only who started the review settles conflicts")
        results = [await run_in_threadpool(self._result, task, reviewer, act) for act in acts]
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

    def _who(self, request: Request) -> tuple[str | None, str | None]:
        person, task = self.sessions.person(request), request.path_params["task"]
        return person.name if person else None, task if task in self.desk.tasks else None

    def _is_maintainer(self, request: Request) -> bool:
        person = self.sessions.person(request)
        return person is not None and person.is_maintainer

    def _may_rename(self, request: Request) -> bool:
        """Whether the browser is signed in and names are free to choose."""
        return self.sessions.open_to_all and self.sessions.person(request) is not None

    def _count_disputed(self, task: str) -> int:
        return self.desk.disputed(task, 0)[1]

    def _stranger(self, task: str | None) -> Response:
        return (
            refused(403, "open the address that promptlabel printed")
            if task
            else refused(404, "no such task")
        )

    def _locked(self) -> Response:
        return self._html("locked.html", 403)

    def _html(self, template: str, status: int, **values: object) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(values), status_code=status)


async def _parsed(model: type[_Body], request: Request) -> _Body:
    return model.model_validate_json(await body_of(request))
