"""One kind of trouble at a time, each on a project of its own; what must not happen is counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from faults.oracle import judge
from faults.project import PRICE, Project, Run, wait_for_requests
from faults.server import Request, Server, serving

STOPS: Final = {
    "401": "auth",
    "402": "no_credit",
    "403": "forbidden",
    "404": "not_found",
    "quota": "quota",
    "429_3600": "rate_limit",
}
"""Fault -> cause with which it ends a run at once."""

READ: Final = 0.3
"""Seconds after a reply in which requests may arrive that left before it was read."""


@dataclass(slots=True)
class Trial:
    """What was injected, and how often each thing happened that must not."""

    injected: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    notes: dict[str, Any] = field(default_factory=dict)

    def must(self, what: str, holds: bool, note: object = None) -> None:
        """Nothing; that it does not hold is counted, with a note."""
        self.wrong[what] += not holds
        if not holds:
            self.notes[what] = note


def assert_sound(trial: Trial) -> None:
    """Nothing, where something was injected and nothing went wrong."""
    assert trial.injected.total()
    assert not any(trial.wrong.values()), (trial.wrong, trial.notes)


@contextmanager
def a_project(root: Path, traces: int, *options: str, **settings: Any) -> Iterator[Project]:
    """A project with so many traces, and its server."""
    with serving(*options) as server:
        project = Project(root, server)
        project.write(**settings)
        project.ingest(traces)
        yield project


def settle(project: Project, trial: Trial, *, verbs: tuple[str, ...] = ("vote",)) -> Trial:
    """The trial, with what the oracle finds once the server is sound and everything has been asked for."""
    project.server.behave(rates={}, script=[])
    for verb in verbs:
        report = project.run(verb)
        trial.must("unfinished", report.get("stopped", "?") is None, report)
    log = project.server.log()
    findings = judge(log, project.votes(), project.attempts(), project.runs, project.keys)
    trial.injected += findings.injected
    for name, count in findings.violations.items():
        trial.must(name, not count, findings)
    return trial


def permanent(root: Path, fault: str, after: int) -> Trial:
    """A fault that no further question can escape, met by the first request or after some sound ones."""
    trial = Trial()
    with a_project(root, 60, concurrency=8) as project:
        server = project.server
        server.behave(script=[*[None] * after, fault])
        run = project.start("vote")
        report = run.finish()
        trial.must("goes on", report["stopped"] == STOPS[fault], report)
        trial.must("says nothing", bool(report["message"]))
        trial.must("exit code", run.process.returncode == 1, run.process.returncode)
        trial.must("asked after the stop", _asked_after(server.log(), fault) == 0)
        trial.must("calls", server.asked == 1 if after == 0 else server.asked <= after + 1 + 8, server.asked)
        return settle(project, trial)


def _asked_after(log: list[Request], fault: str) -> int:
    at = next(request.replied for request in log if request.fault == fault)
    assert at is not None
    return sum(request.arrived > at + READ for request in log)


def bad_request(root: Path) -> Trial:
    """400s are not retried: alone each costs one vote, and the same one for the first three ends the run."""
    trial = Trial()
    with a_project(root, 60, concurrency=8) as project:
        server = project.server
        server.behave(script=["400"] * 20)
        report = project.run("vote")
        trial.must("goes on", report["stopped"] == "bad_request", report)
        trial.must("calls", server.asked <= 3 + 8, server.asked)
        server.behave(script=[None, None, "400", None, "400"])
        report = project.run("vote")
        trial.must("stopped by one", report["stopped"] is None, report)
        trial.must("asked again", all(count == 1 for count in _asked(server, "run-2").values()))
        return settle(project, trial, verbs=("vote", "retry"))


def _asked(server: Server, bearer: str) -> Counter[str]:
    return Counter(request.key for request in server.log() if request.bearer == bearer)


def drained(root: Path, number: signal.Signals) -> Trial:
    """A polite signal: what is in flight finishes, nothing is repeated."""
    trial = Trial()
    with a_project(root, 200, "--latency", "0.05", "--jitter", "0.05", concurrency=16) as project:
        run = project.start("vote")
        wait_for_requests(project.server, run, 40)
        sent = time.monotonic()
        run.process.send_signal(number)
        report = run.finish(30)
        trial.must("slow", time.monotonic() - sent < 7.0, time.monotonic() - sent)
        trial.must("goes on", report.get("stopped") == "interrupted", report)
        trial.must("exit code", run.process.returncode == 1, run.process.returncode)
        trial.must("not kept", len(project.votes()) == report["votes"] == project.server.asked, report)
        trial.injected[number.name] += 1
        return settle(project, trial)


def two_runners(root: Path) -> Trial:
    """A second runner on the same job, while the first works and while it is frozen."""
    trial = Trial()
    with a_project(root, 300, "--latency", "0.05", concurrency=8, timeout=30.0) as project:
        first = project.start("vote")
        wait_for_requests(project.server, first)
        _refused(project, first, trial)
        os.kill(first.process.pid, signal.SIGSTOP)
        time.sleep(1.0)
        _refused(project, first, trial)
        os.kill(first.process.pid, signal.SIGCONT)
        report = first.finish()
        trial.must("first runner failed", report.get("stopped", "?") is None, report)
        trial.injected.update({"second runner": 2, "SIGSTOP": 1})
        return settle(project, trial)


def _refused(project: Project, holder: Run, trial: Trial) -> None:
    second = project.start("vote")
    report = second.finish(30)
    trial.must("second runner let in", second.process.returncode != 0, report)
    trial.must("holder not named", str(holder.process.pid) in json.dumps(report) + second.errors, report)
    trial.must("second runner sent", not _asked(project.server, second.bearer))


def frozen_past_its_deadline(root: Path) -> Trial:
    """A runner that is stopped for longer than its requests may take, then goes on."""
    trial = Trial()
    with a_project(root, 200, "--latency", "0.05", concurrency=8, timeout=1.0) as project:
        run = project.start("vote")
        wait_for_requests(project.server, run)
        os.kill(run.process.pid, signal.SIGSTOP)
        time.sleep(2.0)
        os.kill(run.process.pid, signal.SIGCONT)
        report = run.finish()
        trial.must("run failed", report.get("stopped", "?") is None, report)
        trial.injected["SIGSTOP"] += 1
        settle(project, trial)
        in_flight = 8
        trial.wrong["paid twice"] = int(trial.wrong["paid twice"] > in_flight)
    return trial


def disk_full(root: Path, megabytes: int = 24) -> Trial:
    """A disk that fills up during a run, and then grows."""
    trial = Trial()
    root.mkdir(parents=True, exist_ok=True)
    with _small_disk(root, megabytes) as grow, serving() as server:
        project = Project(root / "project", server)
        project.write(concurrency=16)
        project.ingest(400)
        ballast = root / "ballast"
        run = project.start("vote")
        wait_for_requests(server, run, 50)
        run.killed = time.monotonic()  # what cannot be journaled from here on is lost as in a kill
        _fill(ballast)
        report = run.finish(60)
        trial.must("exit code", run.process.returncode == 1, run.process.returncode)
        trial.must("cause not said", "disk is full" in json.dumps(report) + run.errors, (report, run.errors))
        trial.injected["disk full"] += 1
        again = project.start("vote")
        again.killed = again.started
        told = again.finish(60)
        trial.must(
            "cause not said again",
            "disk is full" in json.dumps(told) or told.get("stopped", "?") is None,
            told,
        )
        grow(4 * megabytes)
        settle(project, trial)
        ballast.unlink()
        _diagnose(project, trial)
    return trial


def _diagnose(project: Project, trial: Trial) -> None:
    about_the_machine = {"disk", "packages", "extras", "weights"}
    checks = project.run("doctor")["checks"]
    wrong = [check for check in checks if not check["ok"] and check["name"] not in about_the_machine]
    trial.must("unsound", not wrong, wrong)


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"\0" * 4096)
        except OSError:
            return


@contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[Any]:
    def mount(*options: str) -> None:
        subprocess.run(
            ["mount", *options, "-t", "tmpfs", "tmpfs", str(folder)], check=True, capture_output=True
        )

    mount("-o", f"size={megabytes}m")
    try:
        yield lambda size: mount("-o", f"remount,size={size}m")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def spent(log: list[Request]) -> float:
    """US dollars that the server charged: for every answer it made, sound or not."""
    return sum(r.input_tokens * PRICE["input"] + r.output_tokens * PRICE["output"] for r in log) / 1e6


def budget(root: Path, *, kills: int = 0) -> Trial:
    """A cap in dollars with many in flight, on a server that fails, answers ill and reports no tokens."""
    trial = Trial()
    rates = {"no_usage": 0.05, "wrong_label": 0.05, "megabyte": 0.02, "truncated": 0.1, "500": 0.1}
    with a_project(root, 400, "--latency", "0.02", concurrency=32) as project:
        server = project.server
        cap = 0.02
        project.write(concurrency=32, budget={"usd": cap})
        server.behave(rates=rates)
        for _ in range(kills):
            run = project.start("vote")
            wait_for_requests(server, run, 20)
            run.kill()
        report = project.run("vote")
        trial.must("goes on", report["stopped"] == "budget", report)
        log = server.log()
        trial.must("overshoot", spent(log) <= cap, spent(log))
        trial.notes["spent"] = spent(log) / cap
        trial.injected += Counter(request.fault for request in log if request.fault)
    return trial


def budget_of_calls(root: Path) -> Trial:
    """A cap in calls with many in flight, used to the last one."""
    trial = Trial()
    with a_project(root, 100, "--latency", "0.02", concurrency=32) as project:
        project.write(concurrency=32, budget={"calls": 100})
        for _ in range(2):
            report = project.run("vote")
            trial.must("goes on", report["stopped"] == "budget", report)
        trial.must("calls", project.server.asked == 100, project.server.asked)
        trial.must("votes", len(project.votes()) == 100, len(project.votes()))
        trial.injected["cap"] += 1
    return trial


def dead_then_back(root: Path, seconds: float = 5.0) -> Trial:
    """An endpoint that fails every request for some seconds: probes alone meanwhile, and soon back to work."""
    trial = Trial()
    with a_project(root, 400, "--latency", "0.02", concurrency=16) as project:
        server = project.server
        run = project.start("vote")
        wait_for_requests(server, run, 60)
        server.behave(rates={"503": 1.0})
        time.sleep(seconds)
        server.behave(rates={})
        back = time.monotonic()
        report = run.finish()
        trial.must("run failed", report.get("stopped", "?") is None, report)
        log = server.log()
        failed = [request for request in log if request.fault]
        probes = [request for request in failed if request.arrived > failed[0].arrived + 0.5]
        trial.must("calls while open", len(probes) <= 4, len(probes))
        first = next(request.arrived for request in log if request.arrived > back)
        trial.must("slow to resume", first - back < seconds, first - back)
        return settle(project, trial)


def writer_dies(root: Path) -> Trial:
    """The thread that writes the store dies in the middle of a run: the run fails soon and says so."""
    trial = Trial()
    with a_project(root, 300, "--latency", "0.02", concurrency=8) as project:
        run = project.start("vote", launcher=("-c", _DYING_WRITER))
        wait_for_requests(project.server, run)
        since = run.killed = time.monotonic()
        report = run.finish(30)
        trial.must("hangs", time.monotonic() - since < 5.0, time.monotonic() - since)
        trial.must("exit code", run.process.returncode == 1, (run.process.returncode, report, run.errors))
        trial.must("cause not said", "injected" in json.dumps(report) + run.errors, (report, run.errors))
        trial.injected["writer dies"] += 1
        return settle(project, trial)


_DYING_WRITER = """
import time
from promptlabel.cli import main
from promptlabel.store.writer import Writer
whole, since = Writer._committed, []
def commit(self, group, *more):
    since.append(time.monotonic())
    if since[-1] - since[0] > 0.5:
        raise MemoryError("injected: the writer dies")
    return whole(self, group, *more)
