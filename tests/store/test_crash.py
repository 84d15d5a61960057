"""kill -9 at random moments, with a synced list of what was acknowledged as the judge."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from store_samples import RULE, TASK, a_review, a_vote

from promptlabel.store.duckdb_store import DuckDBStore

KILLS = 12

LAUNCHER = """
import os, sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from store_samples import a_code_vote, a_review, a_vote, an_attempt, a_rule
from promptlabel.store.duckdb_store import DuckDBStore

CODE = a_rule("code")
VOTES_A_CALL = 40

def work(folder, run):
    store = DuckDBStore(folder / "s.duckdb", folder / "journal", segment_bytes=200_000)
    acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    print("writing", os.getpid(), flush=True)

    def tell(line):
        os.write(acknowledged, f"{line}\\n".encode())
        os.fsync(acknowledged)

    def vote(first):
        for start in range(first, first + 100_000, VOTES_A_CALL):
            votes = [a_vote(number) for number in range(start, start + VOTES_A_CALL)]
            store.add_votes(votes, [an_attempt(vote) for vote in votes])
            tell(f"votes {start}")
            store.add_votes([a_code_vote(number, rule=CODE) for number in range(start, start + VOTES_A_CALL)])

    def review():
        for number in range(run * 100_000, (run + 1) * 100_000):
            store.add_review(a_review(number))
            tell(f"review {number}")

    threads = [threading.Thread(target=vote, args=((run * 2 + half) * 100_000,)) for half in (0, 1)]
    for thread in [*threads, threading.Thread(target=review)]:
        thread.start()
    threading.Event().wait()

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        work(Path(sys.argv[2]), int(line))
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


def kill_again_and_again(folder: Path) -> None:
    chance = random.Random(20260301)
    command = [sys.executable, "-c", LAUNCHER, str(Path(__file__).parent.parent), str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as launcher:
        assert launcher.stdin is not None
        assert launcher.stdout is not None
        for run in range(KILLS):
            launcher.stdin.write(f"{run}\n")
            state, worker = launcher.stdout.readline().split()
            assert state == "writing"
            time.sleep(chance.uniform(0.02, 0.6))
            os.kill(int(worker), signal.SIGKILL)
            assert launcher.stdout.readline() == "dead\n"


def acknowledged(folder: Path) -> tuple[set[int], set[str]]:
    votes, reviews = set(), set()
    for line in (folder / "acknowledged").read_text().splitlines():
        kind, number = line.split()
        if kind == "votes":
            votes.update(range(int(number), int(number) + 40))
        else:
            reviews.add(f"event-{number}")
    return votes, reviews


def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path)
    votes, reviews = acknowledged(tmp_path)
    assert votes
    assert reviews
    with DuckDBStore(tmp_path / "s.duckdb", tmp_path / "journal") as store:
        store.register_rules(TASK, [RULE])
        kept = [vote for _, vote in store.votes(TASK)]
        assert len({vote.key for vote in kept}) == len(kept)
        assert {a_vote(number).key for number in votes} <= {vote.key for vote in kept}
        assert store.spent().calls == len(kept)
        assert {event.event_id for event in store.reviews(TASK)} >= reviews
        assert store.add_review(a_review(0)) is False
        assert store.verify().sound
