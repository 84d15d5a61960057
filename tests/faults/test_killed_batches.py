"""A run that is killed at any step of a batch submits nothing twice, loses nothing and pays nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

TRACES = 400
MOCK = Path(__file__).parents[2] / "scripts" / "mock_batches.py"
STEPS = {
    "the file is up": "POST files",
    "the batch is made": "POST batches",
    "it is looked at": "GET batches",
    "its answers come": "GET files",
}


@contextmanager
def server(*options: str) -> Iterator[str]:
    command = [sys.executable, str(MOCK), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "rules" / "tone"
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text("task: tone\nlabels: {kind: a, rude: b}\n")
    prompt = "key={{ trace.metadata.n }} {{ trace.input }}"
    (folder / "asked.yaml").write_text(json.dumps({"prompt": prompt}))
    lines = (
        json.dumps({"trace_id": f"t{n}", "input": f"text {n}", "metadata": {"n": n}}) for n in range(TRACES)
    )
    (tmp_path / "traces.jsonl").write_text("\n".join(lines))
    return tmp_path


def configure(root: Path, url: str) -> None:
    model = {"model": "hosted_vllm/mock", "api_base": url, "price": {"input": 1, "output": 1}}
    (root / "promptlabel.yaml").write_text(json.dumps({"models": {"default": model}}))


def command(root: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "promptlabel", *words, "--project", str(root), "--json"]


def run(root: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(command(root, *words), capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.replace("/v1", "/__stats"), timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def killed(root: Path, url: str, step: str) -> None:
    """A `vote --batch` that is killed when the server has seen such a request of it."""
    before = stats(url)["requests"].get(step, 0)
    with subprocess.Popen(
        command(root, "vote", "--batch"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while stats(url)["requests"].get(step, 0) == before:
            assert process.poll() is None, f"it ended before {step}"
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)


@pytest.mark.slow
def test_killed_at_each_step_one_batch_is_submitted_and_each_question_paid_once(root):
    with server("--seconds", "2") as url:
        configure(root, url)
        run(root, "ingest", str(root / "traces.jsonl"))
        for step in STEPS.values():
            killed(root, url, step)
        report = run(root, "vote", "--batch")
        found = stats(url)
        again = run(root, "vote")
    assert (report["stopped"], report["dead_letters"], again["calls"]) == (None, 0, 0)
    assert (found["batches"], found["paid"], found["repeats"]) == (1, TRACES, 0)
    with duckdb.connect(str(root / ".promptlabel/store.duckdb"), read_only=True) as store:
        assert (
            store.execute("select count(*), count(distinct trace_id) from votes").fetchone() == (TRACES,) * 2
        )
        [(calls, usd)] = store.execute("select count(*), sum(usd) from attempts").fetchall()
    assert (calls, usd) == (TRACES, pytest.approx(TRACES * 105e-6))


@pytest.mark.slow
def test_an_interrupt_leaves_the_batch_running_and_says_how_to_go_on(root):
    with server("--seconds", "3") as url:
        configure(root, url)
        run(root, "ingest", str(root / "traces.jsonl"))
        with subprocess.Popen(
            command(root, "vote", "--batch"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while stats(url)["requests"].get("GET batches", 0) < 1 and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            report = json.loads(process.communicate(timeout=60)[0])
        assert (process.returncode, report["stopped"]) == (1, "interrupted")
        assert "promptlabel vote" in report["message"]
        assert run(root, "vote", "--batch")["votes"] == TRACES
        assert stats(url)["batches"] == 1
