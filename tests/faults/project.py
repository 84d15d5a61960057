"""A project whose one model is a mock server, voted on by real `promptlabel` processes that may be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import duckdb
from faults.server import Server

PRICE = {"input": 1.0, "output": 2.0}
"""US dollars per million tokens."""


class CastVote(NamedTuple):
    """A vote in the store; `key` is the one that its prompt carried to the server."""

    key: str
    status: str
    label: str | None
    cause: str | None


class Booked(NamedTuple):
    """An attempt in the ledger, with the key of the vote that it was made for."""

    key: str | None
    cause: str
    seconds: float
    usd: float


@dataclass(slots=True)
class Run:
    """One `promptlabel` process; the server knows its requests by `bearer`."""

    bearer: str
    process: subprocess.Popen[str]
    started: float
    messages: TextIO
    killed: float | None = None
    report: dict[str, Any] | None = None
    errors: str = ""

    def kill(self) -> None:
        """Nothing; the process is dead, unless it had ended by itself."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.killed = time.monotonic()
        self.wait()

    def finish(self, seconds: float = 120.0) -> dict[str, Any]:
        """What the process printed as JSON when it ended; a TimeoutExpired where it hangs."""
        out = self.wait(seconds)
        self.report = json.loads(out) if out.strip() else {"error": self.errors}
        return self.report

    def wait(self, seconds: float = 120.0) -> str:
        """What the process wrote on stdout until it ended; what it wrote on stderr is in `errors`."""
        out, _ = self.process.communicate(timeout=seconds)
        with self.messages as messages:
            messages.seek(0)
            self.errors = messages.read()
        return out


@dataclass
class Project:
    """A project folder and the runs on it."""

    root: Path
    server: Server
    runs: list[Run] = field(default_factory=list)
    traces: int = 0
    rules: tuple[str, ...] = ("first", "second")

    def write(self, *, budget: dict[str, float] | None = None, **model: Any) -> None:
        """Nothing; configuration and rules are there."""
        fields = {"model": "openai/mock", "api_base": self.server.url, "price": PRICE, "api_key_env": "RUN"}
        configuration = {"models": {"default": {**fields, **model}}, "budget": budget or {}}
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "promptlabel.yaml").write_text(json.dumps(configuration))
        folder = self.root / "rules" / "tone"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "task.yaml").write_text("task: tone\nlabels: {kind: a, rude: b}\n")
        for rule in self.rules:
            prompt = f"rule={rule} {{{{ trace.input }}}}"
            (folder / f"{rule}.yaml").write_text(json.dumps({"prompt": prompt}))

    def ingest(self, number: int, more: Sequence[dict[str, Any]] = ()) -> None:
        """Nothing; so many traces more are in the store."""
        numbers = range(self.traces, self.traces + number)
        lines = [json.dumps({"trace_id": f"t{n}", "input": f"key=t{n} text"}) for n in numbers]
        file = self.root / "traces.jsonl"
        file.write_text("\n".join([*lines, *map(json.dumps, more)]))
        self.traces += number
        report = self.run("ingest", str(file))
        assert report.get("traces"), report

    @property
    def keys(self) -> set[str]:
        """The key of every vote that the project is to have."""
        return {f"t{number}-{rule}" for number in range(self.traces) for rule in self.rules}

    def start(self, *arguments: str, launcher: Sequence[str] = ("-m", "promptlabel")) -> Run:
        """A process that has just been started."""
        bearer = f"run-{len(self.runs)}"
        # A file, for a full pipe would hold the process up.
        messages = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the run
        process = subprocess.Popen(
            [sys.executable, *launcher, *arguments, "--project", str(self.root), "--json"],
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
            env={**os.environ, "RUN": bearer},
        )
        run = Run(bearer, process, time.monotonic(), messages)
        self.runs.append(run)
        return run

    def run(self, *arguments: str, seconds: float = 120.0) -> dict[str, Any]:
        """What a verb printed."""
        return self.start(*arguments).finish(seconds)

    def votes(self) -> list[CastVote]:
        """Every row of the view `votes`."""
        with self._store() as store:
            rows = store.execute("SELECT trace_id || '-' || rule, status, label, cause FROM votes").fetchall()
        return [CastVote(*row) for row in rows]

    def attempts(self) -> list[Booked]:
        """Every row of the ledger of attempts."""
        with self._store() as store:
            rows = store.execute(
                "SELECT (SELECT any_value(trace_id || '-' || rule) FROM votes WHERE votes.request = a.request),"
                " a.cause, a.seconds, a.usd FROM attempts a"
            ).fetchall()
        return [Booked(*row) for row in rows]

    @contextmanager
    def _store(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect(str(self.root / ".promptlabel/store.duckdb"), read_only=True) as store:
            yield store


def wait_for_requests(server: Server, run: Run, number: int = 1, seconds: float = 60.0) -> None:
    """Nothing, once the server got so many requests from now on, or the run has ended."""
    wanted = server.asked + number
    deadline = time.monotonic() + seconds
    while server.asked < wanted and run.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
