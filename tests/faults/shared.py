"""Writers and reviewers on one PostgreSQL that is killed under them, judged by what each was told was done."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final

import orjson
from postgres_server import Server
from store_samples import RULE, START, TASK, a_code_vote, a_rule, a_trace, a_vote, an_attempt

from promptlabel.records import Pick, ReviewEvent
from promptlabel.store.contract import LeaseRequest
from promptlabel.store.postgres.postgres_store import PostgresStore

CODE: Final = a_rule("code")
VOTES_A_CALL: Final = 2000
PAID_A_CALL: Final = 20
LEASE_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Load:
    """Who works how long on how many traces, and how often the server is killed meanwhile."""

    writers: int = 4
    reviewers: int = 8
    seconds: float = 60.0
    kills: int = 4
    items: int = 20_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was acknowledged, and what of it was found wrong."""

    votes: int
    paid: int
    decisions: int
    leases: int
    lost: int
    doubled: int
    double_leases: int
    miscounted_calls: int
    longest_stall: float

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or counted wrongly."""
        return not (self.lost or self.doubled or self.double_leases or self.miscounted_calls)


class Told:
    """A file of what this process was told was done, each line on the disk before the next thing."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, **entry: object) -> None:
        os.write(self._file, orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        os.fsync(self._file)


def write_votes(address: str, folder: Path, number: int, until: float) -> None:
    """A writer: free votes by the thousand, half of each call also written by its neighbour, and paid ones."""
    told = Told(folder / f"writer-{number}.jsonl")
    with PostgresStore(address, folder / f"machine-{number}") as store:
        first = number * 10_000_000
        while time.time() < until:
            began = time.monotonic()
            shared = range(first % 10_000_000, first % 10_000_000 + VOTES_A_CALL // 2)
            free = [*shared, *range(first + VOTES_A_CALL // 2, first + VOTES_A_CALL)]
            paid = range(first, first + PAID_A_CALL)
            store.add_votes([a_code_vote(one, rule=CODE) for one in free])
            votes = [a_vote(one) for one in paid]
            store.add_votes(votes, list(map(an_attempt, votes)))
            store.settle()
            told.note(free=free, paid=[*paid], seconds=time.monotonic() - began)
            first += VOTES_A_CALL


def review(address: str, folder: Path, number: int, until: float) -> None:
    """A reviewer on a server of their own: leases a few traces, decides them, asks again."""
    told, chance = Told(folder / f"reviewer-{number}.jsonl"), random.Random(number)
    with PostgresStore(address, folder / f"desk-{number}") as store:
        waiting = [pick.trace_id for pick in store.queue(TASK, undecided=True)]
        while time.time() < until and waiting:
            at = chance.randrange(min(50, len(waiting)))
            wanted = tuple(waiting[at : at + 6])
            asked = LeaseRequest(TASK, f"reviewer-{number}", dict.fromkeys(wanted, 1), 3, LEASE_SECONDS)
            began = time.monotonic()
            granted = store.lease(asked)
            told.note(leased=granted, since=time.monotonic(), until=began + LEASE_SECONDS)
            waiting = [name for name in waiting if name not in wanted]
            for name in granted:
                began = time.monotonic()
                event = ReviewEvent(
                    f"{name} by {number}", name, TASK, f"reviewer-{number}", "label", START, "good"
                )
                store.add_review(event)
                told.note(decided=name, event=event.event_id, seconds=time.monotonic() - began)


def rage(server: Server, folder: Path, load: Load, chance: random.Random) -> Verdict:
    """What came of the load, with the server killed at random moments and started again at once."""
    address = server.new_schema()
    with PostgresStore(address, folder / "queue") as store:
        store.register_rules(TASK, [RULE, CODE])
        store.add_traces(map(a_trace, range(load.items)))
        picks = [Pick(f"trace-{one:05d}", TASK, "audit", 0.5, 0.5, "why") for one in range(load.items)]
        store.save_queue(TASK, picks)
    started = time.time()
    workers = list(_workers(address, folder, load, started + load.seconds))
    moments = sorted(chance.uniform(0.1, 0.9) * load.seconds for _ in range(load.kills))
    for moment in moments:
        time.sleep(max(0.0, started + moment - time.time()))
        server.kill()
        server.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0, f"{worker.name} ended with {worker.exitcode}"
    return judge(address, folder)


def judge(address: str, folder: Path) -> Verdict:
    """The verdict on what the processes noted."""
    notes = [orjson.loads(line) for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    free = {one for note in notes for one in note.get("free", ())}
    paid = {one for note in notes for one in note.get("paid", ())}
    decided = [note["event"] for note in notes if "event" in note]
    with PostgresStore(address, folder / "judge") as store:
        kept = Counter(vote.key for _, vote in store.votes(TASK))
        reviews = store.reviews(TASK)
        calls = store.spent().calls
        paid_rows = sum(store.count_votes(TASK)[RULE.rule, RULE.model].values())
    wanted = {a_code_vote(one, rule=CODE).key for one in free} | {a_vote(one).key for one in paid}
    events, traces = {event.event_id for event in reviews}, Counter(event.trace_id for event in reviews)
    return Verdict(
        votes=len(free),
        paid=len(paid),
        decisions=len(decided),
        leases=sum(len(note.get("leased", ())) for note in notes),
        lost=len(wanted - kept.keys()) + len(set(decided) - events),
        doubled=sum(times - 1 for counted in (kept, traces) for times in counted.values()),
        double_leases=_double_leases(folder),
        miscounted_calls=abs(calls - paid_rows),
        longest_stall=max(note.get("seconds", 0.0) for note in notes),
    )


def _double_leases(folder: Path) -> int:
    """How often two reviewers had a trace at the same time."""
    held: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for path in folder.glob("reviewer-*.jsonl"):
        for note in map(orjson.loads, path.read_bytes().splitlines()):
            for name in note.get("leased", ()):
                held[name].append((note["since"], note["until"], path.stem))
    return sum(_overlaps(sorted(leases)) for leases in held.values())


def _overlaps(leases: list[tuple[float, float, str]]) -> int:
    return sum(later[0] < earlier[1] and later[2] != earlier[2] for earlier, later in pairwise(leases))


def _workers(address: str, folder: Path, load: Load, until: float) -> Iterator[SpawnProcess]:
    roles: Iterable[tuple[object, int]] = [
        *((write_votes, one) for one in range(load.writers)),
        *((review, one) for one in range(load.reviewers)),
    ]
    context = multiprocessing.get_context("spawn")
    for role, number in roles:
        worker = context.Process(target=role, args=(address, folder, number, until))  # type: ignore[arg-type]
        worker.start()
        yield worker
