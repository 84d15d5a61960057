"""Many traces through heuristics, label model and queue: inline, pool and Ray beside DuckDB's SQL and Snorkel's applier.

Each contender is a process of its own. The first three read traces from the store and leave votes in it, durably;
SQL and Snorkel only compute the votes, Snorkel on traces that are in memory already.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from postgres_server import Server, programs, temporary_folder

from promptlabel.records import Trace

TASK = "tone"
RULES = """\
import re
from promptlabel import heuristic

@heuristic
def long_answer(trace):
    return "good" if len(trace.output or "") > 60 else None

@heuristic
def apology(trace):
    return "bad" if "sorry" in (trace.output or "") else None

@heuristic
def asks_back(trace):
    return "bad" if (trace.output or "").endswith("?") else None

@heuristic
def thanks(trace):
    return "good" if "thank" in (trace.input or "") else None

@heuristic
def refund(trace):
    return "bad" if re.search("refund|money back", trace.input or "") else None
"""
COSTLY = """\
import time
from promptlabel import heuristic

@heuristic
def costly(trace):
    until = time.thread_time() + {milliseconds} / 1000
    while time.thread_time() < until:
        found = hash(trace.output)
    return "good" if found else None
"""
SQL = """
SELECT trace_id,
    CASE WHEN length(output) > 60 THEN 0 ELSE -1 END, CASE WHEN output LIKE '%sorry%' THEN 1 ELSE -1 END,
    CASE WHEN output LIKE '%?' THEN 1 ELSE -1 END, CASE WHEN input LIKE '%thank%' THEN 0 ELSE -1 END,
    CASE WHEN regexp_matches(input, 'refund|money back') THEN 1 ELSE -1 END
FROM (SELECT trace_id, record->>'$.input' AS input, record->>'$.output' AS output FROM traces)
"""
WORDS = [
    "thank",
    "you",
    "I",
    "want",
    "my",
    "money",
    "back",
    "please",
    "the",
    "order",
    "is",
    "late",
    "again",
    "what",
    "about",
    "a",
    "refund",
    "it",
    "works",
    "fine",
    "now",
]
ANSWERS = ("I am sorry about that.", "Your order left the warehouse today and will be there by Friday at the latest.",
           "Could you give me the number of the order?", "Done.")  # fmt: skip

ENGINES: dict[str, dict[str, Any]] = {
    "inline": {},
    "pool": {"executor": "pool", "workers": 2},
    "ray": {"executor": "ray", "workers": 2},
}


def traces(n: int) -> Iterator[Trace]:
    """So many short traces, the same in every run."""
    chance = random.Random(7)
    for number in range(n):
        asked = " ".join(chance.choices(WORDS, k=12))
        yield Trace(f"t{number:09d}", input=asked, output=chance.choice(ANSWERS), category=asked[:3])


def make(root: Path, n: int, store: str | None, engine: dict[str, Any]) -> None:
    """Nothing; a project with the traces is there."""
    from promptlabel.pipeline.workspace import open_project

    folder = root / "rules" / TASK
    folder.mkdir(parents=True)
    (root / "promptlabel.yaml").write_text(
        json.dumps(({"store": store} if store else {}) | {"engine": engine})
    )
    (folder / "task.yaml").write_text(f"task: {TASK}\nlabels: {{good: g, bad: b}}\n")
    (folder / "heuristics.py").write_text(RULES)
    with open_project(root) as workspace:
        workspace.store.add_traces(traces(n))


def heuristics(root: Path) -> int:
    """Votes that the project's engine cast."""
    from promptlabel.pipeline.voting.vote import vote
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(root) as workspace:
        report = vote(workspace)
        workspace.store.settle()
    assert report.errors == 0
    return report.votes


def label_model(root: Path) -> int:
    """Posteriors of a fit."""
    from promptlabel.pipeline.fitting.fit import fit
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(root) as workspace:
        return fit(workspace, workspace.tasks[0], method="em").traces


def queue(root: Path) -> int:
    """Items of a queue."""
    from promptlabel.pipeline.reviewing.queue import build_queue
    from promptlabel.pipeline.workspace import open_workspace

    with open_workspace(root) as workspace:
        return len(build_queue(workspace, workspace.tasks[0]).items)


def in_sql(root: Path) -> int:
    """Votes of the same rules as one query."""
    import duckdb

    with duckdb.connect(str(root / ".promptlabel/store.duckdb"), read_only=True) as store:
        store.execute("SET threads = 1")
        columns = store.execute(SQL).fetchnumpy()
    return sum(int((votes >= 0).sum()) for name, votes in columns.items() if name != "trace_id")


