"""The project's own mock model in a process of its own, and what it says it was asked."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOCK = Path(__file__).parents[2] / "scripts" / "mock_model.py"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the server saw it; see `Request` of the mock model for the fields."""

    key: str
    bearer: str
    connection: int
    arrived: float
    fault: str | None
    replied: float | None
    until: float | None
    answer: str | None
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Server:
    """A running mock model."""

    url: str

    def behave(self, **changes: Any) -> None:
        """Nothing; from now on it behaves so (fields of the mock model's `Behaviour`)."""
        self._get("/__behave", json.dumps(changes).encode())

    def stats(self) -> dict[str, Any]:
        """Its counts."""
        return json.loads(self._get("/__stats"))

    @property
    def asked(self) -> int:
        """How many requests have arrived."""
        return self.stats()["requests"]

    def log(self) -> list[Request]:
        """Every request so far, in the order of arrival; call it when nothing is open."""
        return [Request(**fields) for fields in json.loads(self._get("/__log?from=0"))]

    def _get(self, path: str, body: bytes | None = None) -> bytes:
        address = self.url.removesuffix("/v1") + path
        with urllib.request.urlopen(address, body, timeout=60) as answer:  # noqa: S310 - a loopback address
            return answer.read()


@contextmanager
def serving(*options: str) -> Iterator[Server]:
    """A server with these options of scripts/mock_model.py, its log on."""
    command = [sys.executable, str(MOCK), "--log", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(json.loads(process.stdout.readline())["url"])
        finally:
            process.terminate()