Writer._committed = commit
main()
"""


POISON: Final = (
    {"trace_id": "long", "input": "x" * 4_900_000},
    {"trace_id": "controls", "input": "\x1b[31m\u202e\ufeff\u2028"},
    {"trace_id": "markup", "input": "{{ trace.clear() }}{% for x in y %}</s><|im_end|>"},
)
"""Traces that may break something somewhere; only their own votes may be missing."""

REFUSED: Final = (
    {"trace_id": "huge", "input": "x" * 10_000_000},
    {"trace_id": "nul", "input": "before\0after"},
    {"trace_id": "surrogate", "input": "half \ud83d of a pair"},
)
"""Traces that are not let in."""

_POISONOUS_RULES: Final = {
    "missing.yaml": json.dumps({"prompt": "rule=missing {{ trace.metadata.nothing }}"}),
    "heuristics.py": (
        "from promptlabel import heuristic\n"
        "@heuristic\ndef raises(trace):\n    raise RuntimeError(trace.trace_id)\n"
        "@heuristic\ndef unknown_label(trace):\n    return trace.trace_id\n"
        "@heuristic\ndef no_text(trace):\n    return 7\n"
    ),
}


def poison(root: Path) -> Trial:
    """Rules and traces that fail: each costs its own votes and nobody else's."""
    trial = Trial()
    with serving() as server:
        project = Project(root, server)
        project.write(concurrency=8)
        for name, content in _POISONOUS_RULES.items():
            (root / "rules" / "tone" / name).write_text(content)
        refused = project.root / "refused.jsonl"
        refused.write_text("\n".join(map(json.dumps, REFUSED)))
        named = project.run("ingest", str(refused)).get("faults", ())
        trial.must("let in", sorted(fault["line"] for fault in named) == [1, 2, 3], named)
        project.ingest(60, POISON)
        report = project.run("vote")
        trial.must("run failed", report.get("stopped", "?") is None, report)
        votes = project.votes()
        sound = [vote for vote in votes if vote.key in project.keys]
        trial.must("other votes lost", len(sound) == len(project.keys), len(sound))
        trial.must("others not cast", all(vote.status == "vote" for vote in sound), sound[:3])
        cells = (60 + len(POISON)) * (len(project.rules) + 4)
        trial.must("cells missing", len(votes) == cells, (len(votes), cells))
        causes = Counter((vote.key.rpartition("-")[2], vote.status) for vote in votes)
        for rule in ("missing", "raises", "unknown_label", "no_text"):
            trial.must("guessed", causes[rule, "error"] == 60 + len(POISON), causes)
        trial.injected.update({"poison trace": len(POISON), "poison rule": 4})
        trial.notes["causes"] = Counter((vote.status, vote.cause) for vote in votes)
    return trial


