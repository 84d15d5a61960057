"""What faults do to decisions: lost, doubled, leased twice.

Usage: scripts/bench page_faults [--offline SECONDS] [--kills N]

In Chromium: double clicks, keys held down, two tabs, the back button, a network that is gone (two minutes, by the
clock). Over HTTP: eight reviewers on 1,000 traces, some of whom stop in the middle while their leases run out (the
server's clock is moved, all else is real), and a server that is killed with SIGKILL again and again while reviewers
work and a vote runs through it; each client sends what was not acknowledged again, as the page does. At the end
the store is opened and every acknowledged decision is looked for.
"""

from __future__ import annotations

import argparse
import random
import signal
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from app_server import served_here, wait_until
from review_site import LABELS, browser, chat, print_table, queue_all, served_apart, write_project

from promptlabel.errors import StoreError
from promptlabel.records import RegisteredRule, Vote, digest
from promptlabel.review.adjudication import decide
from promptlabel.review.queue import LEASE
from promptlabel.rules.loading import Task
from promptlabel.rules.spec import TaskSpec
from promptlabel.settings import Project
from promptlabel.store.contract import Store
from promptlabel.store.opening import open_store
from promptlabel.web.review import review_app

TASK = "quality"
NAMES = [f"reviewer {number}" for number in range(8)]


def make(root: Path, items: int) -> Project:
    project = write_project(root, {TASK: LABELS})
    with open_store(project) as store:
        store.add_traces(map(chat, range(items)))
        queue_all(store, TASK, LABELS, [chat(number).trace_id for number in range(items)], 10)
    return project


def task() -> Task:
    return Task(TaskSpec(task=TASK, labels=dict.fromkeys(LABELS, "")), (), ())


def tally(store: Store, acknowledged: Sequence[str]) -> list[tuple[object, ...]]:
    """What became of acknowledged decisions."""
    events = store.reviews(TASK)
    known = Counter(event.event_id for event in events)
    given = Counter((event.trace_id, event.reviewer) for event in events if event.action == "label")
    return [
        ("acknowledged decisions", len(acknowledged)),
        ("of them lost", len(set(acknowledged) - known.keys())),
        ("stored twice", sum(count - 1 for count in known.values())),
        ("decided twice by one reviewer", sum(count - 1 for count in given.values())),
        (
            "traces decided by more than asked for",
            sum(count > 1 for count in Counter(name for name, _ in given).values()),
        ),
        ("traces decided", len(decide(events))),
    ]


# --- in the browser


@contextmanager
def page_of(project: Project) -> Iterator[tuple[Any, Any, Store, str]]:
    with open_store(project) as store:
        app = review_app(store, [task()], reviewer="anna")
        with served_here(app) as invitation, browser() as chromium:
            context = chromium.new_context()
            page = context.new_page()
            page.goto(invitation)
            page.wait_for_selector(".turns li")
            yield context, page, store, invitation


def sent(page: Any) -> None:
    wait_until(lambda: page.evaluate("Object.keys(localStorage).length") == 0, 300)


