"""The lines of a run: whose they are, that they add up, and that nothing of a trace is in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from promptlabel.errors import InputError
from promptlabel.pipeline.run_log import LOG, Run, kind_of_error, shard, target_of, this_run
from promptlabel.pipeline.workspace import open_project
from promptlabel.records import Trace

CANARY = "canary-4711"
HEURISTICS = """\
from promptlabel import heuristic

@heuristic
def even(trace):
    return "good" if trace.metadata["number"] % 2 == 0 else None

@heuristic
def breaks(trace):
    raise ValueError(trace.input)
"""
PROMPT = """\
prompt: 'Is it good? "{{ trace.input }}"'
answers: {"yes": good, "no": bad}
"""
SCRIPT = """\
- {match: "number 3 ", error: bad_request}
- {match: "number 4 ", text: "canary-4711 says neither"}
- {answer: "yes"}
"""
SETTINGS = """\
models: {default: {provider: scripted, model: answers.yaml}}
engine: {executor: %s, workers: 2, shard: 5}
"""


def project_of(root: Path, executor: str, store: str = "") -> Path:
    (root / "rules" / "quality").mkdir(parents=True)
    (root / "rules" / "quality" / "task.yaml").write_text("task: quality\nlabels: {good: '', bad: ''}\n")
    (root / "rules" / "quality" / "heuristics.py").write_text(HEURISTICS)
    (root / "rules" / "quality" / "asks.yaml").write_text(PROMPT)
    (root / "answers.yaml").write_text(SCRIPT)
    (root / "promptlabel.yaml").write_text(SETTINGS % executor + store)
    with open_project(root) as workspace:
        workspace.store.add_traces(
            Trace(f"{CANARY}-{n}", input=f"{CANARY} number {n} ", metadata={"number": n}) for n in range(12)
        )
    return root


def run_(root: Path, *command: str, **environment: str) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "promptlabel", *command, "--project", root, "--json"],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout), done.stderr


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def ended(lines: Sequence[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == event]


@pytest.mark.parametrize("executor", ["inline", "pool"])
def test_every_line_is_of_the_run_and_its_shards_add_up(tmp_path: Path, executor: str) -> None:
    root, log = project_of(tmp_path, executor), tmp_path / "logs" / "run.jsonl"
    report, _ = run_(root, "vote", "--log-json", str(log))
    lines = lines_of(log.read_text())
    assert {line["run_id"] for line in lines} == {report["run_id"]}
    assert {line["host"] for line in lines} == {os.uname().nodename}
    (begin, *_, end) = lines
    assert (begin["event"], end["event"], end["shard"]) == ("vote.start", "vote.end", None)
    shards = ended(lines, "shard.end")
    counts: Counter[str] = Counter()
    for line in shards:
        counts.update(line["counts"])
    assert counts == {"vote": 6, "abstain": 6, "error": 12}
    assert len(ended(lines, "shard.start")) == len(shards)
    if executor == "pool":
        assert [line["shard"] for line in sorted(shards, key=lambda line: line["shard"])] == ["1", "2", "3"]
        assert begin["pid"] not in {line["pid"] for line in shards}
    (failed,) = ended(lines, "request.failed")
    assert (failed["cause"], failed["level"], failed["model"]) == ("bad_request", "warning", "default")
    assert end["dead_letters"]["ValueError"] == 12
    assert CANARY not in log.read_text()


@pytest.mark.parametrize("executor", ["pool", pytest.param("ray", marks=pytest.mark.slow)])
def test_shards_of_a_shared_store_carry_the_run_to_its_workers(
    tmp_path: Path, postgres: Any, executor: str
) -> None:
    if executor == "ray":
        pytest.importorskip("ray", reason="needs the ray extra")
    root = project_of(tmp_path, executor, f'store: "{postgres.new_schema()}"\n')
    report, _ = run_(root, "vote", **{LOG: f"json:{tmp_path / 'log'}"})
    lines = lines_of((tmp_path / "log").read_text())
    shards = [line for line in ended(lines, "shard.end") if "even" in line["rules"]]
    assert sorted(line["shard"] for line in shards) == ["1/3", "2/3", "3/3"]
    asked = [line for line in ended(lines, "shard.end") if line["rules"] == ["asks"]]
    assert sum(sum(line["counts"].values()) for line in asked) == (12 if executor == "ray" else 0)
    assert {line["run_id"] for line in lines} == {report["run_id"]}
    assert CANARY not in (tmp_path / "log").read_text()


def test_a_run_of_several_verbs_is_one(tmp_path: Path) -> None:
    report, stderr = run_(project_of(tmp_path, "inline"), "run", "--log-json")
    lines = lines_of(stderr)
    verbs = [
        line["event"] for line in lines if line["shard"] is None and not line["event"].startswith("request")
    ]
    assert verbs == ["run.start", "vote.start", "vote.end", "fit.start", "fit.end", "run.end"]
    assert {line["run_id"] for line in lines} == {report["vote"]["run_id"]}


def test_without_being_asked_nothing_is_said_and_runs_are_still_told_apart(tmp_path: Path) -> None:
    root = project_of(tmp_path, "inline")
    first, stderr = run_(root, "vote", "--progress", "none", **{LOG: ""})
    second, _ = run_(root, "vote", **{LOG: ""})
    assert stderr == ""
    assert first["run_id"] != second["run_id"]


def test_what_fails_is_told_by_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with shard(Run("r", "-"), "1/2", task="quality") as told:
            told["counts"] = {"vote": 1}
            assert this_run() == Run("r", "-", "1/2")
            raise ValueError(CANARY)

    with pytest.raises(ValueError, match=CANARY):
        fail()
    start, failed = lines_of(capsys.readouterr().err)
    assert start["event"] == "shard.start"
    assert (failed["event"], failed["error"], failed["shard"], failed["counts"]) == (
        "shard.failed", "ValueError", "1/2", {"vote": 1}
    )  # fmt: skip
    assert CANARY not in str(failed)


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        ("rate_limit", "rate_limit"),
        (f"ValueError('{CANARY}')", "ValueError"),
        (f"KeyError: {CANARY}", "KeyError"),
        (f" {CANARY}", "unknown"),
        ("", "unknown"),
    ],
)
def test_of_a_cause_the_kind_alone_is_told(cause: str, kind: str) -> None:
    assert kind_of_error(cause) == kind


def test_where_lines_go_is_said_in_one_way(tmp_path: Path) -> None:
    assert target_of({}) is None
    assert target_of({LOG: "json"}) == target_of({LOG: "json:-"}) == "-"
    assert target_of({LOG: f"json:{tmp_path}/a"}) == f"{tmp_path}/a"
    with pytest.raises(InputError, match="write json, for lines on stderr, or json:PATH"):
        target_of({LOG: "logfmt"})


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    with (
        pytest.raises(InputError, match=r"there/log cannot be written"),
        shard(Run("r", f"{tmp_path}/there/log"), "1"),
    ):
        pass
