"""The review page in headless Chromium: from key to next trace, blindness, accessibility, pictures.

Usage: scripts/bench page [--items N] [--decisions N] [--pictures DIR]

A million queued traces, keyboard only, while `promptlabel vote` runs through the same page's process against a mock
model server. The time is from the key's event to the frame that shows the next trace. Every response is searched for
what the rules say of traces that are not decided. axe-core looks at every state of every page, light and dark, wide
and 320 pixels narrow.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app_server import wait_until
from review_site import LABELS, Heard, browser, chat, print_table, queue_all, served_apart, write_project

from promptlabel.records import ReviewEvent
from promptlabel.settings import Project
from promptlabel.store.opening import open_store

HERE = Path(__file__).parent
TASK = "quality"
VOTED = 2_000
"""Traces at the head of the queue whose votes the page has to show after a decision."""

TIME_KEYS = """() => {
  window.keyTimes = [];
  let pressed = null;
  addEventListener("keydown", () => { pressed = performance.now(); }, { capture: true });
  new MutationObserver(() => requestAnimationFrame(() => {
    if (pressed !== null) window.keyTimes.push(performance.now() - pressed);
    pressed = null;
  })).observe(document.getElementById("facts"), { childList: true });
}"""

RULE = """description: Asked of a model.
model: mock
prompt: |
  {{ trace.input }}
  Was the person helped?
answers: {"yes": good, "no": bad}
decode: json
"""


def make_project(root: Path, items: int, api: str) -> Project:
    models = f"models: {{mock: {{model: hosted_vllm/mock, api_base: {api!r}, concurrency: 32}}}}\n"
    project = write_project(root, {TASK: LABELS}, settings=models, guidelines="Good: the person was helped.")
    (root / "rules" / TASK / "helped.yaml").write_text(RULE)
    started = time.monotonic()
    with open_store(project) as store:
        store.add_traces(map(chat, range(items)))
        ids = [f"chat-{number:07}" for number in range(items)]
        queue_all(store, TASK, LABELS, ids, min(VOTED, items))
    print(f"{items:,} traces stored and queued in {time.monotonic() - started:.0f} s", flush=True)
    return project


@contextlib.contextmanager
def mock_server() -> Iterator[str]:
    command = [sys.executable, str(HERE / "mock_model.py"), "--port", "0", "--latency", "0.2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.kill()


@contextlib.contextmanager
def voting(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A vote in another process, killed at the end; its progress is in a file."""
    command = [sys.executable, "-m", "promptlabel", "vote", "--project", str(root), "--progress", "json"]
    with (root / "vote.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def last_progress(root: Path) -> dict[str, Any]:
    lines = [line for line in (root / "vote.log").read_text().splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


def decide_by_key(page: Any, decisions: int) -> list[float]:
    """The milliseconds from each key to the next trace, sorted."""
    page.evaluate(TIME_KEYS)
    for turn in range(decisions):
        page.wait_for_selector(".label:not([disabled])")
        page.keyboard.press("12"[turn % 2])
        wait_until(lambda turn=turn: page.evaluate("window.keyTimes.length") > turn, 60)
    return sorted(page.evaluate("window.keyTimes"))


def measure_keys(root: Path, invitation: str, decisions: int) -> None:
    ids = frozenset(f"chat-{number:07}" for number in range(decisions + 50))
    heard = Heard(ids)
    with browser() as chromium, voting(root) as vote:
        wait_until(lambda: last_progress(root).get("votes", 0) > 0, 300)
        page = chromium.new_page()
        heard.listen(page)
        page.goto(invitation)
        page.wait_for_selector(".turns li")
        before = last_progress(root)
        times = decide_by_key(page, decisions)
        wait_until(lambda: page.evaluate("Object.keys(localStorage).length") == 0, 60)
        time.sleep(1)
        after, running = last_progress(root), vote.poll() is None
        counts = page.inner_text("#counts")
    print_table(
        "Keyboard alone, a vote running through the same process",
        [
            ("decisions", counts),
            (
                "key to next trace, p50 / p95 / longest, ms",
                *(f"{times[int(q * (len(times) - 1))]:.1f}" for q in (0.5, 0.95, 1)),
            ),
            ("votes cast meanwhile, still running", f"{after['votes'] - before['votes']:,}", running),
            ("responses searched, leaks", heard.responses, heard.leaks),
        ],
    )


def axe(page: Any) -> list[str]:
    """What axe-core finds wrong."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:100]}" for one in found]


def look_at_pages(root: Path, pictures: Path | None) -> None:
    """Nothing; every state of the pages has been judged, and the pictures are made."""
    found: list[str] = []
    looked = 0
    with browser() as chromium:
        for scheme in ("light", "dark"):
            for width in (1280, 320):
                with served_apart(root, "--reviewers", "2") as (_, invitation):
                    context = chromium.new_context(
                        viewport={"width": width, "height": 860 if width > 320 else 640}, color_scheme=scheme
                    )
                    for name, page in states(context, invitation):
                        looked += 1
                        found += [f"{name}, {scheme}, {width}: {one}" for one in axe(page)]
                        wide = page.evaluate("document.documentElement.scrollWidth")
                        found += [f"{name}, {width}: scrolls sideways ({wide})"] if wide > width else []
                        if pictures is not None:
                            page.screenshot(path=pictures / f"{name}-{scheme}-{width}.png")
                    context.close()
    print_table(
        "axe-core", [("states looked at", looked), ("violations", len(found)), *((one,) for one in found)]
    )


def states(context: Any, invitation: str) -> Iterator[tuple[str, Any]]:
    """Each state of each page, by name."""
    base = invitation.partition("/join/")[0]
    page = context.new_page()
    page.goto(base)
    yield "locked", page
    page.goto(invitation)
    page.wait_for_selector(".turns li")
    yield "review", page
    page.keyboard.press("1")
    page.wait_for_selector("#reveal:not([hidden])")
    yield "revealed", page
    page.keyboard.press("h")
    yield "keys", page
    page.keyboard.press("h")
    page.click(".menu summary")
    yield "menu", page
    page.goto(f"{base}/tasks/{TASK}/conflicts")
    page.wait_for_selector("#opinions li")
    yield "conflicts", page
    stranger = context.browser.new_context(
        viewport=page.viewport_size, color_scheme="dark" if page.evaluate(IS_DARK) else "light"
    )
    joining = stranger.new_page()
    joining.goto(invitation)
    joining.wait_for_selector("form.join")
    yield "join", joining
    stranger.close()


IS_DARK = "matchMedia('(prefers-color-scheme: dark)').matches"


def add_conflicts(project: Project, ids: list[str]) -> None:
    from datetime import UTC, datetime

    with open_store(project) as store:
        for name in ids:
            for reviewer, label in (("ben", "good"), ("cy", "bad")):
                event = ReviewEvent(
                    f"{reviewer} {name}", name, TASK, reviewer, "label", datetime.now(UTC), label
                )
                store.add_review(event)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--decisions", type=int, default=200)
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of every state")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, mock_server() as api:
        project = make_project(Path(folder) / "large", options.items, api)
        with served_apart(project.root) as (_, invitation):
            measure_keys(project.root, invitation, options.decisions)
        small = make_project(Path(folder) / "small", 300, api)
        add_conflicts(small, [f"chat-{number:07}" for number in range(290, 300)])
        if options.pictures:
            options.pictures.mkdir(parents=True, exist_ok=True)
        look_at_pages(small.root, options.pictures)


if __name__ == "__main__":
    main()
