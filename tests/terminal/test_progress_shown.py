import json
import os
import pty
import subprocess
import sys
import time
from contextlib import suppress

from rich.console import Console

from promptlabel.pipeline.voting.progress import Snapshot
from promptlabel.terminal.progress import every, line, render

NOW = Snapshot(
    seconds=61.2345,
    votes=1200,
    total=40_000,
    rate=105.25,
    in_flight=64,
    calls=1321,
    errors={"rate_limit": 12, "server_error": 109},
    dead_letters={"refusal": 1},
    usd=0.12,
    projected_usd=4.0,
    seconds_left=368.6,
)


def shown(now):
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(render(now))
    return capture.get()


def test_the_bar_says_all_that_a_watcher_asks():
    text = shown(NOW)
    for part in (
        "1,200/40,000", "105/s", "0:06:09 left", "1,321 calls, 64 in flight", "$0.1200 of about $4.00",
        "tried again: server_error 109, rate_limit 12", "failed: refusal 1",
    ):  # fmt: skip
        assert part in text


def test_a_line_is_one_json_object_of_all_figures():
    told = json.loads(line(NOW, done=False))
    assert told.keys() == {"event", *Snapshot.__slots__}
    assert (told["event"], told["votes"], told["seconds_left"], told["errors"]["server_error"]) == (
        "progress", 1200, 368.6, 109,
    )  # fmt: skip
    assert json.loads(line(NOW, done=True))["event"] == "done"


def test_the_teller_tells_now_and_then_and_once_at_the_end():
    told = []
    with every(0.01, told.append):
        while len(told) < 3:
            time.sleep(0.005)
    assert told[-1] is True
    assert not any(told[:-1])


def test_vote_tells_machines_on_stderr_and_leaves_stdout_to_the_result(promptlabel, project):
    done = promptlabel("vote", "--progress", "json", "--json", cwd=project, check=False)
    lines = [json.loads(one) for one in done.stderr.splitlines()]
    last = lines[-1]
    result = json.loads(done.stdout)
    assert last["event"] == "done"
    cast = result["votes"] + result["abstains"] + result["malformed"] + result["errors"]
    assert last["votes"] == last["total"] == cast
    assert last["calls"] == result["calls"]


def test_vote_draws_a_bar_on_a_terminal_and_clears_it(project):
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "promptlabel", "vote", "--progress", "bar"]
    with subprocess.Popen(command, cwd=project, stderr=slave, stdout=subprocess.DEVNULL) as run:
        os.close(slave)
        drawn = b""
        with suppress(OSError):
            while piece := os.read(master, 65536):
                drawn += piece
        run.wait(60)
    os.close(master)
    assert b"votes" in drawn
    assert b"/s" in drawn
