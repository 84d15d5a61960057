"""The page in a real browser: keys, blindness, lost networks, double clicks, tabs and hostile text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from app_server import served_here, wait_until

from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Gold, Message, ReviewEvent, Trace
from promptlabel.review.adjudication import decide
from promptlabel.settings import Review
from promptlabel.store.contract import Store
from promptlabel.web.review import review_app

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
START = datetime(2026, 3, 2, 9, tzinfo=UTC)

pytestmark = pytest.mark.browser

SECRETS = (
    "secret_rule_name",
    "secret rationale",
    "secret reason",
    "secret answer",
    "0.98765",
    "secret-model",
)


@contextmanager
def served(workspace: Workspace, reviewer: str = "anna", review: Review | None = None) -> Iterator[str]:
    """The address of the page, served by a thread of this process."""
    app = review_app(workspace.store, workspace.tasks, reviewer=reviewer, review=review or Review())
    with served_here(app) as address:
        yield address


@dataclass
class Stored:
    """One task of the site, which one test has to itself: where it is, and what is stored of it."""

    store: Store
    task: str
    invitation: str

    @property
    def address(self) -> str:
        return f"{self.invitation.partition('/join/')[0]}/tasks/{self.task}"

    def events(self, count: int, page: Any) -> list[ReviewEvent]:
        """The stored events, once there are `count` of them and the page has nothing left to send."""
        wait_until(lambda: page.evaluate("Object.keys(localStorage).length") == 0)
        wait_until(lambda: len(self.store.reviews(self.task)) >= count)
        return list(self.store.reviews(self.task))


@pytest.fixture(scope="module")
def site(tmp_path_factory: Any, make_workspace: Any, sample: list[Trace]) -> Iterator[tuple[Workspace, str]]:
    """A served project whose address one browser has opened already, and which has a task for every test."""
    names = [f"task_{number:02}" for number in range(14)]
    workspace = make_workspace(
        tmp_path_factory.mktemp("site"), sample, {name: {"good": "It helped.", "bad": ""} for name in names}
    )
    with workspace.store, served(workspace) as invitation:
        httpx.get(invitation)
        yield workspace, invitation


@pytest.fixture(scope="module")
def unused_tasks(site: tuple[Workspace, str]) -> Iterator[str]:
    return iter([task.name for task in site[0].tasks])


@pytest.fixture
def review(site: tuple[Workspace, str], unused_tasks: Iterator[str]) -> Stored:
    workspace, invitation = site
    return Stored(workspace.store, next(unused_tasks), invitation)


@pytest.fixture
def context(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context()
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def anna(context: Any, review: Stored) -> Any:
    """A browser in which anna is signed in."""
    base, _, token = review.invitation.partition("/join/")
    assert context.request.post(f"{base}/join", data={"name": "anna", "token": token}).ok
    return context


@pytest.fixture
def page(anna: Any, review: Stored) -> Any:
    return opened(anna, review.address)


def opened(context: Any, address: str) -> Any:
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector(".turns li")
    return page


def test_thirty_six_decisions_by_keyboard_alone(page: Any, review: Stored) -> None:
    page.evaluate(TIME_KEYS)
    for turn in range(36):
        page.wait_for_selector(".label:not([disabled])")
        page.keyboard.press("12"[turn % 2])
    events = review.events(36, page)
    assert [event.label for event in events] == ["good", "bad"] * 18
    assert [event.trace_id for event in events] == [f"chat-{number:03}" for number in range(36)]
    assert len(decide(events)) == 36
    assert "36 labelled · 4 left" in page.inner_text("#counts")
    times = sorted(page.evaluate("window.keyTimes"))
    assert times[int(0.95 * len(times))] < 50


TIME_KEYS = """() => {
  window.keyTimes = [];
  let pressed = null;
  addEventListener("keydown", () => { pressed = performance.now(); }, { capture: true });
  new MutationObserver(() => requestAnimationFrame(() => {
    if (pressed !== null) window.keyTimes.push(performance.now() - pressed);
    pressed = null;
  })).observe(document.getElementById("facts"), { childList: true });
}"""


def test_skip_flag_undo_help_and_change_by_key(page: Any, review: Stored) -> None:
    first = page.inner_text("#facts")
    page.keyboard.press("h")
    assert page.is_visible("#help")
    page.keyboard.press("1")
    page.keyboard.press("h")
    assert page.is_hidden("#help")
    assert page.inner_text("#facts") == first
    for key in ("Space", "f", "1", "u"):
        page.keyboard.press(key)
    page.keyboard.press("2")
    page.wait_for_selector("#reveal-change button")
    page.keyboard.press("c")
    page.keyboard.press("Enter")
    wait_until(lambda: "You said good" in page.inner_text("#reveal-summary"))
    events = review.events(6, page)
    assert [event.action for event in events] == ["skip", "flag", "label", "undo", "label", "change"]
    (decision,) = decide(events)
    assert (decision.label, decision.blind) == ("good", False)


def test_undo_after_a_reload_brings_back_what_was_last(page: Any, review: Stored) -> None:
    first = page.inner_text("#facts")
    page.keyboard.press("1")
    review.events(1, page)
    page.reload()
    page.wait_for_selector(".turns li")
    assert page.inner_text("#facts") != first
    page.keyboard.press("u")
    wait_until(lambda: page.inner_text("#facts") == first)
    assert decide(review.events(2, page)) == ()


def test_no_response_holds_what_the_rules_said_before_the_first_label(anna: Any, review: Stored) -> None:
    bodies: list[str] = []
    page = anna.new_page()
    page.on("response", lambda response: bodies.append(response.url + text_of(response)))
    page.goto(review.address)
    page.wait_for_selector(".turns li")
    page.keyboard.press("Space")
    page.keyboard.press("f")
    review.events(2, page)
    assert len(bodies) >= 8
    assert not [secret for secret in SECRETS for body in bodies if secret in body]
    page.keyboard.press("1")
    page.wait_for_selector("#reveal:not([hidden])")
    assert "secret rule name" in page.inner_text("#reveal")
    assert "99 %" in page.inner_text("#reveal")


def text_of(response: Any) -> str:
    return "" if 300 <= response.status < 400 else response.text()


def test_decisions_made_without_a_network_are_stored_when_it_is_back(
    context: Any, page: Any, review: Stored
) -> None:
    page.wait_for_timeout(300)
    context.set_offline(True)
    for key in "121":
        page.keyboard.press(key)
    wait_until(lambda: "3 decisions are kept here" in page.inner_text("#network"))
    assert not review.store.reviews(review.task)
    context.set_offline(False)
    assert [event.label for event in review.events(3, page)] == ["good", "bad", "good"]
    page.wait_for_selector(".label:not([disabled])")
    wait_until(lambda: page.text_content("#network") == "")


def test_decisions_outlive_the_tab_and_the_server_they_were_made_with(
    context: Any, workspace: Workspace
) -> None:
    with served(workspace) as address:
        page = opened(context, address)
        page.wait_for_timeout(300)
        page.route("**/api/**", lambda route: route.abort())
        page.keyboard.press("1")
        page.keyboard.press("2")
        waiting = page.evaluate("Object.entries(localStorage)")
        page.close()
    assert len(waiting) == 2
    with served(workspace) as address:
        page = context.new_page()
        page.route("**/api/**", lambda route: route.abort())
        page.goto(address)
        page.evaluate(
            "entries => entries.forEach(([key, value]) => localStorage.setItem(key, value))", waiting
        )
        page.unroute("**/api/**")
        page.reload()
        events = Stored(workspace.store, "quality", address).events(2, page)
        assert [event.label for event in events] == ["good", "bad"]


def test_a_double_click_decides_one_trace(page: Any, review: Stored) -> None:
    page.dblclick(".label >> nth=0")
    page.wait_for_timeout(200)
    assert len(review.events(1, page)) == 1
    page.keyboard.press("Space")
    assert [event.action for event in review.events(2, page)] == ["label", "skip"]


def test_a_key_held_down_decides_one_trace(page: Any, review: Stored) -> None:
    for _ in range(5):
        page.keyboard.down("1")
    page.keyboard.up("1")
    assert len(review.events(1, page)) == 1


def test_two_tabs_show_different_traces_and_decide_each_once(context: Any, page: Any, review: Stored) -> None:
    other = opened(context, review.address)
    assert other.inner_text("#facts") != page.inner_text("#facts")
    for _ in range(6):
        for tab in (page, other):
            tab.wait_for_selector(".label:not([disabled])")
            tab.keyboard.press("1")
    events = review.events(12, page)
    assert len({event.trace_id for event in events}) == len(events) == 12


def test_the_back_button_neither_loses_nor_repeats_a_decision(page: Any, review: Stored) -> None:
    page.keyboard.press("1")
    page.goto(review.address.replace(review.task, "task_00"))
    page.wait_for_selector(".turns li")
    page.go_back()
    page.wait_for_selector(".turns li")
    page.keyboard.press("2")
    events = review.events(2, page)
    assert [event.label for event in events] == ["good", "bad"]
    assert len({event.trace_id for event in events}) == 2


def test_a_second_reviewer_joins_by_name_and_gets_other_traces(
    chromium: Any, page: Any, review: Stored
) -> None:
    page.click(".menu summary")
    invitation = page.inner_text(".address")
    context = chromium.new_context(viewport={"width": 320, "height": 640}, color_scheme="dark")
    second = context.new_page()
    second.goto(invitation)
    second.fill("#name", "ben")
    second.keyboard.press("Enter")
    second.wait_for_url("**/tasks/*")
    second.goto(review.address)
    second.wait_for_selector(".turns li")
    assert second.evaluate("document.documentElement.scrollWidth") == 320
    assert second.inner_text("#facts") != page.inner_text("#facts")
    second.keyboard.press("2")
    (event,) = review.events(1, second)
    assert event.reviewer == "ben"
    context.close()


def test_a_conflict_is_settled_by_key_and_skipped_ones_wait(context: Any, workspace: Workspace) -> None:
    for reviewer, label in (("ben", "good"), ("cy", "bad")):
        for number in range(3):
            event_id = f"{reviewer}{number}"
            workspace.store.add_review(
                ReviewEvent(event_id, f"chat-{number:03}", "quality", reviewer, "label", START, label)
            )
    with served(workspace, review=Review(reviewers=2)) as address:
        page = opened(context, address)
        page.click("text=Conflicts (3)")
        page.wait_for_selector("#opinions li")
        assert page.inner_text("#opinions") == "ben said good\ncy said bad"
        page.keyboard.press("Space")
        page.keyboard.press("1")
        page.keyboard.press("2")
        wait_until(lambda: "No conflict is left." in page.inner_text("#facts"))
        assert page.inner_text("#opinions") == ""
        page.keyboard.press("u")
        wait_until(lambda: "chat-002" in page.inner_text("#facts"))
        page.wait_for_selector("#opinions li")
        page.keyboard.press("1")
        events = Stored(workspace.store, "quality", address).events(10, page)
    settled = {one.trace_id: (one.label, one.adjudicator) for one in decide(events)}
    assert settled == {"chat-001": ("good", "anna"), "chat-002": ("good", "anna")}


def test_a_suggestion_that_is_wrong_on_purpose_is_told_with_the_next_decision(
    context: Any, workspace: Workspace
) -> None:
    known = [Gold(f"chat-{number:03}", "quality", "good", "expert", START) for number in range(20, 40)]
    workspace.store.add_gold(known)
    with served(workspace, review=Review(probes=0.5, suggestions=0.5)) as address:
        page = opened(context, address)
        for _ in range(20):
            page.wait_for_selector(".label:not([disabled])")
            page.keyboard.press("1")
            wait_until(lambda: page.evaluate("Object.keys(localStorage).length") == 0)
            if page.is_visible("#told"):
                break
        told = page.inner_text("#told")
    assert 'The suggestion "bad" for chat-0' in told
    assert "wrong on purpose" in told
    shown = [event for event in workspace.store.reviews("quality") if event.action == "suggest"]
    assert shown
    assert shown[0].trace_id in told


def test_what_is_read_aloud_and_reached_by_tab(page: Any) -> None:
    assert page.get_attribute("#announcer", "aria-live") == "polite"
    page.keyboard.press("1")
    assert "New trace, 2 turns." in page.inner_text("#announcer")
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, a, summary')]"
        ".filter(e => !(e.textContent.trim() || e.labels?.length)).length"
    )
    assert unnamed == 0
    for _ in range(4):
        page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_another_site_cannot_decide(context: Any, page: Any, review: Stored) -> None:
    target = page.url.replace("/tasks/", "/api/tasks/") + "/events"
    other = context.new_page()
    other.goto("data:text/html,<title>another site</title>")
    event = {"events": [{"event_id": "forged", "action": "label", "trace_id": "chat-000", "label": "good"}]}
    outcome = other.evaluate(
        """async ([url, body]) => {
          const send = (type) => fetch(url, {method: "POST", mode: type === "text/plain" ? "no-cors" : "cors",
            credentials: "include", headers: {"Content-Type": type}, body}).then(() => "sent", () => "blocked");
          return [await send("application/json"), await send("text/plain")];
        }""",
        [target, str(event).replace("'", '"')],
    )
    assert outcome[0] == "blocked"
    assert not review.store.reviews(review.task)


PAYLOADS = [
    "<script>window.PWN=1</script>",
    "<img src=x onerror=window.PWN=1>",
    "<svg onload=window.PWN=1>",
    "<iframe srcdoc='<script>parent.PWN=1</script>'></iframe>",
    '"><script>window.PWN=1</script>',
    "'><img src=x onerror=window.PWN=1>",
    "</textarea><script>window.PWN=1</script>",
    "</script><script>window.PWN=1</script>",
    "<body onload=window.PWN=1>",
    "<details open ontoggle=window.PWN=1>",
    "<a href=javascript:window.PWN=1 autofocus onfocus=window.PWN=1>x</a>",
    "javascript:window.PWN=1",
    "{{ self.__init__.__globals__ }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "${window.PWN=1}",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=window.PWN=1></style></mglyph></math>",
    "<style>@import 'http://evil.example/x.css'</style>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "<base href=http://evil.example/>",
    "<object data=http://evil.example></object>",
    "<form action=http://evil.example><button autofocus>x</button></form>",
    "<!--><script>window.PWN=1</script>-->",
    "<template><script>window.PWN=1</script></template>",
    "\u202e<script>window.PWN=1</script>",
    "&lt;script&gt;window.PWN=1&lt;/script&gt;",
    "<ScRiPt >window.PWN=1</sCrIpT>",
    "<img src=http://evil.example/pixel.png>",
    "]]><script>window.PWN=1</script>",
    "__proto__",
]


def hostile(number: int, payload: str) -> Trace:
    return Trace(
        trace_id=f"{number} {payload}",
        input=payload,
        output=f"{payload} out",
        messages=(Message(payload, f"{payload} said"),),
        category=payload,
        metadata={payload: payload},
    )


def test_hostile_text_in_every_field_runs_nothing_and_calls_nobody(
    context: Any, tmp_path: Path, make_workspace: Any
) -> None:
    traces = [hostile(number, payload) for number, payload in enumerate(PAYLOADS)]
    labels = {f"good {PAYLOADS[0]}": PAYLOADS[1], f"bad {PAYLOADS[4]}": PAYLOADS[5]}
    workspace = make_workspace(tmp_path, traces, {f"quality {PAYLOADS[1]}": labels})
    called: list[str] = []
    context.on("request", lambda request: called.append(request.url))
    with workspace.store, served(workspace, reviewer=PAYLOADS[4]) as address:
        page = opened(context, address)
        faults: list[str] = []
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("pageerror", lambda error: faults.append(str(error)))
        for trace in traces:
            page.wait_for_selector(".label:not([disabled])")
            assert trace.output in page.inner_text("#turns")
            page.keyboard.press("1")
        wait_until(lambda: "30 labelled · 0 left" in page.inner_text("#counts"))
        page.wait_for_selector("#reveal:not([hidden])")
        assert page.evaluate("window.PWN") is None
        wait_until(lambda: len(workspace.store.reviews(workspace.tasks[0].name)) == len(traces))
    assert faults == []
    assert {url.split("/")[2] for url in called} == {address.split("/")[2]}
