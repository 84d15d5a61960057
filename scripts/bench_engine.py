#!/usr/bin/env python3
"""A whole `promptlabel vote` beside raw aiohttp, LiteLLM, Instructor and curator, against one mock server, in one run.

Every contender runs in a process of its own, pinned to one core, the server on another; rounds take turns, and the
median round is shown. `vote` is the whole verb as a user starts it: process start, rendering, keys, look-up, calls,
validation, the durable store. Curator runs where `--curator` names an interpreter that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench_contenders import CONTENDERS, FILLER

HERE = Path(__file__).parent
SETTINGS = ((0.0, 64), (0.1, 256))
"""Latency of the server in seconds, and requests open at once."""

SHARES = {"litellm": 0.1, "instructor": 0.05, "curator": 0.2}
"""The share of the items that is enough for a slow contender."""


@dataclass(frozen=True)
class Figures:
    """What one contender took in one round; `start` is CPU-seconds before the first measured item."""

    items: int
    seconds: float
    cpu: float
    start: float
    megabytes: float

    @property
    def rate(self) -> float:
        return self.items / self.seconds

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.cpu / self.items


@contextmanager
def mock(latency: float) -> Iterator[str]:
    command = [sys.executable, str(HERE / "mock_model.py"), "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        _pin(process.pid, 0)
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def _pin(process: int, core: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(process, {cores[core]})


def timed(command: Sequence[str]) -> tuple[str, float, float, float]:
    """What a command printed, its seconds, CPU-seconds and peak megabytes."""
    since = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        _pin(process.pid, 1)
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)}\n{out[-2000:]}\n{errors.read()[-4000:]}")
    return out, time.perf_counter() - since, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def contender(name: str, url: str, number: int, at_once: int, curator: str | None) -> Figures:
    arguments = [url, str(number), str(at_once)]
    if name == "curator":
        command = [str(curator), str(HERE / "bench_curator.py"), *arguments]
    else:
        command = [sys.executable, str(HERE / "bench_contenders.py"), name, *arguments]
    return Figures(**json.loads(timed(command)[0].strip().splitlines()[-1]))


# --- the whole verb
def vote(url: str, number: int, at_once: int) -> tuple[Figures, Figures]:
    """A `vote` from nothing, and the same again when nothing is left to ask.

    `start` is what the same verb takes in a project without traces.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(project, url, number, at_once)
        command = [sys.executable, "-m", "promptlabel"]
        verb = [*command, "vote", "--json", "--project", folder]
        _, _, start, _ = timed(verb)
        timed([*command, "ingest", str(project / "traces.jsonl"), "--project", folder])
        return _voted(timed(verb), number, number, start), _voted(timed(verb), number, 0, start)


def _voted(run: tuple[str, float, float, float], number: int, calls: int, start: float) -> Figures:
    out, seconds, cpu, megabytes = run
    report = json.loads(out)
    assert report["calls"] == calls, report
    return Figures(number, seconds, cpu, start, megabytes)


def write_project(project: Path, url: str, number: int, at_once: int) -> None:
    rules = project / "rules" / "helped"
    rules.mkdir(parents=True)
    model = {"model": "openai/mock", "api_base": url, "concurrency": at_once}
    configuration = {"models": {"default": {**model, "price": {"input": 1.0, "output": 1.0}}}}
    (project / "promptlabel.yaml").write_text(json.dumps(configuration))
    (rules / "task.yaml").write_text(json.dumps({"task": "helped", "labels": {"yes": "helped", "no": "not"}}))
    rule = {"prompt": "{{ trace.transcript }}\nWas the user helped?", "decode": "json"}
    (rules / "helped.yaml").write_text(json.dumps(rule))
    with (project / "traces.jsonl").open("w") as file:
        for index in range(number):
            trace = {"trace_id": f"t{index}", "input": f"{FILLER} key=k{index}", "output": "ok"}
            file.write(json.dumps(trace) + "\n")


# --- tables
def compare(given: argparse.Namespace, latency: float, at_once: int) -> None:
    names = [name for name in (*CONTENDERS, "curator", "vote") if given.only is None or name in given.only]
    if given.curator is None and "curator" in names:
        names.remove("curator")
    rounds: dict[str, list[Figures]] = {}
    for turn in range(given.rounds):
        for name in names:
            print(f"\r\033[Kround {turn + 1}: {name}", end="", file=sys.stderr, flush=True)
            with mock(latency) as url:
                number = max(200, int(given.number * SHARES.get(name, 1.0)))
                if name == "vote":
                    first, again = vote(url, number, at_once)
                    rounds.setdefault("vote", []).append(first)
                    rounds.setdefault("vote, finished before", []).append(again)
                else:
                    figures = contender(name, url, number, at_once, given.curator)
                    rounds.setdefault(name, []).append(figures)
    print("\r\033[K", end="", file=sys.stderr)
    show(rounds, latency, at_once)


def show(rounds: dict[str, list[Figures]], latency: float, at_once: int) -> None:
    ceiling = f", at most {at_once / latency:,.0f} items/s" if latency else ""
    print(f"\nlatency {1000 * latency:g} ms, {at_once} requests open{ceiling}")
    print(f"{'':22}{'items/s':>9}{'of aiohttp':>12}{'CPU-ms an item':>16}{'of aiohttp':>12}{'peak MB':>9}")
    base = rounds.get("aiohttp")
    for name, figures in rounds.items():
        rate, cpu = median(one.rate for one in figures), median(one.cpu_ms for one in figures)
        of_rate = of_cpu = ""
        if base:
            of_rate = f"{rate / median(one.rate for one in base):.2f}x"
            of_cpu = f"{cpu / median(one.cpu_ms for one in base):.2f}x"
        memory = max(one.megabytes for one in figures)
        print(f"{name:22}{rate:>9,.0f}{of_rate:>12}{cpu:>16.3f}{of_cpu:>12}{memory:>9.0f}", flush=True)
    _show_start(rounds.get("vote", ()))


def _show_start(votes: Sequence[Figures]) -> None:
    if votes:
        start = median(one.start for one in votes)
        rest = median(1000 * (one.cpu - one.start) / one.items for one in votes)
        print(f"vote: {start:.2f} CPU-s of it to start; {rest:.3f} CPU-ms an item without")


def memory(given: argparse.Namespace) -> None:
    print(f"\n{'votes in one run':>18}{'peak MB':>9}")
    for number in (given.memory // 10, given.memory):
        with mock(0.0) as url:
            first, _ = vote(url, number, 64)
        print(f"{number:>18,}{first.megabytes:>9.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=10_000, help="items of the fast contenders")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=[*CONTENDERS, "curator", "vote"])
    parser.add_argument("--setting", type=int, nargs="*", choices=range(len(SETTINGS)), help="default: both")
    parser.add_argument("--curator", metavar="PYTHON", help="an interpreter with bespokelabs-curator")
    parser.add_argument(
        "--memory", type=int, metavar="VOTES", help="peak memory of a tenth and of so many votes"
    )
    given = parser.parse_args()
    if given.memory:
        memory(given)
        return
    for number in range(len(SETTINGS)) if given.setting is None else given.setting:
        compare(given, *SETTINGS[number])


if __name__ == "__main__":
    main()
