"""The workbench as a Starlette application: one page, and JSON for its script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from promptlabel.errors import Fault, InputError
from promptlabel.llm.local import models_kept
from promptlabel.people import Person, Role
from promptlabel.pipeline.authoring.workbench import MOST_TRACES, Bench, ChangedOnDiskError, Draft
from promptlabel.pipeline.recording import at_the_prompt
from promptlabel.pipeline.workspace import Workspace, open_project
from promptlabel.settings import Project, load_project
from promptlabel.store.contract import Store
from promptlabel.web.access import StrangerError
from promptlabel.web.door import Door, Endpoint, VisitorBook, page, person_of
from promptlabel.web.protection import LOOPBACK, Protection
from promptlabel.web.refusals import HANDLERS, body_of, refused
from promptlabel.web.server import announce, run_server
from promptlabel.web.sessions import Sessions

_WRITER: Final = "\x1fworkbench"
"""Who writes rules: no name that a reviewer could take, for cookies know no ports."""
_EXPERT: Final = frozenset[Role]({"expert"})
_CLOSED: Final = "open the address that promptlabel printed"
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
        opened: opens the project's store, at the start, while a draft is tried, and when one is saved.
        hosts: the names under which the server may be called.
    """
    with opened() as workspace:
        sessions = Sessions.open(workspace.store)
    writer = _Writer(sessions, at_the_prompt(project.settings).person)
    book = VisitorBook(lambda: _store(opened))
    app = Starlette(
        routes=[
            Route("/join/{token}", writer.join),
            *workbench_routes(Bench(project, opened), Door(writer, book), "/"),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        middleware=[Middleware(Protection, hosts=tuple(hosts))],
        exception_handlers=HANDLERS | WORKBENCH_HANDLERS,
    )
    app.state.token, app.state.path, app.state.book = sessions.token, f"/join/{sessions.token}", book
    return app


@contextmanager
def _store(opened: Callable[[], AbstractContextManager[Workspace]]) -> Iterator[Store]:
    with opened() as workspace:
        yield workspace.store


def workbench_routes(bench: Bench, door: Door, path: str) -> list[Route]:
    """The page at that path, and what its script asks for, for whoever may write rules."""
    pages = _Pages(bench, door, is_alone=path == "/")

    def posted(name: str, endpoint: Endpoint) -> Route:
        return Route(f"/api/{name}", door.for_scripts("write rules", endpoint), methods=["POST"])

    return [
        Route(path, door.for_pages("write rules", pages.page)),
        posted("tasks", pages.tasks),
        posted("open", pages.open),
        posted("check", pages.check),
        posted("try", pages.try_out),
        posted("save", pages.save),
    ]


def serve_workbench(root: Path, *, port: int = 8712, as_json: bool = False) -> None:
    """Nothing; returns when the server has been stopped with Ctrl-C. Port 0 is any free one.

    The embedded model stays loaded from one try to the next.

    Raises:
        InputError: when the address cannot be had.
    """
    app = workbench_app(load_project(root), lambda: open_project(root))
    with models_kept():
        run_server(app, lambda address: announce(address, as_json=as_json, sentence=_READY), port=port)
    app.state.book.finish()


class _Writer:
    """Lets in whoever opened the printed address: somebody who has the project's files, under their name."""

    def __init__(self, sessions: Sessions, name: str) -> None:
        self._sessions = sessions
        self._person = Person(name, _EXPERT)

    async def join(self, request: Request) -> Response:
        if not self._sessions.admits(request.path_params["token"]):
            return page("locked.html", 403, sentence=_CLOSED)
        response = RedirectResponse("/", status_code=303)
        self._sessions.sign_in(response, Person(_WRITER, _EXPERT))
        return response

    def identify(self, request: Request) -> Person:
        """See `Access.identify`."""
        if self._sessions.person(request) != Person(_WRITER, _EXPERT):
            raise StrangerError(_CLOSED, noteworthy=False)
        return self._person


class _Pages:
    def __init__(self, bench: Bench, door: Door, *, is_alone: bool) -> None:
        self.bench, self._door, self._is_alone = bench, door, is_alone

    async def page(self, request: Request) -> Response:
        person = person_of(request)
        return page("workbench.html", most=MOST_TRACES, person=person, is_alone=self._is_alone)

    async def tasks(self, request: Request) -> Response:
        return await _answer(request, OpenNothing, lambda _: {"tasks": self.bench.tasks})

    async def open(self, request: Request) -> Response:
        return await _answer(
            request, OpenRequest, lambda wanted: asdict(self.bench.read(wanted.task, wanted.file))
        )

    async def check(self, request: Request) -> Response:
        return await _answer(
            request, DraftRequest, lambda wanted: {"faults": _faults(self.bench.check(wanted.draft()))}
        )

    async def try_out(self, request: Request) -> Response:
        return await _answer(
            request, TryRequest, lambda wanted: asdict(self.bench.try_out(wanted.draft(), wanted.count))
        )

    async def save(self, request: Request) -> Response:
        wanted = SaveRequest.model_validate_json(await body_of(request))
        saved = await run_in_threadpool(self.bench.save, wanted.draft(), wanted.version)
        details = {"file": saved.file, "version": saved.version, "before": wanted.version}
        name = person_of(request).name
        await self._door.book.write(request, name, "save rule", task=saved.task, details=details)
        return JSONResponse(asdict(saved))


async def _answer(
    request: Request, shape: type[_Body], answer: Callable[[_Body], dict[str, Any]]
) -> Response:
    wanted = shape.model_validate_json(await body_of(request))
    return JSONResponse(await run_in_threadpool(answer, wanted))


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


WORKBENCH_HANDLERS: Final = {InputError: _faulty, ChangedOnDiskError: _changed}
