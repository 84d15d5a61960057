"""What a month of traces takes: constants measured here, a simulation held to other measurements, and what follows.

First each piece of work is timed alone: asking, rules, writing to PostgreSQL, label model, queue. From these times
alone a simulation says what happens where they meet: with 256 requests open to a slow model, with several writers on
one database. Both are then done for real, and stand side by side. Last come 1e6, 1e8 and 1e10 traces a month.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import bench_engine
import bench_scale
import bench_store
from capacity_model import Machine, Step, Thread, Worker, rate, seconds_for
from postgres_server import Server, programs, temporary_folder

MONTH = 30 * 24 * 3600.0
ROWS_A_COMMIT = 8192
IN_FLIGHT = 64
RULES = 5
AT_ONCE, LATENCY = 256, 0.1


@dataclass(frozen=True)
class Constants:
    """What one piece of work takes here: seconds of a processor, or bytes.

    Attributes:
        start: of a verb.
        ask: an item of `vote`, from rendering to the durable vote.
        rule: a vote of a code rule, read and written, embedded store.
        write, insert: a vote, in the process that writes it and in PostgreSQL.
        fit, queue: a trace.
        trace_bytes, vote_bytes: on the disk, embedded store.
        shared_vote_bytes: on the disk of PostgreSQL.
        fit_memory, queue_memory: bytes of memory a trace.
    """

    start: float
    ask: float
    rule: float
    write: float
    insert: float
    fit: float
    queue: float
    trace_bytes: float
    vote_bytes: float
    shared_vote_bytes: float
    fit_memory: float
    queue_memory: float


# --- constants
@dataclass(frozen=True)
class Asking:
    """What `vote` takes: seconds of a processor to start and for an item."""

    start: float
    item: float


def asking(items: int) -> Asking:
    """The verb against a server that answers at once: it waits for nothing, so that time is computing."""
    with bench_engine.mock(0.0) as url:
        runs = [bench_engine.vote(url, items, IN_FLIGHT)[0] for _ in range(3)]
    return Asking(median(run.start for run in runs), median((run.cpu - run.start) / items for run in runs))


def local_work(folder: Path, traces: int) -> dict[str, dict[str, float]]:
    """What rules, label model and queue take on an embedded store, by name."""
    root = folder / "embedded"
    bench_scale.make(root, traces, None, {})
    bare = _size(root)
    found = {name: bench_scale.measured(root, name) for name in ("heuristics", "fit", "queue")}
    found["disk"] = {"trace": bare / traces, "all": _size(root) / traces}
    return found


def _size(root: Path) -> int:
    return sum(path.stat().st_size for path in (root / ".promptlabel").rglob("*") if path.is_file())


# --- the simulation beside what is measured
def asked(of: Asking, items: int, latency: float, at_once: int) -> float:
    """Items a second of one `vote`, process start included, as simulated."""
    thread = Thread(Machine(1))
    steps = [Step(latency), Step(of.item, thread)] if latency else [Step(of.item, thread)]
    return items / seconds_for(items, [Worker(steps, start=of.start) for _ in range(at_once)])


def storing(of: bench_store.Rates, writers: int, processors: float) -> float:
    """Votes a second of so many writers beside their database on one machine, as simulated."""
    return rate(list(_writers(of, writers, Machine(processors))))


def _writers(of: bench_store.Rates, writers: int, machine: Machine) -> Iterator[Worker]:
    """Each writer makes rows, then inserts them; PostgreSQL takes those of one table one commit after the other."""
    inserting = Thread(machine)
    for _ in range(writers):
        made = Step(of.writer / 1e6 * ROWS_A_COMMIT, Thread(machine))
        yield Worker([made, Step(of.server / 1e6 * ROWS_A_COMMIT, inserting)], ROWS_A_COMMIT)


def row(what: str, simulated: float, measured: float) -> str:
    """A line that sets both side by side."""
    return f"{what:<52}{simulated:>12,.0f}{measured:>12,.0f}{simulated / measured - 1:>+9.0%}"


# --- a month
@dataclass(frozen=True)
class Month:
    """What a team sends through it; money for a model's votes by tokens."""

    traces: float
    code_rules: int = RULES
    prompt_rules: int = 3
    tokens_in: float = 600
    tokens_out: float = 4
    usd_in: float = 0.10
    usd_out: float = 0.40
    seconds_a_review: float = 20.0


def machines(month: Month, of: Constants, hours: float) -> dict[str, float]:
    """What the month takes, a night of so many hours a day being for voting."""
    busy = 30 * hours * 3600
    calls = month.traces * month.prompt_rules
    votes = calls + month.traces * month.code_rules
    return {
        "traces/s, all day": month.traces / MONTH,
        "calls/s, at night": calls / busy,
        "senders (cores)": calls * of.ask / busy,
        "code rules (cores)": month.traces * month.code_rules * of.rule / busy,
        "PostgreSQL (cores)": votes * of.insert / busy,
        "label model, hours": month.traces * of.fit / 3600,
        "queue, hours": month.traces * of.queue / 3600,
        "memory of fit, GB": month.traces * of.fit_memory / 1e9,
        "memory of queue, GB": month.traces * of.queue_memory / 1e9,
        "embedded store, GB": (month.traces * of.trace_bytes + votes * of.vote_bytes) / 1e9,
        "PostgreSQL, GB": (month.traces * of.trace_bytes + votes * of.shared_vote_bytes) / 1e9,
        "models, USD": calls * (month.tokens_in * month.usd_in + month.tokens_out * month.usd_out) / 1e6,
        "reviewers for 5 %": month.traces * 0.05 * month.seconds_a_review / (30 * 6 * 3600),
        "share for 3 reviewers": min(1.0, 3 * 30 * 6 * 3600 / month.seconds_a_review / month.traces),
    }


