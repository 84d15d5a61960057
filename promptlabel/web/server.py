"""An application served on this machine until Ctrl-C, its address printed when it is ready."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import orjson
import uvicorn
from starlette.applications import Starlette

from promptlabel.errors import InputError


def run_server(app: Starlette, ready: Callable[[str], None], *, port: int, host: str = "127.0.0.1") -> None:
    """Nothing; returns when the server has been stopped with Ctrl-C, `ready` having been told its address.

    Raises:
        InputError: when the address cannot be had.
    """
    with _listening(host, port) as listener:
        address = _address(host, listener.getsockname()[1], app.state.path)
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


def _address(host: str, port: int, path: str) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}{path}"
