"""The shared store under load: votes a second a writer, then writers and reviewers while PostgreSQL is killed."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from faults.shared import CODE, Load, rage
from postgres_server import Server, programs, temporary_folder
from store_samples import TASK, a_code_vote

from promptlabel.store.postgres.postgres_store import PostgresStore
from promptlabel.store.postgres.session import Address, connect

VOTES_A_CALL = 512


def write(address: str, folder: str, number: int, votes: int, ready: object, results: object) -> None:
    """A writer whose votes are made before the clock starts: what is timed is from records to a durable commit."""
    made = [a_code_vote(number * 10_000_000 + one, rule=CODE) for one in range(votes)]
    with PostgresStore(address, Path(folder) / f"machine-{number}") as store:
        ready.wait()
        began, cpu = time.monotonic(), time.process_time()
        for first in range(0, votes, VOTES_A_CALL):
            store.add_votes(made[first : first + VOTES_A_CALL])
        store.settle()
        results.put((time.monotonic() - began, time.process_time() - cpu))


@dataclass(frozen=True)
class Rates:
    """Votes a second of each writer; microseconds of a writer's and of PostgreSQL's processors a vote; bytes a vote."""

    each: list[float]
    writer: float
    server: float
    bytes: float

    @property
    def together(self) -> float:
        return sum(self.each)


def rates(server: Server, folder: Path, writers: int, votes: int) -> Rates:
    """What so many writers at once come to."""
    address = server.new_schema()
    with PostgresStore(address, folder / "first") as store:
        store.register_rules(TASK, [CODE])
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(writers), context.Queue()
    workers = [
        context.Process(target=write, args=(address, str(folder), number, votes, ready, results))
        for number in range(writers)
    ]
    for worker in workers:
        worker.start()
    before = cpu_seconds(server)
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    inserted = cpu_seconds(server) - before
    with PostgresStore(address, folder / "first") as store:
        counted = store.count_votes(TASK)[CODE.rule, CODE.model]
        assert counted == {"vote": writers * votes}, counted
    all_votes = writers * votes
    return Rates(
        each=[votes / wall for wall, _ in found],
        writer=sum(cpu for _, cpu in found) / all_votes * 1e6,
        server=inserted / all_votes * 1e6,
        bytes=bytes_a_vote(address, all_votes),
    )


def cpu_seconds(server: Server) -> float:
    """Seconds of processors that PostgreSQL has taken in all its processes, those that have ended too."""
    first = (server.data / "postmaster.pid").read_text().splitlines()[0]
    ticks = sum(map(int, _stat(Path("/proc", first))[11:15]))
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (fields := _stat(path))[1] == first:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(process: Path) -> list[str]:
    """The fields of a process's `stat` after its name: state, parent, and so on."""
    return (process / "stat").read_text().rpartition(")")[2].split()


def bytes_a_vote(address: str, votes: int) -> float:
    """What a vote of a code rule takes on the disk, its index included."""
    with connect(Address(address)) as connection:
        (size,) = connection.execute("SELECT pg_total_relation_size('cast_votes')").fetchone() or (0,)
    return size / votes


def main() -> None:
    """Nothing; prints two tables, and exits with 1 where something was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, default=200_000, help="votes a writer")
    parser.add_argument("--seconds", type=float, default=90.0, help="how long writers and reviewers work")
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if programs() is None:
        sys.exit("PostgreSQL is not installed (apt-get install postgresql)")
    with temporary_folder() as place, tempfile.TemporaryDirectory() as work:
        server = Server(Path(place))
        server.start()
        print(f"{os.cpu_count()} processors, PostgreSQL with fsync on and synchronous commits")
        for writers in (1, 2, 4):
            found = rates(server, Path(work) / f"{writers}", writers, given.votes)
            each = ", ".join(f"{rate:,.0f}" for rate in found.each)
            print(
                f"{writers} writers: {each} votes/s each, {found.together:,.0f} together; a vote takes"
                f" {found.writer:.0f} us of a writer's CPU, {found.server:.0f} of PostgreSQL's, {found.bytes:.0f} bytes"
            )
        load = Load(seconds=given.seconds, kills=given.kills)
        folder = Path(work) / "rage"
        folder.mkdir()
        verdict = rage(server, folder, load, random.Random(given.seed))
        server.stop()
    print(f"{load.writers} writers, {load.reviewers} reviewers, {load.kills} kills -9, {load.seconds:.0f} s:")
    print(verdict)
    sys.exit(not verdict.sound)


if __name__ == "__main__":
    main()