def told(value: float) -> str:
    """A figure in two or three digits, whatever its size."""
    if value >= 1e6:
        return f"{value:.2g}".replace("e+0", "e").replace("e+", "e")
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def wall(of: Constants) -> Iterator[str]:
    """Machines whose two processors run code rules, on one database: what they cast together, until it takes no more."""
    for number in (1, 2, 4, 8, 16):
        inserting = Thread(Machine(1))
        insert = Step(of.insert * ROWS_A_COMMIT, inserting)
        workers = [
            Worker([Step((of.rule + of.write) * ROWS_A_COMMIT, Thread(machine)), insert], ROWS_A_COMMIT)
            for machine in (Machine(2) for _ in range(number))
            for _ in range(2)
        ]
        together = rate(workers, rounds=60)
        yield f"{number:>10}{together:>14,.0f}{together / RULES * 86_400:>18.2g}"


@contextmanager
def database() -> Iterator[Server]:
    """A server of its own."""
    if programs() is None:
        sys.exit("PostgreSQL is not installed (apt-get install postgresql)")
    with temporary_folder() as place:
        server = Server(Path(place))
        server.start()
        yield server
        server.stop()


def measure(given: argparse.Namespace, folder: Path) -> Constants:
    """The constants; the simulation's own tables are printed on the way."""
    ask = asking(given.items)
    print(f"{'items/s of one vote':<52}{'simulated':>12}{'measured':>12}")
    with bench_engine.mock(LATENCY) as url:
        runs = [bench_engine.vote(url, given.items, AT_ONCE)[0].rate for _ in range(3)]
    print(
        row(f"{AT_ONCE} open, {LATENCY:g} s", asked(ask, given.items, LATENCY, AT_ONCE), median(runs)),
        flush=True,
    )
    with bench_engine.mock(LATENCY) as url:
        few = [bench_engine.vote(url, given.items // 4, AT_ONCE // 4)[0].rate for _ in range(3)]
    print(
        row(
            f"{AT_ONCE // 4} open, {LATENCY:g} s",
            asked(ask, given.items // 4, LATENCY, AT_ONCE // 4),
            median(few),
        )
    )
    print("votes/s of writers beside PostgreSQL, together")
    with database() as server:
        one = bench_store.rates(server, folder / "one", 1, given.votes)
        print(row("1 writer", storing(one, 1, os.cpu_count() or 1), one.together), flush=True)
        for writers in (2, 4):
            several = bench_store.rates(server, folder / f"{writers}", writers, given.votes)
            print(
                row(f"{writers} writers", storing(one, writers, os.cpu_count() or 1), several.together),
                flush=True,
            )
    work = local_work(folder, given.traces)
    more = local_work(folder / "more", 2 * given.traces)
    return constants(ask, one, work, more, given.traces)


def constants(
    ask: Asking,
    one: bench_store.Rates,
    work: dict[str, dict[str, float]],
    more: dict[str, dict[str, float]],
    traces: int,
) -> Constants:
    """Slopes between two sizes, so that what a process takes to start counts nowhere."""

    def slope(name: str, of: str) -> float:
        return (more[name][of] - work[name][of]) / traces

    return Constants(
        start=ask.start,
        ask=ask.item,
        rule=slope("heuristics", "cpu") / RULES,
        write=one.writer / 1e6,
        insert=one.server / 1e6,
        fit=slope("fit", "cpu"),
        queue=slope("queue", "cpu"),
        trace_bytes=more["disk"]["trace"],
        vote_bytes=(more["disk"]["all"] - more["disk"]["trace"]) / RULES,
        shared_vote_bytes=one.bytes,
        fit_memory=slope("fit", "peak") * 1024**2,
        queue_memory=slope("queue", "peak") * 1024**2,
    )


def main() -> None:
    """Nothing; prints what was measured, how the simulation does, and what follows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000, help="calls of a `vote`")
    parser.add_argument("--votes", type=int, default=200_000, help="votes a writer")
    parser.add_argument("--traces", type=int, default=200_000, help="traces of the smaller of two stores")
    parser.add_argument("--hours", type=float, default=8.0, help="of a night in which votes are cast")
    given = parser.parse_args()
    print(
        f"{os.cpu_count()} processors; every constant is measured alone, every simulated figure follows from them"
    )
    with tempfile.TemporaryDirectory() as folder:
        of = measure(given, Path(folder))
    print("\nconstants: " + json.dumps({name: float(f"{value:.3g}") for name, value in asdict(of).items()}))
    months = [Month(10.0**power) for power in (6, 8, 10)]
    found = [machines(month, of, given.hours) for month in months]
    print(
        f"\n{'a month of traces':<28}"
        + "".join(f"{f'1e{round(math.log10(month.traces))}':>12}" for month in months)
    )
    for name in found[0]:
        print(f"{name:<28}" + "".join(f"{told(one[name]):>12}" for one in found))
    print("\nvoting machines of 2 processors, code rules, one PostgreSQL")
    print(f"{'machines':>10}{'votes/s':>14}{'traces a day':>18}")
    for line in wall(of):
        print(line, flush=True)


if __name__ == "__main__":
    main()
