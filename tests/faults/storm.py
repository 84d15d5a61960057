"""A storm: every fault that may pass, at once and at random, on runs that are killed at random moments."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from faults.oracle import Findings, judge
from faults.project import Project, wait_for_requests
from faults.server import Server

RATES: Final[Mapping[str, float]] = {
    "429": 0.02, "429_negative": 0.01, "429_retry_after": 0.0002, "429_ms": 0.0002, "429_date": 0.0001,
    "503_retry_after": 0.0002, "408": 0.02, "500": 0.025, "502": 0.02, "503": 0.025, "504": 0.015, "529": 0.02,
    "hang": 0.001, "headers_only": 0.001, "drip": 0.001, "close": 0.02, "reset": 0.02, "truncated": 0.025,
    "wrong_length": 0.02, "short_length": 0.02, "gzip": 0.02, "half_stream": 0.015, "html": 0.015,
    "error_body": 0.025, "empty": 0.02, "400": 0.004, "length": 0.004, "filtered": 0.004, "refusal": 0.004,
    "wrong_label": 0.006, "extra_keys": 0.006, "nan": 0.006, "megabyte": 0.002, "no_usage": 0.02,
}  # fmt: skip
"""Fault -> share of requests; what holds everybody, or a worker until its deadline, is rarer."""

TIMEOUT: Final = 4.0
CONCURRENCY: Final = 256
_RETRY_AFTER = 1.5
WIDER: Final = 1024
"""Requests open at most once all kills are done: more faults a second."""

_TRACES: Final = 6_000
_MORE_TRACES: Final = 50_000
_SILENCE = 90.0

Say = Callable[[str], None]


@dataclass
class Storm:
    """Votes in a storm until enough faults were injected and enough runs killed; `hangs` must stay 0."""

    project: Project
    chance: random.Random
    say: Say = lambda _: None
    traces: int = _TRACES
    hangs: int = 0

    @property
    def _server(self) -> Server:
        return self.project.server

    def prepare(self) -> None:
        """Nothing; the project is there and the server is in a bad mood."""
        self._configure(CONCURRENCY)
        self.project.ingest(self.traces)
        self._server.behave(rates=dict(RATES), retry_after=_RETRY_AFTER)

    def _configure(self, concurrency: int) -> None:
        self.project.write(concurrency=concurrency, timeout=TIMEOUT, attempts=8)

    def rage(self, faults: int, kills: int) -> None:
        """Nothing, once so many faults were injected and so many runs were killed."""
        while kills:
            kills -= self._killed_run()
            self.say(f"{self._injected():,} faults, {kills} kills to go, {len(self.project.runs)} runs")
        self._configure(WIDER)
        while (left := faults - self._injected()) > 0:
            self.project.ingest(min(_MORE_TRACES, max(self.traces, left)))
            self._whole_run(faults)
            self.say(f"{self._injected():,} faults, {len(self.project.runs)} runs")

    def settle(self) -> Findings:
        """The findings, once the server is sound again and everything has been asked for."""
        self._server.behave(rates={})
        for verb in ("vote", "retry"):
            report = self.project.run(verb, seconds=600)
            assert report.get("stopped", "?") is None, report
        project = self.project
        return judge(self._server.log(), project.votes(), project.attempts(), project.runs, project.keys)

    def _killed_run(self) -> bool:
        """Whether the run was killed before it ended by itself."""
        run = self.project.start(self._verb())
        if self.chance.random() < 0.85:
            wait_for_requests(self._server, run)
            time.sleep(self.chance.uniform(0.0, 1.5))
        else:
            time.sleep(self.chance.uniform(0.0, 1.5))
        run.kill()
        if run.killed is None:
            self.project.ingest(self.traces)
        return run.killed is not None

    def _whole_run(self, faults: int) -> None:
        """Nothing, once a run ended by itself or enough faults were injected."""
        run = self.project.start(self._verb())
        asked, since = self._server.asked, time.monotonic()
        while run.process.poll() is None and self._injected() < faults:
            time.sleep(0.5)
            if self._server.asked != asked:
                asked, since = self._server.asked, time.monotonic()
            elif time.monotonic() - since > _SILENCE:
                self.hangs += 1
                run.kill()
                return
        if run.process.poll() is None:
            run.process.terminate()
        run.finish(60)

    def _verb(self) -> str:
        return "vote" if self.chance.random() < 0.8 else "retry"

    def _injected(self) -> int:
        return sum(self._server.stats()["faults"].values())