def in_snorkel(root: Path) -> int:
    """Votes of the same rules in Snorkel's own applier, on a list of traces."""
    from snorkel.labeling import LabelingFunction, LFApplier

    rules: dict[str, Any] = {}
    exec(RULES, rules)  # noqa: S102 - the rules above
    index = {"good": 0, "bad": 1, None: -1}
    names = ("long_answer", "apology", "asks_back", "thanks", "refund")
    found = [LabelingFunction(name, lambda x, rule=rules[name]: index[rule(x)]) for name in names]
    given = list(traces(int((root / "n").read_text())))
    began = time.process_time(), time.monotonic()
    votes = LFApplier(found).apply(given, progress_bar=False)
    (root / "began").write_text(json.dumps([time.process_time() - began[0], time.monotonic() - began[1]]))
    return int((votes >= 0).sum())


WORK: dict[str, Callable[[Path], int]] = {
    "heuristics": heuristics, "fit": label_model, "queue": queue, "sql": in_sql, "snorkel": in_snorkel,
}  # fmt: skip


def measured(root: Path, work: str) -> dict[str, float]:
    """What a process of its own took for the work."""
    command = [sys.executable, __file__, "--work", work, "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def work_alone(root: Path, work: str) -> None:
    """Nothing; prints what the work came to, and what it took here and in the processes that it started."""
    began = time.monotonic()
    found = WORK[work](root)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu, wall = sum(one.ru_utime + one.ru_stime for one in used), time.monotonic() - began
    if (own := root / "began").exists():
        cpu, wall = json.loads(own.read_text())
    peak = max(one.ru_maxrss for one in used) / 1024
    print(json.dumps({"found": found, "wall": wall, "cpu": cpu, "peak": peak}))


def row(name: str, n: int, took: dict[str, float]) -> str:
    """A line of the table."""
    rate = n / took["wall"]
    return (
        f"{name:<34}{rate:>12,.0f}{took['cpu'] / n * 1e6:>12.1f}{took['peak']:>10,.0f}{took['found']:>14,.0f}"
    )


def main() -> None:
    """Nothing; prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=100_000)
    parser.add_argument(
        "--costly",
        type=float,
        metavar="MS",
        help="one rule of so many milliseconds in place of the five; no peers",
    )
    parser.add_argument("--skip", nargs="*", default=[], help="contenders to leave out, or models")
    parser.add_argument("--work", choices=WORK)
    parser.add_argument("--root", type=Path)
    given = parser.parse_args()
    if given.work:
        work_alone(given.root, given.work)
        return
    n = given.traces
    if given.costly:
        globals()["RULES"] = COSTLY.format(milliseconds=given.costly)
        given.skip += ["sql", "snorkel", "models"]
    rules = f"one heuristic of {given.costly:g} ms" if given.costly else "5 heuristics"
    print(f"{n:,} traces, {rules}, {os.cpu_count()} processors; pool and Ray with 2 workers")
    print(f"{'':<34}{'traces/s':>12}{'us CPU each':>12}{'MB peak':>10}{'result':>14}")
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), n, given.skip)


def run(folder: Path, n: int, skip: list[str]) -> None:
    """Nothing; every contender's line is printed."""

    def line(name: str, root: Path, work: str) -> None:
        print(row(name, n, measured(root, work)), flush=True)

    fresh = folder / "fresh"
    make(fresh, n, None, {})
    (fresh / "n").write_text(str(n))
    if "sql" not in skip:
        line("DuckDB SQL, votes not stored", fresh, "sql")
    if "snorkel" not in skip:
        line("Snorkel LFApplier, not stored", fresh, "snorkel")
        (fresh / "began").unlink()
    for name, engine in ENGINES.items():
        if name in skip:
            continue
        root = Path(shutil.copytree(fresh, folder / name))
        (root / "promptlabel.yaml").write_text(json.dumps({"engine": engine}))
        line(f"{name}, DuckDB", root, "heuristics")
        if name == "inline":
            line("  label model (pattern EM)", root, "fit")
            line("  queue", root, "queue")
        shutil.rmtree(root)
    shutil.rmtree(fresh)
    if programs() is not None and "postgres" not in skip:
        shared(folder, n, skip, line)


def shared(folder: Path, n: int, skip: list[str], line: Callable[[str, Path, str], None]) -> None:
    """Nothing; the lines of the shared store are printed, each made anew, as large ones fill a disk."""
    for name, engine in ENGINES.items():
        if name in skip:
            continue
        with temporary_folder() as place:
            server = Server(Path(place))
            server.start()
            root = folder / f"shared-{name}"
            make(root, n, server.new_schema(), engine)
            line(f"{name}, PostgreSQL (server not in CPU)", root, "heuristics")
            if name == "inline":
                line("  label model (pattern EM)", root, "fit")
                line("  queue", root, "queue")
            server.stop()


if __name__ == "__main__":
    main()
