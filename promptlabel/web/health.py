"""What machines ask a running server: is it there, can it work, how are things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from promptlabel.errors import StoreError
from promptlabel.pipeline.reporting.metrics import exposition, metrics
from promptlabel.rules.loading import Task
from promptlabel.store.contract import Store

_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


def health_routes(store: Store, tasks: Sequence[Task]) -> list[Route]:
    """``/healthz`` while the process runs, ``/readyz`` while its store answers, ``/metrics`` for Prometheus."""

    async def alive(request: Request) -> Response:  # noqa: ARG001
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> Response:  # noqa: ARG001
        try:
            await run_in_threadpool(store.count_traces)
        except StoreError as error:
            return JSONResponse({"status": "store", "error": str(error)}, 503)
        return JSONResponse({"status": "ok"})

    async def measured(request: Request) -> Response:  # noqa: ARG001
        text = await run_in_threadpool(lambda: exposition(metrics(store, tasks)))
        return PlainTextResponse(text, media_type=_TEXT)

    return [Route("/healthz", alive), Route("/readyz", ready), Route("/metrics", measured)]
