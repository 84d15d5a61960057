"""A project with a queue, served by this process or another, for the scripts that measure the review page."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from promptlabel.records import Pick, RegisteredRule, Trace, Vote, digest
from promptlabel.settings import Project, load_project
from promptlabel.store.contract import PosteriorTable, Store

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
LABELS = ("good", "bad")
KEYS = {"trace_id", "timestamp", "category", "turns", "metadata"}
"""All that a page may be told of a trace that its reviewer has not decided."""


def chromium() -> str:
    """The path of the browser.

    Raises:
        SystemExit: where there is none.
    """
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        sys.exit("skipped: no Chromium is installed (apt-get install chromium)")
    return found


@contextmanager
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield launched
        launched.close()


def write_project(
    root: Path, tasks: dict[str, Sequence[str]], *, settings: str = "", guidelines: str = "Read it whole."
) -> Project:
    """A project folder with tasks of these labels and no rules of their own."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "promptlabel.yaml").write_text(settings or "models: {default: {provider: local}}\n")
    for task, labels in tasks.items():
        folder = root / "rules" / task
        folder.mkdir(parents=True, exist_ok=True)
        spec = {"task": task, "labels": dict.fromkeys(labels, "What it means."), "guidelines": guidelines}
        (folder / "task.yaml").write_text(json.dumps(spec))
        (folder / "heuristics.py").write_text("")
    return load_project(root)


def chat(number: int) -> Trace:
    """A conversation of a shop."""
    at = START + timedelta(seconds=number)
    asked = f"Hello, my order {number} has not arrived. It was promised for Monday, and now it is Thursday."
    said = (
        "I am sorry to hear that. It left our warehouse on Tuesday and should be with you by Friday evening."
    )
    return Trace(
        f"chat-{number:07}", at, input=asked, output=said, category="delivery", metadata={"channel": "web"}
    )


def secret(trace_id: str) -> str:
    """What the rules said of the trace and of no other, to be searched for in what the page is told."""
    return f"secret-{digest(trace_id)[:12]}"


def queue_all(store: Store, task: str, labels: Sequence[str], ids: Sequence[str], votes: int) -> None:
    """Nothing; all traces have a posterior and are queued, the first so many have a vote with a rationale too."""
    rule = RegisteredRule(task, "secret_rule", "prompt", "secret_model", digest([task]), digest("model"))
    store.register_rules(task, [rule])
    store.add_votes([_vote(rule, name, labels[0]) for name in ids[:votes]])
    rest = 0.0123456789 / max(len(labels) - 1, 1)
    probs = np.full((len(ids), len(labels)), rest)
    probs[:, 0] = 0.9876543211
    store.save_posteriors(PosteriorTable(task, tuple(labels), tuple(ids), probs, START, "em", {}))
    store.save_queue(task, [Pick(name, task, "uncertain", 0.5, 0.25, secret(name)) for name in ids])


def _vote(rule: RegisteredRule, name: str, label: str) -> Vote:
    key = digest([rule.task, name])
    return Vote(
        key,
        name,
        rule.task,
        rule.rule_hash,
        rule.model_hash,
        "vote",
        label,
        0.9,
        None,
        rationale=secret(name),
    )


@contextmanager
def served_apart(root: Path, *options: str, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`promptlabel review` as a user starts it, and the address it prints."""
    command = [
        sys.executable,
        "-m",
        "promptlabel",
        "review",
        "--project",
        str(root),
        "--port",
        str(port),
        "--json",
    ]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())["address"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@dataclass
class Heard:
    """All that a browser was told, and what of it told too much.

    Attributes:
        responses: how many there were.
        leaks: texts about a trace that was not decided yet.
    """

    ids: frozenset[str]
    responses: int = 0
    leaks: int = 0

    def __post_init__(self) -> None:
        self._secrets = {secret(name): name for name in self.ids}
        self._decided: set[str] = set()

    def listen(self, page: Any) -> None:
        """Nothing; from now on every response of the page is searched."""
        page.on("request", self._note)
        page.on("response", self._search)

    def _note(self, request: Any) -> None:
        """What leaves the browser as a label is decided before its answer comes."""
        if request.method == "POST" and request.url.endswith("/events"):
            self._decided.update(
                event["trace_id"]
                for event in json.loads(request.post_data)["events"]
                if event["action"] == "label"
            )

    def _search(self, response: Any) -> None:
        if 300 <= response.status < 400:
            return
        text = response.text()
        self.responses += 1
        told = {name for hidden, name in self._secrets.items() if hidden in text}
        self.leaks += len(told - self._decided)
        if response.url.endswith("/next"):
            self.leaks += sum(bool(item.keys() - KEYS) for item in json.loads(text)["items"])
        if not response.url.endswith("/events"):
            self.leaks += sum(word in text for word in ("secret_rule", "secret_model", "0.98765"))


def print_table(title: str, rows: Iterable[Sequence[object]]) -> None:
    """Nothing; the rows are printed under the title."""
    print(f"\n{title}")
    for name, *values in rows:
        print(f"  {name!s:<58} {'  '.join(map(str, values))}")
