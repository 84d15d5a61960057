from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_samples import RULE, TASK, a_trace, a_vote

from promptlabel.errors import InputError, StoreDamagedError, StoreError, StoreHeldError
from promptlabel.settings import Project, Settings
from promptlabel.store.connection import connect, stream
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.store.opening import open_store

HOLDER = """
import sys
from collections.abc import Iterator
from pathlib import Path
from promptlabel.store.duckdb_store import DuckDBStore
with DuckDBStore(Path(sys.argv[1]) / "s.duckdb", Path(sys.argv[1]) / "journal"):
    print("open", flush=True)
    sys.stdin.read()
"""


def opened(folder: Path) -> DuckDBStore:
    return DuckDBStore(folder / "s.duckdb", folder / "journal")


def test_a_store_held_by_another_process_is_refused_with_its_number(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreHeldError, match=f"process {holder.pid}") as caught:
            opened(tmp_path)
        assert caught.value.pid == holder.pid
        holder.communicate()
    with opened(tmp_path) as store:
        assert store.count_traces() == 0


def test_a_store_open_in_this_process_is_refused_too(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StoreHeldError, match=str(os.getpid())):
        opened(tmp_path)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/promptlabel-escaped.csv'",
        "ATTACH '/tmp/promptlabel-escaped.duckdb'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET threads = 1",
    ],
)
def test_sql_on_the_store_reaches_no_other_file(tmp_path: Path, sql: str) -> None:
    connection = connect(tmp_path / "s.duckdb")
    with pytest.raises(StoreError):
        list(stream(connection, sql))
    connection.close()


def test_a_file_that_is_no_store_is_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "s.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreDamagedError, match="doctor --repair"):
        opened(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be read or written"):
        opened(tmp_path / "file" / "below")


def test_a_project_opens_the_store_its_configuration_names(tmp_path: Path) -> None:
    with open_store(Project(tmp_path, Settings(store="elsewhere/votes.duckdb"))) as store:
        store.add_traces([a_trace(1)])
    assert (tmp_path / "elsewhere" / "votes.duckdb").is_file()
    assert (tmp_path / ".promptlabel" / "journal").is_dir()


def test_a_store_of_another_kind_is_refused_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"promptlabel\.yaml: store: .*mysql.*postgresql://"):
        open_store(Project(tmp_path, Settings(store="mysql://me@host/db")))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "small"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", mounted], check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield mounted
    subprocess.run(["umount", "-l", mounted], check=True)


def fill(store: DuckDBStore) -> tuple[int, StoreError]:
    """The number of votes acknowledged, and the error that ended it."""
    for first in range(0, 200_000, 500):
        try:
            store.add_votes([a_vote(number) for number in range(first, first + 500)])
        except StoreError as error:
            return first, error
    raise AssertionError("the disk was never full")


def test_a_full_disk_stops_the_store_and_loses_nothing_acknowledged(small_disk: Path) -> None:
    store = opened(small_disk)
    store.register_rules(TASK, [RULE])
    acknowledged, error = fill(store)
    assert acknowledged > 0
    assert "the disk is full" in str(error)
    with pytest.raises(StoreError, match="the disk is full"):
        store.spent()
    store.close()
    subprocess.run(["mount", "-o", "remount,size=128m", small_disk], check=True)
    with opened(small_disk) as again:
        keys = {vote.key for _, vote in again.votes(TASK)}
        assert {a_vote(number).key for number in range(acknowledged)} <= keys
        again.add_votes([a_vote(number) for number in range(500_000, 500_010)])
        assert again.verify().sound
