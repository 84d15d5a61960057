"""The workbench as a Starlette application: one page, and JSON for its script."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, select_autoescape
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from promptlabel.errors import Fault, InputError
from promptlabel.llm.local import models_kept
from promptlabel.pipeline.authoring.workbench import MOST_TRACES, Bench, ChangedOnDiskError, Draft
from promptlabel.pipeline.workspace import Workspace, open_project
from promptlabel.settings import Project, load_project
from promptlabel.web.protection import LOOPBACK, Protection
from promptlabel.web.refusals import HANDLERS, body_of, refused
from promptlabel.web.serving import announce, run_server
from promptlabel.web.sessions import Person, Sessions

_WRITER: Final = "\x1fworkbench"
"""Who writes rules: no name that a reviewer could take, for cookies know no ports."""
_READY: Final = "Workbench at {}\nRules are saved to their files. Ctrl-C stops.\n"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Name = Annotated[str, Field(min_length=1, max_length=200)]


class DraftRequest(_Strict):
    """A text and the file it is for."""

    task: Name
    file: Name
    text: str = Field(max_length=500_000)

    def draft(self) -> Draft:
        """The same for the bench."""
        return Draft(self.task, self.file, self.text)


class TryRequest(DraftRequest):
    """A draft to be tried on so many traces."""

    count: int = Field(ge=1, le=MOST_TRACES)


class SaveRequest(DraftRequest):
    """A draft to be saved over a version of its file."""

    version: str | None = None


class OpenRequest(_Strict):
    """A file to be opened."""

    task: Name
    file: Name


_Body = TypeVar("_Body", bound=BaseModel)


def workbench_app(
    project: Project, opened: Callable[[], AbstractContextManager[Workspace]], hosts: Iterable[str] = LOOPBACK
) -> Starlette:
    """The application; `app.state.token` is the secret of the address that lets the rule writer in.

    Args:
        project: whose rules are written.
        opened: opens the project's store, at the start and while a draft is tried.
        hosts: the names under which the server may be called.
    """
    with opened() as workspace:
        sessions = Sessions.open(workspace.store)
    pages = _Pages(Bench(project, opened), sessions)
    app = Starlette(
        routes=[
            Route("/", pages.page),
            Route("/join/{token}", pages.join),
            Route("/api/tasks", pages.tasks, methods=["POST"]),
            Route("/api/open", pages.open, methods=["POST"]),
            Route("/api/check", pages.check, methods=["POST"]),
            Route("/api/try", pages.try_out, methods=["POST"]),
            Route("/api/save", pages.save, methods=["POST"]),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        middleware=[Middleware(Protection, hosts=tuple(hosts))],
        exception_handlers=HANDLERS | {InputError: _faulty, ChangedOnDiskError: _changed},
    )
    app.state.token = pages.sessions.token
    return app


def serve_workbench(root: Path, *, port: int = 8712, as_json: bool = False) -> None:
    """Nothing; returns when the server has been stopped with Ctrl-C. Port 0 is any free one.

    The embedded model stays loaded from one try to the next.

    Raises:
        InputError: when the address cannot be had.
    """
    app = workbench_app(load_project(root), lambda: open_project(root))
    with models_kept():
        run_server(app, lambda address: announce(address, as_json=as_json, sentence=_READY), port=port)


class _Pages:
    def __init__(self, bench: Bench, sessions: Sessions) -> None:
        self.bench, self.sessions = bench, sessions
        self._templates = Environment(
            loader=PackageLoader("promptlabel.web"), autoescape=select_autoescape(default=True)
        )

    async def join(self, request: Request) -> Response:
        if not self.sessions.admits(request.path_params["token"]):
            return self._locked()
        response = RedirectResponse("/", status_code=303)
        self.sessions.sign_in(response, Person(_WRITER))
        return response

    async def page(self, request: Request) -> Response:
        if self._stranger(request):
            return self._locked()
        return HTMLResponse(
            self._templates.get_template("workbench.html").render(most=MOST_TRACES, quote=quote)
        )

    async def tasks(self, request: Request) -> Response:
        return await self._answer(request, OpenNothing, lambda _: {"tasks": self.bench.tasks})

    async def open(self, request: Request) -> Response:
        return await self._answer(
            request, OpenRequest, lambda wanted: asdict(self.bench.read(wanted.task, wanted.file))
        )

    async def check(self, request: Request) -> Response:
        return await self._answer(
            request, DraftRequest, lambda wanted: {"faults": _faults(self.bench.check(wanted.draft()))}
        )

    async def try_out(self, request: Request) -> Response:
        return await self._answer(
            request, TryRequest, lambda wanted: asdict(self.bench.try_out(wanted.draft(), wanted.count))
        )

    async def save(self, request: Request) -> Response:
        return await self._answer(
            request, SaveRequest, lambda wanted: asdict(self.bench.save(wanted.draft(), wanted.version))
        )

    async def _answer(
        self, request: Request, shape: type[_Body], answer: Callable[[_Body], dict[str, Any]]
    ) -> Response:
        if self._stranger(request):
            return refused(403, "open the address that promptlabel printed")
        wanted = shape.model_validate_json(await body_of(request))
        return JSONResponse(await run_in_threadpool(answer, wanted))

    def _stranger(self, request: Request) -> bool:
        return self.sessions.person(request) != Person(_WRITER)

    def _locked(self) -> Response:
        return HTMLResponse(self._templates.get_template("workbench_locked.html").render(), status_code=403)


class OpenNothing(_Strict):
    """A request without anything in it."""


def _faults(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    return [
        {"line": fault.line, "column": fault.column, "key": fault.key, "message": fault.message}
        for fault in sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0))
    ]


async def _faulty(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette passes both
    faults = error.faults if isinstance(error, InputError) else ()
    return JSONResponse({"error": str(error), "faults": _faults(faults)}, status_code=422)


async def _changed(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette passes both
    return refused(409, str(error))