_CRASHING = """
import os, signal, sys
from contextlib import contextmanager
from promptlabel.store.ledger import Ledger
at, seen = int(os.environ["CRASH_AT"]), 0

def point():
    global seen
    seen += 1
    if seen == at:
        os.kill(os.getpid(), signal.SIGKILL)

def pointed(whole):
    def call(*arguments, **named):
        point()
        result = whole(*arguments, **named)
        point()
        return result
    return call

def write(file, content, whole=os.write):
    point()
    half = whole(file, content[: len(content) // 2])
    point()
    rest = whole(file, content[half:])
    point()
    return half + rest

@contextmanager
def commit(self, *arguments, whole=Ledger.commit):
    point()
    with whole(self, *arguments) as change:
        yield change
        point()
    point()

os.write, os.fsync, Ledger.commit = write, pointed(os.fsync), commit
from promptlabel.cli import commands
try:
    commands.main(standalone_mode=False)
except SystemExit:
    pass
print(seen, file=sys.stderr)
"""


def crash_points(root: Path) -> int:
    """How many points a small job has at which it can be cut off: around each write, sync and commit."""
    with _small_job(root) as project:
        run = _crashing_run(project, 0)
        run.finish()
        return int(run.errors.split()[-1])


def crashed(root: Path, at: int) -> Trial:
    """A small job that dies at one point, numbered from 1."""
    trial = Trial()
    with _small_job(root) as project:
        run = _crashing_run(project, at)
        run.wait(60)
        if run.process.returncode == -signal.SIGKILL:
            run.killed = time.monotonic()
            trial.injected["crash point"] += 1
        settle(project, trial)
        _diagnose(project, trial)
    return trial


@contextmanager
def _small_job(root: Path) -> Iterator[Project]:
    with a_project(root, 8, concurrency=2) as project:
        yield project


def _crashing_run(project: Project, at: int) -> Run:
    os.environ["CRASH_AT"] = str(at)
    return project.start("vote", launcher=("-c", _CRASHING))
