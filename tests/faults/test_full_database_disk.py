"""A shared store whose server runs out of disk, for its tables or for its write-ahead log, and gets it back."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from postgres_server import OWNER, Server, programs, temporary_folder
from store_samples import TASK, a_review, a_rule, a_trace, a_vote, an_attempt

from promptlabel.errors import StoreError
from promptlabel.store.contract import Store

psycopg = pytest.importorskip("psycopg", reason="needs the postgres extra")

from promptlabel.store.postgres.postgres_store import PostgresStore  # noqa: E402

PATIENCE = 4.0
SMALL, LARGE = "48m", "400m"


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small disk of its own, which `grow` makes larger."""
    if os.getuid() != 0 or programs() is None:
        pytest.skip("needs root, to mount a small disk, and PostgreSQL")
    with temporary_folder() as folder:
        place = Path(folder) / "disk"
        place.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=0700", "tmpfs", place],
            capture_output=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip("may not mount a small disk here")
        shutil.chown(place, OWNER, OWNER)
        yield place
        subprocess.run(["umount", "--lazy", place], check=True)


def grow(disk: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,size={LARGE}", disk], check=True)


@pytest.fixture
def server() -> Iterator[Server]:
    with temporary_folder() as folder:
        made = Server(Path(folder), max_wal_size="32MB", min_wal_size="32MB")
        yield made
        made.stop()


def long_text(characters: int) -> str:
    """Text that no server can compress, and soon knows that: three bytes a character."""
    return "".join(
        chr(0x4E00 + number % 20_000) for number in array("H", secrets.token_bytes(2 * characters))
    )


def fill_up(store: Store) -> tuple[int, str]:
    """How many votes and decisions were acknowledged before the disk was full, and what was said then."""
    acknowledged = 0
    store.register_rules(TASK, [a_rule()])
    try:
        for number in range(100_000):
            vote = replace(a_vote(number), rationale=long_text(100_000))
            store.add_votes([vote], [an_attempt(vote)])
            store.settle()
            store.add_review(a_review(number))
            acknowledged = number + 1
    except StoreError as error:
        return acknowledged, str(error)
    raise AssertionError("the disk was never full")


def has_all(store: Store, acknowledged: int) -> None:
    """Every acknowledged vote and decision is there once, and more goes in."""
    store.settle()
    votes = {vote.trace_id for _, vote in store.votes(TASK)}
    events = [event.event_id for event in store.reviews(TASK)]
    expected = [f"trace-{number:05d}" for number in range(acknowledged)]
    assert votes.issuperset(expected)
    assert len(events) == len(set(events))
    assert set(events).issuperset(f"event-{number}" for number in range(acknowledged))
    assert store.spent().calls == len(votes)
    assert store.add_review(a_review(99_999))


def may_close(store: Store) -> None:
    with suppress(StoreError):
        store.close()


@pytest.mark.slow
def test_no_room_for_tables(server: Server, disk: Path, tmp_path: Path) -> None:
    server.start()
    with psycopg.connect(server.address(), autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}'".encode())
        connection.execute("ALTER ROLE postgres SET default_tablespace = small")
    store = PostgresStore(server.address(), tmp_path / "journals", patience=PATIENCE)
    store.add_traces(map(a_trace, range(10)))
    acknowledged, said = fill_up(store)
    assert acknowledged > 10
    assert "the disk is full: nothing acknowledged is lost; free some space and run this again" in said
    with pytest.raises(StoreError, match="disk is full"):
        store.add_traces([a_trace(11, input=long_text(3_000_000))])
    may_close(store)
    with pytest.raises(StoreError, match="disk is full"):
        PostgresStore(server.address(), tmp_path / "journals", patience=PATIENCE)
    grow(disk)
    with PostgresStore(server.address(), tmp_path / "journals", patience=PATIENCE) as again:
        assert again.recovered > 0
        assert again.count_traces() == 10
        has_all(again, acknowledged)


@pytest.mark.slow
def test_no_room_for_the_write_ahead_log(server: Server, disk: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-a", server.data / "pg_wal", disk], check=True)
    shutil.rmtree(server.data / "pg_wal")
    (server.data / "pg_wal").symlink_to(disk / "pg_wal")
    server.start()
    store = PostgresStore(server.address(), tmp_path / "journals", patience=PATIENCE)
    (disk / "ballast").write_bytes(b"0" * (shutil.disk_usage(disk).free - (1 << 20)))
    acknowledged, said = fill_up(store)
    assert acknowledged > 10
    assert "nothing acknowledged is lost" in said or "cannot be reached" in said
    may_close(store)
    (disk / "ballast").unlink()
    grow(disk)
    server.stop()
    server.start()
    with PostgresStore(server.address(), tmp_path / "journals", patience=PATIENCE) as again:
        has_all(again, acknowledged)
