"""`review`: the page served on this machine until Ctrl-C, its address printed when it is ready."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import orjson
import uvicorn
from starlette.applications import Starlette

from promptlabel.errors import InputError
from promptlabel.pipeline.workspace import Workspace
from promptlabel.web.protection import LOOPBACK
from promptlabel.web.review import review_app


def serve(
    workspace: Workspace,
    *,
    port: int = 8711,
    host: str = "127.0.0.1",
    reviewer: str = "reviewer",
    reviewers_per_item: int = 1,
    as_json: bool = False,
) -> None:
    """Nothing; returns when the server has been stopped with Ctrl-C. Port 0 is any free one.

    Raises:
        InputError: when the address cannot be had.
    """
    app = review_app(
        workspace.store,
        workspace.tasks,
        reviewer=reviewer,
        hosts=(*LOOPBACK, host),
        reviewers_per_item=reviewers_per_item,
    )
    run_server(app, lambda address: announce(address, as_json=as_json), port=port, host=host)


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


def announce(address: str, *, as_json: bool, sentence: str = _REVIEW) -> None:
    """Nothing; prints where the page is, as one JSON object if asked."""
    sys.stdout.write(
        orjson.dumps({"address": address}).decode() + "\n" if as_json else sentence.format(address)
    )
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
