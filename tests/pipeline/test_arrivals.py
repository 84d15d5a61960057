"""Files that come into a folder, by a clock of our own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from promptlabel.errors import InputError, StoreHeldError
from promptlabel.pipeline.arrivals import QUIET, QUIET_MID_LINE, Arrivals, watch
from promptlabel.pipeline.ingest import ingest
from promptlabel.store.duckdb_store import DuckDBStore

TRACE = '{"trace_id": "%s", "input": "hello"}\n'


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_file_is_taken_once_it_is_quiet_and_again_when_it_has_changed(tmp_path: Path, clock: Clock) -> None:
    arrivals, file = Arrivals(tmp_path, clock), tmp_path / "day" / "a.jsonl"
    file.parent.mkdir()
    file.write_text(TRACE % "a")
    assert arrivals.ready() == []
    clock.now = QUIET
    assert arrivals.ready() == [file]
    arrivals.took(file)
    clock.now += 99
    assert arrivals.ready() == []
    file.write_text(TRACE % "a" + TRACE % "b")
    assert arrivals.ready() == []
    clock.now += QUIET
    assert arrivals.ready() == [file]


def test_a_file_that_grows_waits_and_one_that_ends_in_a_line_waits_longer(
    tmp_path: Path, clock: Clock
) -> None:
    arrivals, file = Arrivals(tmp_path, clock), tmp_path / "a.jsonl"
    for size in range(1, 6):
        file.write_text("x" * size)
        assert arrivals.ready() == []
        clock.now += QUIET
    clock.now += QUIET_MID_LINE - 2 * QUIET
    assert arrivals.ready() == []
    clock.now += QUIET
    assert arrivals.ready() == [file]


def test_other_files_are_left_alone(tmp_path: Path, clock: Clock) -> None:
    arrivals = Arrivals(tmp_path, clock)
    for name in (".a.jsonl", "a.jsonl.tmp", "notes.txt", ".git/a.json", "empty.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("" if name == "empty.jsonl" else "{}\n")
    arrivals.ready()
    clock.now = 999
    assert arrivals.ready() == []


def test_a_held_store_makes_files_wait_and_a_faulty_one_is_told_once(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n")
    (tmp_path / "b.jsonl").write_text("{}\n")
    tried: list[str] = []

    def take(path: Path) -> None:
        tried.append(path.name)
        if len(tried) == 1:
            raise StoreHeldError("store", 1)
        if path.name == "a.jsonl":
            raise InputError("not a trace")

    found = list(islice(watch(tmp_path, take, clock=clock, sleep=clock.sleep), 2))
    assert [(path.name, type(error)) for path, error in found] == [
        ("a.jsonl", InputError),
        ("b.jsonl", type(None)),
    ]
    assert tried == ["a.jsonl", "a.jsonl", "b.jsonl"]


def test_a_file_that_is_being_written_is_never_half_read(tmp_path: Path, clock: Clock) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    lines = [TRACE % number for number in range(200)]

    def writing() -> Iterator[None]:
        with (inbox / "a.jsonl").open("w") as file:
            for line in lines:
                for half in (line[:9], line[9:]):
                    file.write(half)
                    file.flush()
                    yield

    writer = writing()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        next(writer, None)

    with DuckDBStore(tmp_path / "s.duckdb", tmp_path / "journal") as store:
        counts: list[int] = []

        def take(path: Path) -> None:
            counts.append(ingest(store, [path]).traces.added)

        path, error = next(watch(inbox, take, clock=clock, sleep=sleep))
        assert (path.name, error, counts) == ("a.jsonl", None, [200])


def test_the_verb_takes_what_is_there_and_what_comes(project: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.jsonl").write_text(TRACE % "first")
    command = [
        sys.executable,
        "-m",
        "promptlabel",
        "ingest",
        "--watch",
        str(inbox),
        "--project",
        str(project),
        "--json",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as one:
        assert one.stdout is not None
        limit = threading.Timer(100, one.kill)
        limit.start()
        assert '"traces":{"added":1,"present":0}' in one.stdout.readline()
        (inbox / "b.jsonl").write_text(TRACE % "first" + TRACE % "second")
        assert '"traces":{"added":1,"present":1}' in one.stdout.readline()
        one.send_signal(signal.SIGINT)
        assert one.wait() == 0
        limit.cancel()
