"""The real vLLM served, in process and by batch file, beside the embedded model: the same weights, the same questions.

    scripts/bench vllm --data DIR [--traces 150] [--threads 1]

DIR holds `youtube/votes.parquet` with columns `text` and `gold` (comments; 1 is spam). Every mode votes through
`promptlabel vote` in a project of its own. Votes a second are those from the first answer to the last, by the ledger; of
a batch file, from the reading of the file to its answers, by vLLM's log; the rest of the run is starting. Needs
`scripts/vllm install`. One mode runs at a time, all of them one after the other on the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as parquet

from promptlabel.pipeline.workspace import open_workspace

HERE = Path(__file__).resolve().parents[1]
VLLM = HERE / ".vllm"
WEIGHTS = VLLM / "smollm2-135m-instruct"
PORT = 8765
SEED = 0
RULE = {
    "prompt": "Comment: {{ trace.input }}",
    "shots": "fixed",
    "examples": [
        {"input": "check out my channel and subscribe please!!", "vote": "spam"},
        {"input": "this song never gets old, love it", "vote": "ham"},
        {"input": "win a free iphone here http://bit.ly/xyz", "vote": "spam"},
        {"input": "who is still listening in 2015?", "vote": "ham"},
    ],
}


@dataclass(frozen=True)
class Mode:
    """A way to ask, and how it is configured."""

    name: str
    model: Mapping[str, Any]
    options: tuple[str, ...] = ()
    rules: tuple[str, ...] = ("scored", "written")


@dataclass(frozen=True)
class Voted:
    """What a mode said: by trace the distribution over answers and the JSON answer.

    Attributes:
        seconds: of the whole run, by rule.
        rates: votes a second once it had started, by rule.
    """

    scored: Mapping[str, Mapping[str, float]]
    written: Mapping[str, str]
    seconds: Mapping[str, float]
    rates: Mapping[str, float]


def modes(threads: int) -> list[Mode]:
    """The embedded model first, then vLLM three ways, and the served one again: how far it agrees with itself."""
    served = {
        "model": "hosted_vllm/smollm2-135m-instruct",
        "api_base": f"http://127.0.0.1:{PORT}/v1",
        "tokenizer": str(WEIGHTS),
        "concurrency": 16,
    }
    engine = {
        "dtype": "bfloat16", "max_model_len": 2048, "max_num_seqs": 32, "block_size": 32, "enforce_eager": True,
    }  # fmt: skip
    inside = {
        "provider": "vllm", "model": str(WEIGHTS), "python": str(VLLM / "bin/python"), "threads": threads,
        "engine": engine,
    }  # fmt: skip
    return [
        Mode("embedded", {"provider": "local", "threads": threads}, rules=("scored",)),
        Mode("served", served),
        Mode("served, again", served),
        Mode("in process", inside),
        Mode("batch file", inside, ("--batch",)),
    ]


def comments(data: Path, number: int) -> list[tuple[str, str, int]]:
    """Trace ids, texts and gold of a random sample."""
    table = parquet.read_table(data / "youtube" / "votes.parquet", columns=["text", "gold"])
    rows = [
        (text, gold)
        for text, gold in zip(table["text"].to_pylist(), table["gold"].to_pylist(), strict=True)
        if gold >= 0 and text and text.strip()
    ]
    chosen = np.random.default_rng(SEED).permutation(len(rows))[:number]
    return [(f"c{place}", *rows[row]) for place, row in enumerate(chosen)]


def vote(root: Path, mode: Mode, rows: list[tuple[str, str, int]], rule: str) -> float:
    """Seconds that `promptlabel vote` took for one rule on these comments."""
    folder = root / "rules" / "comments"
    folder.mkdir(parents=True)
    (root / "promptlabel.yaml").write_text(json.dumps({"models": {"default": mode.model}}))
    (folder / "task.yaml").write_text(json.dumps({"task": "comments", "labels": ["spam", "ham"]}))
    decode = "logprobs" if rule == "scored" else "json"
    (folder / f"{rule}.yaml").write_text(json.dumps({**RULE, "decode": decode}))
    lines = (json.dumps({"trace_id": name, "input": text}) for name, text, _ in rows)
    (root / "traces.jsonl").write_text("\n".join(lines))
    _promptlabel(root, "ingest", str(root / "traces.jsonl"))
    report = _promptlabel(root, "vote", *mode.options)
    assert report["stopped"] is None, report
    return float(report["seconds"])


def _promptlabel(root: Path, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "promptlabel", *words, "--project", str(root), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(folder: Path, mode: Mode, rows: list[tuple[str, str, int]]) -> Voted:
    """What the mode says of the comments."""
    seconds, rates, scored, written = {}, {}, {}, {}
    for rule in mode.rules:
        root = folder / f"{mode.name} {rule}"
        seconds[rule] = vote(root, mode, rows, rule)
        rates[rule] = (_rate_of_batch if mode.options else _rate)(root, len(rows))
        with open_workspace(root) as workspace:
            for _, found in workspace.store.votes("comments"):
                if rule == "scored":
                    scored[found.trace_id] = found.raw.distribution
                else:
                    written[found.trace_id] = json.loads(found.raw.text)["answer"]
        print(f"{mode.name}, {rule}: {seconds[rule]:.1f} s, {rates[rule]:.1f} votes/s", file=sys.stderr)
    return Voted(scored, written, seconds, rates)


def _rate(root: Path, number: int) -> float:
    """Votes a second between the end of the first request and that of the last."""
    with duckdb.connect(str(root / ".promptlabel/store.duckdb"), read_only=True) as store:
        query = (
            "select min(ended), max(ended) from (select epoch(timestamp) + seconds as ended from attempts)"
        )
        [(first, last)] = store.execute(query).fetchall()
    return (number - 1) / (last - first)


def _rate_of_batch(root: Path, number: int) -> float:
    """Votes a second between vLLM's reading of the file and its writing of the answers."""
    [log] = (root / ".promptlabel/batches").glob("*.log")
    read_at = next(line for line in log.read_text().splitlines() if "Reading batch" in line)
    clock = time.strptime(re.search(r"\d\d-\d\d \d\d:\d\d:\d\d", read_at)[0], "%m-%d %H:%M:%S")
    ended = log.with_suffix(".answers.jsonl").stat().st_mtime
    began = time.mktime((time.localtime(ended).tm_year, *clock[1:8], -1))
    return number / (ended - began)


