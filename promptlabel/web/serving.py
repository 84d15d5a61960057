"""`review`: the page served on this machine until Ctrl-C, its address printed when it is ready."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import orjson
import uvicorn
from starlette.applications import Starlette

from promptlabel.errors import InputError, fail
from promptlabel.pipeline.workspace import Workspace
from promptlabel.settings import Review
from promptlabel.store.sharing import StoreServer
from promptlabel.web.protection import LOOPBACK
from promptlabel.web.refreshing import Refresher
from promptlabel.web.review import review_app
from promptlabel.web.sessions import clean_name


def serve(
    workspace: Workspace,
    *,
    port: int = 8711,
    host: str = "127.0.0.1",
    reviewer: str = "reviewer",
    name: str | None = None,
    invited: Sequence[str] = (),
    review: Review | None = None,
    as_json: bool = False,
) -> None:
    """Nothing; returns when the server has been stopped with Ctrl-C. Port 0 is any free one.

    Args:
        workspace: its tasks are reviewed, and other processes reach its store through this one meanwhile.
        port: where the page is.
        host: likewise.
        name: the name under which a proxy with TLS on this machine reaches the page for others.
        reviewer: the name of whoever opens the printed address first.
        invited: people who get an address of their own, which works once; where there are some, the printed
            address works once too.
        review: in place of the project's settings.
        as_json: what is printed.

    Raises:
        InputError: when the address cannot be had.
    """
    names = [clean_name(name) or fail("a name has 1 to 64 printable characters") for name in invited]
    app = review_app(
        workspace.store,
        workspace.tasks,
        reviewer=reviewer,
        hosts=(*LOOPBACK, host, *([name] if name else [])),
        review=review or workspace.project.settings.review,
        open_to_all=not names,
    )
    links = {name: app.state.sessions.invite(name) for name in names}

    def ready(local: str) -> None:
        address = f"https://{name}/join/{app.state.token}" if name else local
        start = address.rpartition("/")[0]
        announce(address, {name: f"{start}/{token}" for name, token in links.items()}, as_json=as_json)

    refresher = Refresher(app.state.desk)
    with StoreServer(workspace.store, workspace.project.state, refresher.heed), refresher:
        run_server(app, ready, port=port, host=host)


def run_server(app: Starlette, ready: Callable[[str], None], *, port: int, host: str = "127.0.0.1") -> None:
    """Nothing; returns when the server has been stopped with Ctrl-C, `ready` having been told its address.

    Raises:
        InputError: when the address cannot be had.
    """
    with _listening(host, port) as listener:
        address = _address(host, listener.getsockname()[1], app.state.token)
        server = _Server(app, lambda: ready(address))
        with suppress(KeyboardInterrupt):  # uvicorn stops cleanly on Ctrl-C, then hands the signal on
            server.run(sockets=[listener])


_REVIEW: Final = (
    "Review at {}\n"
    "Others open the same address and give their names. Ctrl-C stops; every decision is stored at once.\n"
)
_INVITED: Final = (
    "Review at {}\n"
    "Each address works once, for one browser. Ctrl-C stops; every decision is stored at once.\n"
)


def announce(
    address: str,
    invitations: Mapping[str, str] | None = None,
    *,
    as_json: bool,
    sentence: str | None = None,
) -> None:
    """Nothing; prints where the page is, as one JSON object if asked."""
    invited = invitations or {}
    if as_json:
        found = {"address": address, **({"invitations": invited} if invited else {})}
        sys.stdout.write(orjson.dumps(found).decode() + "\n")
    else:
        said = sentence or (_INVITED if invited else _REVIEW)
        lines = [f"  {name}: {link}\n" for name, link in invited.items()]
        sys.stdout.write(said.format(address) + "".join(lines))
    sys.stdout.flush()


class _Server(uvicorn.Server):
    def __init__(self, app: Starlette, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3, server_header=False)
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InputError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port, or --port 0"
        ) from error
    return listener


def _address(host: str, port: int, token: str) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/join/{token}"
