"""Requests that are not served: the answer each gets, with the reason in plain words."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from promptlabel.errors import InputError, StoreError

LARGEST_BODY: Final = 1_000_000


class TooLargeError(Exception):
    """A request's body is larger than anything the page sends."""

    def __str__(self) -> str:
        return f"the request is larger than {LARGEST_BODY} bytes"


def refused(status: int, message: str) -> JSONResponse:
    """The answer to a request that is not served."""
    return JSONResponse({"error": message}, status_code=status)


async def body_of(request: Request) -> bytes:
    """The request's body.

    Raises:
        TooLargeError: when it is too large, before the rest is read.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise TooLargeError
    return bytes(body)


def _handler(status: int) -> ExceptionHandler:
    async def handler(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette passes both
        return refused(status, _reason(error))

    return handler


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        faults = error.errors(include_url=False, include_input=False)
        return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
    return f"nothing was stored: {error}" if isinstance(error, StoreError) else str(error)


HANDLERS: Final = {
    ValidationError: _handler(422),
    InputError: _handler(422),
    TooLargeError: _handler(413),
    StoreError: _handler(503),
}
