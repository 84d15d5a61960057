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
from promptlabel.pipeline.review import ReviewDesk, Submission
from promptlabel.review.queue import Holder
from promptlabel.rules.loading import Task
from promptlabel.store.contract import Store
from promptlabel.web.messages import Act, EventsRequest, JoinRequest, NextRequest, item_message
from promptlabel.web.protection import LOOPBACK, Protection
from promptlabel.web.refusals import HANDLERS, body_of, refused
from promptlabel.web.sessions import Sessions, clean_name

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
    reviewers_per_item: int = 1,
) -> Starlette:
    """The application; `app.state.token` is the secret of the address that lets people in.

    Args:
        store: where queue, votes and decisions are.
        tasks: what is reviewed; the first is shown first.
        now: the clock.
        reviewer: the name of whoever opens the address first; others give theirs.
        hosts: the names under which the server may be called.
        reviewers_per_item: how many people label each trace.
    """
    desk = ReviewDesk(store, tasks, now, reviewers_per_item=reviewers_per_item)
    pages = _Pages(desk, Sessions.open(store), reviewer)
    app = Starlette(
        routes=[
            Route("/", pages.home),
            Route("/join/{token}", pages.join_page),
            Route("/join", pages.join, methods=["POST"]),
            Route("/tasks/{task}", pages.task),
            Route("/api/tasks/{task}/next", pages.next_items, methods=["POST"]),
            Route("/api/tasks/{task}/events", pages.events, methods=["POST"]),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        middleware=[Middleware(Protection, hosts=tuple(hosts))],
        exception_handlers=HANDLERS,
    )
    app.state.token = pages.sessions.token
    return app


class _Pages:
    def __init__(self, desk: ReviewDesk, sessions: Sessions, first_reviewer: str) -> None:
        self.desk, self.sessions = desk, sessions
        self._unclaimed: str | None = first_reviewer
        self._templates = Environment(
            loader=PackageLoader("promptlabel.web"), autoescape=select_autoescape(default=True)
        )

    async def home(self, request: Request) -> Response:
        if self.sessions.reviewer(request) is None:
            return self._locked()
        return RedirectResponse(f"/tasks/{quote(next(iter(self.desk.tasks)), safe='')}", status_code=303)

    async def join_page(self, request: Request) -> Response:
        """The first browser is let in at once under the first reviewer's name; others are asked for theirs."""
        if not self.sessions.admits(request.path_params["token"]):
            return self._locked()
        if self._unclaimed is None and self.sessions.reviewer(request) is None:
            return self._html("join.html", 200, token=self.sessions.token)
        response = RedirectResponse("/", status_code=303)
        if self._unclaimed is not None:
            self.sessions.sign_in(response, self._unclaimed)
            self._unclaimed = None
        return response

    async def join(self, request: Request) -> Response:
        wanted = await _parsed(JoinRequest, request)
        if not self.sessions.admits(wanted.token) and self.sessions.reviewer(request) is None:
            return refused(403, "open the address that promptlabel printed")
        name = clean_name(wanted.name)
        if name is None:
            return refused(422, "a name has 1 to 64 printable characters")
        response = JSONResponse({"reviewer": name})
        self.sessions.sign_in(response, name)
        return response

    async def task(self, request: Request) -> Response:
        reviewer = self.sessions.reviewer(request)
        task = self.desk.tasks.get(request.path_params["task"])
        if reviewer is None:
            return self._locked()
        if task is None:
            return RedirectResponse("/", status_code=303)
        return self._html(
            "review.html",
            200,
            task=task,
            tasks=list(self.desk.tasks),
            keys=KEYS.ljust(len(task.labels)),
            reviewer=reviewer,
            project=self.sessions.project,
            address=f"{request.base_url}join/{self.sessions.token}",
        )

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
                "items": [item_message(trace) for trace in traces],
                "progress": asdict(self.desk.progress(task, reviewer)),
            }
        )

    async def events(self, request: Request) -> Response:
        reviewer, task = self._who(request)
        if reviewer is None or task is None:
            return self._stranger(task)
        acts = (await _parsed(EventsRequest, request)).events
        results = [await run_in_threadpool(self._result, task, reviewer, act) for act in acts]
        return JSONResponse({"results": results, "progress": asdict(self.desk.progress(task, reviewer))})

    def _result(self, task: str, reviewer: str, act: Act) -> dict[str, Any]:
        """What became of one act; one that is refused does not hold back those after it."""
        try:
            receipt = self.desk.submit(task, reviewer, Submission(**act.model_dump()))
        except InputError as error:
            return {"event_id": act.event_id, "outcome": "refused", "reason": str(error)}
        result: dict[str, Any] = asdict(receipt)
        if receipt.trace_id is not None and act.action in ("label", "change"):
            reveal = self.desk.reveal(task, reviewer, receipt.trace_id)
            result["reveal"] = asdict(reveal) if reveal else None
        if receipt.trace_id is not None and act.action == "undo":
            trace = self.desk.trace(task, receipt.trace_id)
            result["item"] = item_message(trace) if trace else None
        return result

    def _who(self, request: Request) -> tuple[str | None, str | None]:
        task = request.path_params["task"]
        return self.sessions.reviewer(request), task if task in self.desk.tasks else None

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
