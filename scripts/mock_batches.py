#!/usr/bin/env python3
"""A mock of OpenAI's files and batches, on top of the mock model, with every fault such an API has shown.

Run it (`python scripts/mock_batches.py --seconds 5 --fault expired=0.5`) or, in a test,
`async with serving(Faults(...)) as server`. Lines are answered like the mock model's requests; `/__stats` tells how often
each prompt's `key=...` was paid for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from sys import path

import orjson
from aiohttp import web

path.insert(0, str(Path(__file__).parent))

from mock_model import Behaviour, MockModel, Request

LINE_FAULTS = (
    "missing",
    "duplicate",
    "unknown",
    "error_500",
    "error_400",
    "filtered",
    "expired",
    "torn",
    "malformed",
)
"""What can befall one line; `expired` lines also make the whole batch end as expired."""

_KEY = re.compile(rb"key=([\w-]+)")


@dataclass
class Faults:
    """How the server behaves.

    Attributes:
        rates: fault of a line -> share of lines.
        seconds: how long a batch runs.
        late_files: looks at a finished batch before it names its files.
        lost_creations: so many creations are accepted and their answer never arrives.
        failed_requests: so many requests of any kind are answered 503 first.
        refused: so many batches fail validation, with this code.
    """

    rates: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    late_files: int = 0
    lost_creations: int = 0
    failed_requests: int = 0
    refused: int = 0
    refusal_code: str = "token_limit_exceeded"
    seed: int = 0


@dataclass
class Batch:
    """One batch: what was asked for, when it was made, and what came of it once it has run."""

    id: str
    metadata: dict[str, str]
    endpoint: str
    input_file: str
    made: float
    looks: int = 0
    status: str = "in_progress"
    files: tuple[str | None, str | None] = (None, None)
    errors: list[dict[str, object]] = field(default_factory=list)
    counts: tuple[int, int, int] = (0, 0, 0)


class MockBatches:
    """The server's state."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.model = MockModel(Behaviour(input_tokens=100, output_tokens=5))
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Batch] = {}
        self.paid: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.usd_tokens = [0, 0]
        self.url = ""
        self._random = random.Random(faults.seed)

    def application(self) -> web.Application:
        """The server's addresses."""
        application = web.Application(client_max_size=1 << 28, middlewares=[self._counted])
        router = application.router
        router.add_post("/v1/files", self.upload)
        router.add_get("/v1/files/{id}/content", self.content)
        router.add_post("/v1/batches", self.create)
        router.add_get("/v1/batches", self.list)
        router.add_get("/v1/batches/{id}", self.retrieve)
        router.add_get("/__stats", self.stats)
        return application

    @web.middleware
    async def _counted(self, request: web.Request, handler):
        if request.path != "/__stats":
            self.requests[f"{request.method} {request.path.split('/')[2]}"] += 1
            if self.faults.failed_requests > 0:
                self.faults.failed_requests -= 1
                return web.json_response({"error": {"message": "busy", "code": "busy"}}, status=503)
        return await handler(request)

    async def upload(self, request: web.Request) -> web.Response:
        """A file is kept."""
        form = await request.post()
        content = form["file"].file.read()
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return web.json_response(
            {
                "id": name,
                "object": "file",
                "bytes": len(content),
                "created_at": 1,
                "filename": "f",
                "purpose": "batch",
                "status": "processed",
            }
        )

    async def content(self, request: web.Request) -> web.Response:
        """A file as it is."""
        return web.Response(body=self.files[request.match_info["id"]])

    async def create(self, request: web.Request) -> web.Response:
        """A batch is made of a file."""
        asked = await request.json()
        batch = Batch(
            f"batch-{len(self.batches)}",
            asked.get("metadata") or {},
            asked["endpoint"],
            asked["input_file_id"],
            time.monotonic(),
        )
        self.batches[batch.id] = batch
        if self.faults.refused > 0:
            self.faults.refused -= 1
            batch.status = "failed"
            batch.errors = [
                {"code": self.faults.refusal_code, "message": "Enqueued token limit reached", "line": None}
            ]
        if self.faults.lost_creations > 0:
            self.faults.lost_creations -= 1
            request.transport.abort()
        return web.json_response(self._shown(batch))

    async def retrieve(self, request: web.Request) -> web.Response:
        """How far a batch is."""
        batch = self.batches[request.match_info["id"]]
        if batch.status == "in_progress" and time.monotonic() - batch.made >= self.faults.seconds:
            self._run(batch)
        batch.looks += batch.status != "in_progress"
        return web.json_response(self._shown(batch))

    async def list(self, request: web.Request) -> web.Response:
        """Batches, the newest first."""
        limit = int(request.query.get("limit", 20))
        after = request.query.get("after")
        all_of_them = list(self.batches.values())[::-1]
        start = next((place + 1 for place, batch in enumerate(all_of_them) if batch.id == after), 0)
        page = all_of_them[start : start + limit]
        return web.json_response(
            {
                "object": "list",
                "data": [self._shown(batch) for batch in page],
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
                "has_more": start + limit < len(all_of_them),
            }
        )

    async def stats(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """The counts as JSON."""
        return web.json_response(
            {
                "batches": len(self.batches),
                "requests": dict(self.requests),
                "keys": len(self.paid),
                "paid": sum(self.paid.values()),
                "repeats": sum(count - 1 for count in self.paid.values()),
                "tokens": self.usd_tokens,
            }
        )

    def _run(self, batch: Batch) -> None:
        answers, errors = [], []
        for line in self.files[batch.input_file].splitlines():
            self._answer(orjson.loads(line), line, answers, errors)
        self._random.shuffle(answers)
        expired = any(b"batch_expired" in line for line in errors)
        batch.status = "expired" if expired else "completed"
        batch.counts = (len(answers) + len(errors), len(answers), len(errors))
        batch.files = (self._stored(answers), self._stored(errors))

    def _answer(self, asked: dict, line: bytes, answers: list[bytes], errors: list[bytes]) -> None:
        fault = self._fault()
        custom_id = asked["custom_id"]
        if fault in ("error_500", "error_400", "filtered"):
            status = 500 if fault == "error_500" else 400
            code = "content_filter" if fault == "filtered" else "mock"
            body = {"error": {"message": "no", "code": code, "type": code}}
            errors.append(_line(custom_id, {"status_code": status, "request_id": "r", "body": body}, None))
            return
        if fault == "expired":
            errors.append(
                _line(
                    custom_id,
                    None,
                    {"code": "batch_expired", "message": "This request could not be executed in time."},
                )
            )
            return
        self._pay(line)
        seen = Request("", "", 0, 0.0, "wrong_label" if fault == "malformed" else None)
        body = orjson.loads(self.model.completion(orjson.dumps(asked["body"]), seen))
        answer = _line(custom_id, {"status_code": 200, "request_id": "r", "body": body}, None)
        if fault == "missing":
            return
        if fault == "torn":
            answers.append(answer[: len(answer) // 2])
            return
        answers.append(answer)
        if fault == "duplicate":
            answers.append(answer)
        if fault == "unknown":
            answers.append(
                _line("nobody-asked-this", {"status_code": 200, "request_id": "r", "body": body}, None)
            )

    def _pay(self, line: bytes) -> None:
        key = _KEY.search(line)
        self.paid[key[1].decode() if key else line.decode()] += 1
        self.usd_tokens[0] += 100
        self.usd_tokens[1] += 5

    def _fault(self) -> str | None:
        luck = self._random.random()
        for name, rate in self.faults.rates.items():
            luck -= rate
            if luck < 0:
                return name
        return None

    def _stored(self, lines: list[bytes]) -> str | None:
        if not lines:
            return None
        name = f"file-{len(self.files)}"
        self.files[name] = b"\n".join(lines) + b"\n"
        return name

    def _shown(self, batch: Batch) -> dict[str, object]:
        hidden = batch.status in ("completed", "expired") and batch.looks < self.faults.late_files
        answers, errors = (None, None) if hidden else batch.files
        total, completed, failed = batch.counts
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.endpoint,
            "errors": {"object": "list", "data": batch.errors} if batch.errors else None,
            "input_file_id": batch.input_file,
            "completion_window": "24h",
            "status": batch.status,
            "output_file_id": answers,
            "error_file_id": errors,
            "created_at": 1,
            "metadata": batch.metadata,
            "request_counts": {"total": total, "completed": completed, "failed": failed},
        }


def _line(custom_id: str, response: object, error: object) -> bytes:
    return orjson.dumps({"id": "b", "custom_id": custom_id, "response": response, "error": error})


@asynccontextmanager
async def serving(faults: Faults | None = None, port: int = 0) -> AsyncIterator[MockBatches]:
    """A running server; its address is `url`."""
    mock = MockBatches(faults or Faults())
    runner = web.AppRunner(mock.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    mock.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield mock
    finally:
        await runner.cleanup()


async def _serve(faults: Faults, port: int) -> None:
    async with serving(faults, port) as mock:
        print(json.dumps({"url": mock.url}), flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0, help="how long a batch runs")
    parser.add_argument("--late-files", type=int, default=0)
    parser.add_argument("--lost-creations", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME=RATE", help=", ".join(LINE_FAULTS)
    )
    given = parser.parse_args()
    rates = {name: float(rate) for name, _, rate in (fault.partition("=") for fault in given.fault)}
    unknown = rates.keys() - set(LINE_FAULTS)
    if unknown:
        parser.error(f"unknown faults: {', '.join(unknown)}")
    faults = Faults(rates, given.seconds, given.late_files, given.lost_creations, seed=given.seed)
    try:
        asyncio.run(_serve(faults, given.port))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
