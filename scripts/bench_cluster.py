"""A model's rates shared by Ray actors, as a mock server sees them, with work spread evenly and with all of it in one part.

Prints the most requests in flight and in any minute beside what is configured, how much of that was in use, and how often
the actors speak with the one that divides; at last how often that one could be spoken to.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import psycopg
import ray
from faults.server import Request, Server, serving
from postgres_server import Server as Postgres
from postgres_server import temporary_folder

from promptlabel.llm.jobs import Limits
from promptlabel.llm.rates import Report
from promptlabel.pipeline.voting.coordinating import Dispatcher
from promptlabel.pipeline.voting.vote import vote
from promptlabel.pipeline.workspace import open_workspace
from promptlabel.records import Trace
from promptlabel.store.contract import PLACES

ACTORS = 3
PARTS = 4 * ACTORS


def make(root: Path, store: str, traces: int, model: dict[str, Any], *, one_part: bool) -> None:
    """Nothing; a project whose traces lie in all parts, or all in the first."""
    folder = root / "rules" / "quality"
    folder.mkdir(parents=True)
    engine = {"executor": "ray", "workers": ACTORS}
    (root / "promptlabel.yaml").write_text(
        json.dumps({"store": store, "engine": engine, "models": {"default": model}})
    )
    (folder / "task.yaml").write_text("task: quality\nlabels: {good: g, bad: b}\n")
    (folder / "asked.yaml").write_text(json.dumps({"prompt": "rule=asked {{ trace.input }}"}))
    more = PARTS + 2 if one_part else 1
    with open_workspace(root) as workspace:
        workspace.store.add_traces(Trace(f"t{n}", input=f"key=t{n} text") for n in range(more * traces))
    if one_part:
        with psycopg.connect(store, autocommit=True) as connection:
            connection.execute("DELETE FROM traces WHERE place >= %s", [PLACES // PARTS - PLACES // 2])
            connection.execute(
                "DELETE FROM traces WHERE place NOT IN (SELECT place FROM traces ORDER BY place LIMIT %s)",
                [traces],
            )


def in_use(log: list[Request], capacity: int) -> float:
    """The share of the places that was in use between the first hundredth of the requests and the last."""
    log = sorted(log, key=lambda request: request.arrived)
    first, last = log[len(log) // 50].arrived, log[-len(log) // 50].arrived
    busy = sum(max(0.0, min(request.replied or last, last) - max(request.arrived, first)) for request in log)
    return busy / (capacity * (last - first))


def most_a_minute(log: list[Request]) -> int:
    """The most that arrived in any minute."""
    times = sorted(request.arrived for request in log)
    most = start = 0
    for end, when in enumerate(times):
        while when - times[start] >= 60:
            start += 1
        most = max(most, end - start + 1)
    return most


def a_minute(log: list[Request]) -> float:
    """How many arrived a minute, over all."""
    times = sorted(request.arrived for request in log)
    return 60 * (len(times) - 1) / (times[-1] - times[0])


def run(
    root: Path, store: str, traces: int, rates: dict[str, int], latency: float, *, one_part: bool
) -> list[Request]:
    """What the server saw."""
    with serving("--latency", str(latency)) as server:
        known = {"model": "openai/mock", "api_base": server.url, "api_key_env": "RUN"}
        make(root, store, traces, {**known, **rates}, one_part=one_part)
        with open_workspace(root) as workspace:
            report = vote(workspace)
        assert report.votes == traces, report
        return _told(server, rates)


def _told(server: Server, rates: dict[str, int]) -> list[Request]:
    log, most = server.log(), server.stats()["most_open"]
    print(
        f"    in flight: most {most} of {rates['concurrency']}, {in_use(log, rates['concurrency']):.1%} in use"
    )
    if limit := rates.get("requests_per_minute"):
        print(
            f"    a minute: most {most_a_minute(log)} of {limit}; {a_minute(log) / limit:.1%} of it over the run"
        )
    return log


def exchanges(actors: int, seconds: float) -> float:
    """Exchanges a second that one dispatcher answers to callers who do nothing else."""
    dispatcher = ray.remote(num_cpus=0)(Dispatcher).remote({"default": Limits(concurrency=64)}, 60.0)
    callers = [ray.remote(num_cpus=0)(Caller).remote(dispatcher, str(number)) for number in range(actors)]
    return sum(ray.get([caller.call.remote(seconds) for caller in callers])) / seconds


class Caller:
    """An actor that only speaks."""

    def __init__(self, dispatcher: Any, name: str) -> None:
        self._speak: Callable[[], Any] = lambda: dispatcher.exchange.remote(name, "default", Report(4, 8))

    def call(self, seconds: float) -> int:
        """How often it was answered."""
        count, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            ray.get(self._speak())
            count += 1
        return count


def main() -> None:
    """Nothing; prints what the server saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=1500)
    parser.add_argument("--concurrency", type=int, default=24)
    parser.add_argument("--latency", type=float, default=0.4)
    parser.add_argument(
        "--skip-paced", action="store_true", help="leave the minutes of requests per minute out"
    )
    given = parser.parse_args()
    os.environ |= {"RUN": "secret", "RAY_USAGE_STATS_ENABLED": "0"}
    ray.init(num_cpus=ACTORS, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    places = {"concurrency": given.concurrency}
    per_minute = {"concurrency": 2 * given.concurrency, "requests_per_minute": 20 * given.concurrency}
    with tempfile.TemporaryDirectory() as folder, temporary_folder() as place:
        postgres = Postgres(Path(place))
        postgres.start()
        limits = [(places, "places"), (per_minute, "requests a minute")][: 1 if given.skip_paced else 2]
        for number, (rates, name) in enumerate(limits):
            for one_part in (False, True):
                print(
                    f"{name}, {ACTORS} actors, {'all work in one part' if one_part else 'even'}", flush=True
                )
                traces = given.traces if rates is places else int(1.3 * per_minute["requests_per_minute"])
                root = Path(folder) / f"{number}{one_part}"
                run(root, postgres.new_schema(), traces, rates, given.latency, one_part=one_part)
        postgres.stop()
    print(f"one dispatcher answers {exchanges(ACTORS, 3.0):,.0f} exchanges a second; an actor needs 10 to 50")


if __name__ == "__main__":
    main()
