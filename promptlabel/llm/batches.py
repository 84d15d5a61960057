"""OpenAI's batch files: requests and answers as lines, and what everyone who runs such files can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol, runtime_checkable

import orjson

from promptlabel.errors import ModelError
from promptlabel.llm.client import Client, Request
from promptlabel.llm.failures import error_in_body, from_response
from promptlabel.records import Answer, Question, Usage

VERSION: Final = "/v1"
"""What stands before a request's path in a file."""

_ENDED_EARLY: Final = frozenset({"batch_expired", "batch_cancelled"})


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a submitted batch is.

    Attributes:
        status: ``ended`` has all the answers there will be, ``refused`` has none and `message` says why.
        files: what `BatchRunner.fetch` takes, answers before errors.
    """

    status: Literal["running", "ended", "refused"]
    done: int = 0
    files: tuple[str, ...] = ()
    message: str = ""


class BatchRunner(Protocol):
    """Someone who takes a file of requests and gives files of answers back, later."""

    async def submit(self, name: str, file: Path, path: str) -> str:
        """The runner's own name of the batch, once the file is accepted; `name` will find it again.

        Raises:
            ModelError: it was not accepted, or nobody knows whether it was (``timeout``, ``connection``).
        """
        ...

    async def find(self, name: str) -> str | None:
        """The runner's own name of a batch that was submitted under this name, or None."""
        ...

    async def state(self, batch: str) -> BatchState:
        """How far the batch is, by the runner's own name of it."""
        ...

    async def fetch(self, file: str) -> bytes:
        """A file of answers or errors."""
        ...

    async def close(self) -> None:
        """Nothing; connections are closed, batches go on."""
        ...


@runtime_checkable
class BatchClient(Client, Protocol):
    """A model whose questions can be written to a file and answered later."""

    name: str

    def batch_requests(self, question: Question) -> Sequence[Request]:
        """The requests that answer the question together, all of one path; nearly always one.

        Raises:
            ModelError: the question cannot be asked in a file.
        """
        ...

    def read_batch(self, question: Question, received: Sequence[bytes]) -> Answer:
        """The answer in the bodies that came back for `batch_requests`, priced as in a batch.

        Raises:
            ModelError: as `ask` does.
        """
        ...

    def batch_ceiling(self, question: Question) -> float:
        """US dollars, more than the question can cost in a batch."""
        ...

    def batch_price(self, usage: Usage) -> float:
        """US dollars for the usage in a batch."""
        ...

    def batch_runner(self, folder: Path) -> BatchRunner | None:
        """Who runs this model's batches; None where nobody does. `folder` is for what is kept of them."""
        ...


def custom_ids(request: str, number: int) -> list[str]:
    """The ids of a question's lines: the request's digest, numbered where there are several."""
    return [request] if number == 1 else [f"{request}-{place}" for place in range(number)]


def request_line(custom_id: str, request: Request) -> bytes:
    """The line of a batch file for a request.

    Raises:
        ModelError: its text cannot be encoded.
    """
    line = {"custom_id": custom_id, "method": "POST", "url": VERSION + request.path, "body": request.body}
    try:
        return orjson.dumps(line) + b"\n"
    except orjson.JSONEncodeError as error:
        raise ModelError(f"the prompt cannot be sent: {error}", cause="bad_text") from None


def read_reply(line: bytes, now: datetime) -> tuple[str, bytes | ModelError] | None:
    """The id on a line of answers or errors, and its body or what went wrong; None for what is no such line."""
    try:
        reply = orjson.loads(line)
        custom_id, response, error = reply["custom_id"], reply.get("response"), reply.get("error")
        status = int(response["status_code"]) if response else None
        body = response.get("body") if response else None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None
    if status == 200 and isinstance(body, dict):
        return str(custom_id), orjson.dumps(body)
    return str(custom_id), _failure(status, body, error, now)


def _failure(status: int | None, body: Any, error: Any, now: datetime) -> ModelError:
    said = body if isinstance(body, dict) and body.get("error") else error
    if isinstance(said, dict) and said.get("code") in _ENDED_EARLY:
        return ModelError(str(said.get("message", "the batch ended early")), cause="expired")
    if isinstance(said, dict) and isinstance(said.get("error"), dict):
        said = said["error"]
    if status is None or status == 200:
        return error_in_body(said)
    return from_response(status, {}, orjson.dumps({"error": said}), now)