def in_browser(root: Path, offline: float) -> None:  # noqa: C901 - one fault after another
    rows: list[tuple[object, ...]] = []
    with page_of(make(root, 300)) as (context, page, store, _):

        def check(name: str, wanted: int) -> None:
            sent(page)
            events = store.reviews(TASK)
            twice = len(events) - len({(event.trace_id, event.action) for event in events})
            rows.append((name, f"{wanted} decided, {len(events)} stored, {twice} doubled"))

        for _ in range(20):
            page.wait_for_selector(".label:not([disabled])")
            page.dblclick(".label >> nth=0")
        check("20 double clicks", 20)
        for _ in range(10):
            for _ in range(5):
                page.keyboard.down("1")
            page.keyboard.up("1")
            page.wait_for_timeout(50)
        check("10 keys held down", 30)
        other = context.new_page()
        other.goto(page.url)
        other.wait_for_selector(".turns li")
        for _ in range(20):
            for tab in (page, other):
                tab.wait_for_selector(".label:not([disabled])")
                tab.keyboard.press("2")
        sent(other)
        check("two tabs, 20 each", 70)
        other.close()
        for _ in range(10):
            page.keyboard.press("1")
            page.goto(page.url + "?again")
            page.wait_for_selector(".turns li")
            page.go_back()
            page.wait_for_selector(".turns li")
        check("10 times back, some before it was sent", 80)
        context.set_offline(True)
        started = time.monotonic()
        for _ in range(3):
            page.keyboard.press("1")
        page.wait_for_timeout(1000 * offline)
        waiting = page.inner_text("#network")
        context.set_offline(False)
        check(f"3 decisions, then offline for {time.monotonic() - started:.0f} s ({waiting})", 83)
    print_table("In the browser", rows)


# --- eight reviewers


@dataclass
class Clock:
    """The server's clock, which only ever moves forward."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Leases:
    """Who was given which trace until when; `double` counts those that two had at once."""

    held: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    double: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def given(self, reviewer: str, names: Sequence[str], now: datetime) -> None:
        with self.lock:
            for name in names:
                holder, until = self.held.get(name, (reviewer, now))
                self.double += holder != reviewer and until > now
                self.held[name] = (reviewer, now + LEASE)

    def gone(self, name: str) -> None:
        with self.lock:
            self.held.pop(name, None)


def eight_reviewers(root: Path, items: int = 1000) -> None:
    clock, leases, acknowledged = Clock(), Leases(), []
    with open_store(make(root, items)) as store:
        app = review_app(store, [task()], now=clock, reviewer="anna")
        with served_here(app) as invitation:
            base, _, token = invitation.partition("/join/")
            httpx.get(invitation)

            def work(name: str, most: int) -> None:
                with httpx.Client(base_url=base, timeout=60) as client:
                    client.post("/join", json={"name": name, "token": token})
                    tab = str(uuid.uuid4())
                    done = 0
                    while done < most:
                        asked = clock()
                        found = client.post(f"/api/tasks/{TASK}/next", json={"tab": tab, "count": 4}).json()[
                            "items"
                        ]
                        if not found:
                            return
                        leases.given(name, [item["trace_id"] for item in found], asked)
                        trace_id = found[0]["trace_id"]
                        event = {
                            "event_id": str(uuid.uuid4()),
                            "action": "label",
                            "trace_id": trace_id,
                            "label": "good",
                        }
                        answer = client.post(
                            f"/api/tasks/{TASK}/events", json={"events": [event, event]}
                        ).json()
                        if answer["results"][0]["outcome"] == "stored":
                            acknowledged.append(event["event_id"])
                        leases.gone(trace_id)
                        done += 1

            run_all([(work, (name, 20 if number < 3 else items)) for number, name in enumerate(NAMES)])
            left = items - len(acknowledged)
            clock.ahead += LEASE
            run_all([(work, (name, items)) for name in NAMES[3:]])
        rows = tally(store, acknowledged)
    print_table(
        f"Eight reviewers on {items:,} traces, each decision sent twice, three of them gone after 20",
        [
            *rows,
            ("traces left until the leases of who is gone ran out", left),
            ("leased to two at once", leases.double),
        ],
    )


def run_all(jobs: Sequence[tuple[Any, tuple[Any, ...]]]) -> None:
    threads = [threading.Thread(target=job, args=arguments) for job, arguments in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- kills


@dataclass
class Outbox:
    """What one reviewer has decided and nobody has acknowledged yet, as the page keeps it."""

    name: str
    client: httpx.Client | None = None
    waiting: list[dict[str, Any]] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    resent: int = 0
    known: int = 0

    def step(self, trace_id: str) -> None:
        if not self.waiting:
            event = {"event_id": str(uuid.uuid4()), "action": "label", "trace_id": trace_id, "label": "good"}
            self.waiting.append(event)
        assert self.client is not None
        answer = self.client.post(f"/api/tasks/{TASK}/events", json={"events": self.waiting})
        self.known += sum(result["outcome"] == "repeated" for result in answer.json()["results"])
        self.acknowledged += [event["event_id"] for event in self.waiting]
        self.waiting.clear()

    def work(self, stop: threading.Event) -> None:
        tab = str(uuid.uuid4())
        while not stop.is_set():
            try:
                assert self.client is not None
                found = self.client.post(f"/api/tasks/{TASK}/next", json={"tab": tab, "count": 1}).json()[
                    "items"
                ]
                self.step(found[0]["trace_id"])
            except (httpx.HTTPError, OSError):
                self.resent += bool(self.waiting)
                return


def vote_meanwhile(project: Project, stop: threading.Event, acknowledged: list[str]) -> None:
    """Votes through the server's process, as `vote` adds them, until it is killed."""
    rule = RegisteredRule(TASK, "meanwhile", "prompt", "m", digest("meanwhile"), digest("m"))
    with suppress(StoreError), open_store(project) as store:
        while not stop.is_set():
            key = digest(str(uuid.uuid4()))
            vote = Vote(
                key,
                "chat-0000000",
                TASK,
                rule.rule_hash,
                rule.model_hash,
                "vote",
                "good",
                request=digest([key]),
            )
            store.add_votes([vote])
            acknowledged.append(key)