@contextmanager
def serving(threads: int) -> Iterator[None]:
    """`scripts/vllm serve`, warm."""
    command = [str(HERE / "scripts/vllm"), "serve", str(PORT)]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": str(threads)}
        ) as server,
    ):
        try:
            _wait(server)
            yield
        finally:
            server.terminate()


def _wait(server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=2)
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise SystemExit("the server did not start: run `scripts/vllm serve` to see why")


def auc(scored: Mapping[str, Mapping[str, float]], rows: list[tuple[str, str, int]]) -> float:
    """How well the probability of spam ranks the comments."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score([gold for *_, gold in rows], [scored[name]["spam"] for name, *_ in rows]))


def show(found: Mapping[str, Voted], rows: list[tuple[str, str, int]]) -> None:
    """Nothing; the table is printed."""
    print("| | label probabilities: votes/s | whole run, s | JSON: votes/s | whole run, s | AUC |")
    print("|---|---|---|---|---|---|")
    for name, voted in found.items():
        figures = [
            f"{figure[rule]:.1f}" if rule in figure else "–"
            for rule in ("scored", "written")
            for figure in (voted.rates, voted.seconds)
        ]
        print(f"| {name} | {' | '.join(figures)} | {auc(voted.scored, rows):.3f} |")
    base = found["served"]
    print(
        "\n| against served | likeliest label | largest difference of a probability | mean | JSON answers |"
    )
    print("|---|---|---|---|---|")
    for name, voted in found.items():
        if name != "served":
            print(f"| {name} | {' | '.join(_differences(voted, base))} |")


def _differences(voted: Voted, base: Voted) -> list[str]:
    ours = np.array([voted.scored[name]["spam"] for name in base.scored])
    theirs = np.array([base.scored[name]["spam"] for name in base.scored])
    apart = np.abs(ours - theirs)
    same = np.mean([voted.written.get(name) == answer for name, answer in base.written.items()])
    written = f"{same:.1%}" if voted.written else "–"
    return [
        f"{np.mean((ours > 0.5) == (theirs > 0.5)):.1%}",
        f"{apart.max():.2g}",
        f"{apart.mean():.2g}",
        written,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--traces", type=int, default=150)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    rows = comments(given.data, given.traces)
    with tempfile.TemporaryDirectory() as folder:
        every = {mode.name: mode for mode in modes(given.threads)}
        found = {"embedded": run(Path(folder), every.pop("embedded"), rows)}
        with serving(given.threads):
            for name in ("served", "served, again"):
                found[name] = run(Path(folder), every.pop(name), rows)
        found |= {name: run(Path(folder), mode, rows) for name, mode in every.items()}
    show(found, rows)


if __name__ == "__main__":
    main()
