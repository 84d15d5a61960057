"""The long form: a storm with as many faults and kills as asked for, every other trouble many times, one table."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from faults import scenarios
from faults.oracle import Findings
from faults.project import Project
from faults.scenarios import Trial
from faults.server import serving
from faults.storm import CONCURRENCY, RATES, TIMEOUT, Storm

Scenario = Callable[[Path], Trial]


def troubles(rounds: int, chance: random.Random) -> Iterator[tuple[str, Scenario]]:
    """Every scenario, with its name, so many times."""
    for _ in range(rounds):
        for fault in scenarios.STOPS:
            for after in (0, chance.randrange(1, 100)):
                yield f"stop at {fault}", lambda root, f=fault, a=after: scenarios.permanent(root, f, a)
        yield "400", scenarios.bad_request
        for number in (signal.SIGINT, signal.SIGTERM):
            yield number.name, lambda root, n=number: scenarios.drained(root, n)
        yield "two runners", scenarios.two_runners
        yield "frozen", scenarios.frozen_past_its_deadline
        yield "disk full", scenarios.disk_full
        yield "budget", scenarios.budget
        yield "budget and kills", lambda root: scenarios.budget(root, kills=3)
        yield "budget of calls", scenarios.budget_of_calls
        yield "dead, then back", scenarios.dead_then_back
        yield "poison", scenarios.poison
        yield "writer dies", scenarios.writer_dies


def crash_points(root: Path) -> Iterator[tuple[str, Scenario]]:
    """The death of a small job at every point where it writes, syncs or commits."""
    for at in range(1, scenarios.crash_points(root) + 1):
        yield "crash point", lambda root, a=at: scenarios.crashed(root, a)


def storm(given: argparse.Namespace, folder: Path) -> tuple[Findings, Storm]:
    """What a storm came to."""
    with serving("--seed", str(given.seed)) as server:
        raging = Storm(Project(folder, server), random.Random(given.seed), say=_say)
        raging.prepare()
        raging.rage(given.faults, given.kills)
        return raging.settle(), raging


def show_storm(findings: Findings, raging: Storm) -> None:
    print(f"\n{'fault':18}{'injected':>10}{'lost':>8}{'duplicated':>12}")
    for fault in RATES:
        print(
            f"{fault:18}{findings.injected[fault]:>10,}{findings.lost[fault]:>8}{findings.duplicated[fault]:>12}"
        )
    print(f"{'(no fault met)':18}{'':>10}{findings.lost['(none)']:>8}{findings.duplicated['(none)']:>12}")
    print(f"{'all':18}{findings.injected.total():>10,}")
    if findings.kills:
        _show_kills(findings)
    print(f"longest attempt {findings.longest:.2f} s, deadline {TIMEOUT:g} s; hangs {raging.hangs}")
    for name, count in findings.violations.items():
        print(f"{name}: {count}")


def _show_kills(findings: Findings) -> None:
    kills = findings.kills
    repeats, in_flight = [kill.repeats for kill in kills], [kill.in_flight for kill in kills]
    print(f"\n{len(kills)} kill -9s, {CONCURRENCY} requests open at most")
    print(f"in flight at a kill: median {median(in_flight):g}, most {max(in_flight)}")
    print(f"repeats a kill: median {median(repeats):g}, most {max(repeats)}, {sum(repeats):,} in all")
    print(f"kills with more repeats than in flight: {sum(kill.excess > 0 for kill in kills)}")
    print(f"repeats of answers that had been read: {sum(kill.read for kill in kills)}")


def run_troubles(given: argparse.Namespace, folder: Path) -> bool:
    """Whether nothing went wrong in any scenario."""
    injected: dict[str, Counter[str]] = {}
    wrong: dict[str, Counter[str]] = {}
    chance = random.Random(given.seed)
    todo = list(troubles(given.rounds, chance))
    if given.crashes:
        todo += crash_points(folder / "points")
    for number, (name, scenario) in enumerate(todo):
        _say(f"{number + 1} of {len(todo)}: {name}")
        trial = scenario(folder / f"trial-{number}")
        injected.setdefault(name, Counter()).update(trial.injected)
        wrong.setdefault(name, Counter()).update(trial.wrong)
        for what, note in trial.notes.items():
            if trial.wrong[what]:
                print(f"{name}: {what}: {str(note)[:400]}", file=sys.stderr)
    print(f"\n{'trouble':18}{'injected':>10}  checks that failed")
    for name, counts in injected.items():
        failed = {what: count for what, count in wrong[name].items() if count}
        print(f"{name:18}{counts.total():>10,}  {failed or 'none'}")
    return not any(counter.total() for counter in wrong.values())


def _say(text: str) -> None:
    print(f"\r\033[K{time.strftime('%H:%M:%S')} {text}", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--faults", type=int, default=100_000, help="of the kinds that may pass, in the storm"
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3, help="of every other trouble; 0 for the storm alone")
    parser.add_argument("--crashes", action="store_true", help="every crash point, one by one, too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--folder", type=Path, help="where projects are made; kept (default: a temporary one)"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        sound = True
        if given.faults or given.kills:
            findings, raging = storm(given, folder / "storm")
            show_storm(findings, raging)
            sound = not any(findings.violations.values()) and not raging.hangs
        if given.rounds or given.crashes:
            sound = run_troubles(given, folder) and sound
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