def killed(root: Path, kills: int) -> None:
    project = make(root, 20_000)
    reviewers, votes = [Outbox(name) for name in NAMES[:4]], list[str]()
    rng = random.Random(0)
    for _ in range(kills):
        with served_apart(project.root) as (process, invitation):
            base, _, token = invitation.partition("/join/")
            httpx.get(invitation)
            for reviewer in reviewers:
                reviewer.client = httpx.Client(base_url=base, timeout=30)
                reviewer.client.post("/join", json={"name": reviewer.name, "token": token})
            stop = threading.Event()
            threads = [threading.Thread(target=reviewer.work, args=(stop,)) for reviewer in reviewers]
            threads.append(threading.Thread(target=vote_meanwhile, args=(project, stop, votes)))
            for thread in threads:
                thread.start()
            time.sleep(0.4 + 0.4 * rng.random())
            process.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
            for reviewer in reviewers:
                reviewer.client.close()
    with served_apart(project.root) as (process, invitation):
        base, _, token = invitation.partition("/join/")
        for reviewer in reviewers:
            reviewer.client = httpx.Client(base_url=base, timeout=30)
            reviewer.client.post("/join", json={"name": reviewer.name, "token": token})
            if reviewer.waiting:
                reviewer.step("")
            reviewer.client.close()
        process.send_signal(signal.SIGINT)
        process.wait(30)
    resent = sum(reviewer.resent for reviewer in reviewers)
    known = sum(reviewer.known for reviewer in reviewers)
    with open_store(project) as store:
        store.register_rules(
            TASK, [RegisteredRule(TASK, "meanwhile", "prompt", "m", digest("meanwhile"), digest("m"))]
        )
        stored = {vote.key for _, vote in store.votes(TASK)}
        rows = tally(store, [event_id for reviewer in reviewers for event_id in reviewer.acknowledged])
    print_table(
        f"{kills} kills of the server (SIGKILL), four reviewers and a vote at work",
        [
            *rows,
            ("in flight at a kill and sent again", resent),
            ("of these, killed after the commit (known already)", known),
            ("votes acknowledged by way of the server / lost", f"{len(votes):,}", len(set(votes) - stored)),
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--offline", type=float, default=120)
    parser.add_argument("--kills", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        in_browser(Path(folder) / "browser", options.offline)
        eight_reviewers(Path(folder) / "eight")
        killed(Path(folder) / "killed", options.kills)


if __name__ == "__main__":
    main()
