"""A run that is killed at any moment goes on where it was: nothing lost, nothing doubled, next to nothing paid twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

TRACES = 300
IN_FLIGHT = 8
MOCK = Path(__file__).parents[2] / "scripts" / "mock_model.py"


@dataclass(frozen=True)
class Served:
    """A project whose one model is a mock server."""

    root: Path
    url: str

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "promptlabel", *arguments, "--project", str(self.root)]

    def run(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            self.command(*arguments, "--json"), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url.replace("/v1", "/__stats"), timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    def votes(self) -> list[tuple[str, str]]:
        with duckdb.connect(str(self.root / ".promptlabel/store.duckdb"), read_only=True) as store:
            return store.execute("select trace_id, rule from votes where status = 'vote'").fetchall()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with subprocess.Popen(
        [sys.executable, str(MOCK), "--latency", "0.02", "--jitter", "0.02"],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        url = json.loads(server.stdout.readline())["url"]
        write_project(tmp_path, url)
        project = Served(tmp_path, url)
        project.run("ingest", str(tmp_path / "traces.jsonl"))
        yield project
        server.terminate()


def write_project(root: Path, url: str) -> None:
    model = {"model": "hosted_vllm/mock", "api_base": url, "concurrency": IN_FLIGHT}
    (root / "promptlabel.yaml").write_text(json.dumps({"models": {"default": model}}))
    folder = root / "rules" / "tone"
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text("task: tone\nlabels: {kind: a, rude: b}\n")
    for rule in ("first", "second"):
        prompt = f"key={{{{ trace.metadata.number }}}}-{rule} {{{{ trace.input }}}}"
        (folder / f"{rule}.yaml").write_text(json.dumps({"prompt": prompt}))
    lines = (
        json.dumps({"trace_id": f"t{number}", "input": f"text {number}", "metadata": {"number": number}})
        for number in range(TRACES)
    )
    (root / "traces.jsonl").write_text("\n".join(lines))


def killed_run(served: Served, seconds: float) -> None:
    """A vote that is killed so many seconds after its first request."""
    before = served.stats()["requests"]
    with subprocess.Popen(served.command("vote", "--json"), stdout=subprocess.DEVNULL) as run:
        while served.stats()["requests"] == before and run.poll() is None:
            time.sleep(0.01)
        time.sleep(seconds)
        os.kill(run.pid, signal.SIGKILL)


def test_kills_lose_nothing_double_nothing_and_repeat_only_what_was_on_its_way(served):
    on_its_way = 2 * IN_FLIGHT  # asked and not answered, or answered and in line to be written
    chance = random.Random(7)
    kills = 5
    for _ in range(kills):
        killed_run(served, chance.uniform(0.0, 0.25))
    report = served.run("vote")
    assert (report["stopped"], report["dead_letters"]) == (None, 0)
    votes = served.votes()
    assert len(votes) == len(set(votes)) == 2 * TRACES
    stats = served.stats()
    assert stats["keys"] == 2 * TRACES
    assert stats["repeats"] <= kills * on_its_way
    assert served.run("vote")["calls"] == 0


def test_an_interrupted_run_finishes_what_is_in_flight_and_repeats_nothing(served):
    with subprocess.Popen(served.command("vote", "--json"), stdout=subprocess.PIPE, text=True) as run:
        while served.stats()["requests"] < IN_FLIGHT:
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        first = json.loads(run.communicate(timeout=30)[0])
    assert (run.returncode, first["stopped"]) == (1, "interrupted")
    assert first["votes"] == first["calls"] == len(served.votes())
    served.run("vote")
    assert served.stats()["repeats"] == 0
    assert len(served.votes()) == 2 * TRACES


def test_the_budget_is_never_passed_whatever_is_in_flight(served):
    configuration = json.loads((served.root / "promptlabel.yaml").read_text())
    configuration["budget"] = {"calls": 100}
    (served.root / "promptlabel.yaml").write_text(json.dumps(configuration))
    assert served.run("vote")["stopped"] == "budget"
    assert served.stats()["requests"] == 100
    assert len(served.votes()) == 100
