"""A store lent to other processes: who may use it, and what a kill of either side leaves."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import pytest
from store_samples import RULE, TASK, a_review, a_trace, a_vote, by_key

from promptlabel.errors import StoreError, StoreHeldError
from promptlabel.settings import Project, Settings
from promptlabel.store.borrowed import BorrowedStore
from promptlabel.store.contract import Store
from promptlabel.store.opening import open_store
from promptlabel.store.sharing import SOCKET, StoreServer

OWNER = """
import sys, time
from pathlib import Path
from promptlabel.settings import Project, Settings
from promptlabel.store.opening import open_store
from promptlabel.store.sharing import StoreServer

project = Project(Path(sys.argv[1]), Settings())
with open_store(project) as store, StoreServer(store, project.state):
    print("ready", flush=True)
    sys.stdin.read()
"""

VOTER = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from store_samples import a_vote, an_attempt
from promptlabel.settings import Project, Settings
from promptlabel.store.opening import open_store

with open_store(Project(Path(sys.argv[1]), Settings())) as store:
    for number in range(100_000):
        store.add_votes([a_vote(number)], [an_attempt(a_vote(number))])
        print(number, flush=True)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, Settings())


@pytest.fixture
def owner(project: Project) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the store and lends it."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(project.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def test_the_socket_is_its_owners_alone_and_goes_with_the_server(project: Project) -> None:
    with open_store(project) as store:
        with StoreServer(store, project.state):
            assert stat.S_IMODE((project.state / SOCKET).stat().st_mode) == 0o600
        assert not (project.state / SOCKET).exists()


def test_a_folder_whose_name_is_too_long_for_a_socket_works(tmp_path: Path) -> None:
    deep = Project(tmp_path / ("deep" * 30), Settings())
    with open_store(deep) as store, StoreServer(store, deep.state):
        place = (deep.state / SOCKET).resolve()
        with BorrowedStore(deep.state) as borrowed:
            assert borrowed.count_traces() == 0
    assert not place.exists()


def test_another_process_works_on_a_store_that_is_lent(
    project: Project, owner: subprocess.Popen[str]
) -> None:
    with open_store(project) as store:
        assert isinstance(store, BorrowedStore)
        store.add_traces(map(a_trace, range(2000)))
        rows = store.traces()
        assert next(rows).trace_id == "trace-00000"
        cast("Iterator[object]", rows).close()  # type: ignore[attr-defined]
        assert store.count_traces() == 2000
    owner.communicate("")
    with open_store(project) as store:
        assert store.count_traces() == 2000


def test_without_a_lender_the_holder_is_named(project: Project, owner: subprocess.Popen[str]) -> None:
    (project.state / SOCKET).unlink()
    with pytest.raises(StoreHeldError, match=f"process {owner.pid}"):
        open_store(project)


def test_a_dead_lenders_socket_is_in_nobodys_way(project: Project, owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.wait()
    assert (project.state / SOCKET).exists()
    with (
        open_store(project) as store,
        StoreServer(store, project.state),
        BorrowedStore(project.state) as other,
    ):
        assert other.count_traces() == 0


def test_nothing_that_is_no_method_of_a_store_can_be_called(project: Project) -> None:
    with open_store(project) as store, StoreServer(store, project.state):
        end = socket.socket(socket.AF_UNIX)
        end.connect(str(project.state / SOCKET))
        with Connection(end.detach()) as connection:
            for method in ("close", "__class__", "_connection", "verify"):
                connection.send((method, (), {}))
                kind, error = connection.recv()
                assert kind == "error"
                assert f"a store has no {method}" in str(error)
        assert store.count_traces() == 0


def test_rows_that_break_off_are_stored_not_at_all_whoever_breaks_them_off(project: Project) -> None:
    def broken() -> Iterator[object]:
        yield from map(a_trace, range(1500))
        raise KeyError("ours")

    with open_store(project) as store, StoreServer(store, project.state):
        with BorrowedStore(project.state) as other:
            with pytest.raises(KeyError, match="ours"):
                other.add_traces(broken())
            assert other.count_traces() == 0
        end = socket.socket(socket.AF_UNIX)
        end.connect(str(project.state / SOCKET))
        with Connection(end.detach()) as connection:
            connection.send(("add_traces", (), {}))
            connection.send(("rows", [a_trace(1)]))
        time.sleep(0.2)
        assert store.count_traces() == 0


def test_errors_travel_with_all_their_faults(project: Project) -> None:
    from promptlabel.errors import Fault, InputError

    error = InputError([Fault("one", file="a", line=3), Fault("two", key="k")])
    assert pickle.loads(pickle.dumps(error)).faults == error.faults  # noqa: S301


def test_a_lender_that_is_killed_loses_no_acknowledged_vote(
    project: Project, owner: subprocess.Popen[str]
) -> None:
    acknowledged: list[int] = []
    with open_store(project) as store:
        killer = threading.Timer(1.0, owner.send_signal, [signal.SIGKILL])
        killer.start()
        with pytest.raises(StoreError, match="has ended: nothing acknowledged is lost"):
            vote_on(store, acknowledged)
        with pytest.raises(StoreError, match="has ended"):
            store.spent()
        killer.join()
    owner.wait()
    assert len(acknowledged) > 100
    with open_store(project) as store:
        assert stored(store) >= {by(number) for number in acknowledged}
        assert len(stored(store)) <= len(acknowledged) + 1


def test_a_borrower_that_is_killed_loses_no_acknowledged_vote(
    project: Project, owner: subprocess.Popen[str]
) -> None:
    tests = str(Path(__file__).parents[1])
    voter = subprocess.Popen(
        [sys.executable, "-c", VOTER, str(project.root), tests], stdout=subprocess.PIPE, text=True
    )
    assert voter.stdout is not None
    acknowledged = [int(voter.stdout.readline()) for _ in range(200)]
    os.kill(voter.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in voter.communicate()[0].split()]
    with open_store(project) as store:
        assert store.add_review(a_review(1))
        found = stored(store)
        assert found >= {by(number) for number in acknowledged}
        assert len(found) <= len(acknowledged) + 1
        assert store.spent().calls == len(found)
    owner.communicate("")
    with open_store(project) as store:
        assert len(store.reviews(TASK)) == 1
        assert stored(store) == found


def vote_on(store: Store, acknowledged: list[int]) -> None:
    for number in range(100_000):
        store.add_votes([a_vote(number)])
        acknowledged.append(number)


def by(number: int) -> str:
    return a_vote(number).key


def stored(store: Store) -> set[str]:
    store.register_rules(TASK, [RULE])
    return set(by_key([vote for _, vote in store.votes(TASK)]))


def test_a_request_that_is_served_is_finished_before_the_server_closes(project: Project) -> None:
    with open_store(project) as store:
        server = StoreServer(store, project.state)
        borrowed = BorrowedStore(project.state)
        writers = [
            threading.Thread(
                target=lambda first=first: [borrowed.add_votes([a_vote(first + n)]) for n in range(20)]
            )
            for first in (0, 100, 200)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        server.close()
        with pytest.raises(StoreError):
            borrowed.count_traces()
        borrowed.close()
        assert len(stored(store)) == 60
