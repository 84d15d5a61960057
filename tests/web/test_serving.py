"""The served page as a process of its own: its address, Ctrl-C, and a kill in the middle of the work."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from promptlabel.errors import InputError
from promptlabel.pipeline.workspace import Workspace
from promptlabel.settings import Project, Settings
from promptlabel.store.opening import open_store
from promptlabel.web.serving import announce, serve

SERVER = """
import sys
from pathlib import Path
from promptlabel.pipeline.workspace import Workspace
from promptlabel.rules.loading import Task
from promptlabel.rules.spec import TaskSpec
from promptlabel.settings import Project, Settings
from promptlabel.store.opening import open_store
from promptlabel.web.serving import serve

project = Project(Path(sys.argv[1]), Settings())
task = Task(TaskSpec(task="quality", labels={"good": "", "bad": ""}), (), ())
with open_store(project) as store:
    serve(Workspace(project, store, (task,)), port=0, reviewer="anna", as_json="--json" in sys.argv)
"""


@contextmanager
def served(root: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the first line it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(root), *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def root(workspace: Workspace, tmp_path: Path) -> Path:
    """The folder of the project, its store closed."""
    workspace.store.close()
    return tmp_path


@contextmanager
def signed_in(line: str) -> Iterator[httpx.Client]:
    address = re.search(r"http://\S+/join/[\w-]+", line)
    assert address, line
    base = address.group().partition("/join")[0]
    with httpx.Client(base_url=base, follow_redirects=True, timeout=30) as client:
        assert client.get(address.group()).status_code == 200
        yield client


def label(client: httpx.Client, number: int) -> str:
    event = {"event_id": f"e{number}", "action": "label", "trace_id": f"chat-{number:03}", "label": "good"}
    reply = client.post("/api/tasks/quality/events", json={"events": [event]})
    (result,) = reply.json()["results"]
    assert result["outcome"] == "stored"
    return str(result["event_id"])


def stored(root: Path) -> list[str]:
    with open_store(Project(root, Settings())) as store:
        return [event.event_id for event in store.reviews("quality")]


def test_the_printed_address_answers_and_ctrl_c_ends_it_cleanly(root: Path) -> None:
    with served(root, "--json") as (process, line):
        with signed_in(line) as client:
            assert line.startswith('{"address":"http://127.0.0.1:')
            label(client, 0)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) == 0
    assert stored(root) == ["e0"]


def test_no_acknowledged_decision_is_lost_when_the_server_is_killed(root: Path) -> None:
    acknowledged: list[str] = []

    def work(client: httpx.Client, first: int) -> None:
        for number in range(first, 40, 4):
            try:
                acknowledged.append(label(client, number))
            except httpx.HTTPError:
                return

    with served(root) as (process, line), signed_in(line) as client:
        workers = [threading.Thread(target=work, args=(client, first)) for first in range(4)]
        for worker in workers:
            worker.start()
        while len(acknowledged) < 12:
            workers[0].join(0.001)
        process.kill()
        for worker in workers:
            worker.join()
    kept = stored(root)
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))
    assert len(kept) < 40


def test_a_port_that_is_taken_is_named(workspace: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{port}.*--port 0"):
            serve(workspace, port=port)


def test_each_invited_persons_address_is_printed_and_is_in_the_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    address, links = "http://127.0.0.1:1/join/first", {"ann": "http://127.0.0.1:1/join/second"}
    announce(address, links, as_json=False)
    printed = capsys.readouterr().out
    assert f"Review at {address}" in printed
    assert f"ann: {links['ann']}" in printed
    assert "works once" in printed
    announce(address, links, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"address": address, "invitations": links}


def test_a_name_that_cannot_be_shown_is_refused_before_anything_is_served(workspace: Any) -> None:
    with pytest.raises(InputError, match="printable"):
        serve(workspace, port=0, invited=["\u202eanna"])
