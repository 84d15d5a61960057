"""The workbench over HTTP, and in a real browser: keys, faults, runs, saves, hostile text, small and dark screens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from app_server import served_here
from chromium import launched
from topics_project import gold

from promptlabel.errors import StoreHeldError
from promptlabel.people import clean_name
from promptlabel.pipeline.workspace import Workspace, open_project
from promptlabel.records import Trace
from promptlabel.web.workbench import _WRITER, workbench_app

TASK = "answer_quality"
HOSTILE = "<img src=x onerror=window.PWN=1><script>window.PWN=1</script>"


@pytest.fixture
def bench(project: Path) -> Iterator[Workspace]:
    with open_project(project) as workspace:
        workspace.store.add_traces([Trace("hostile", input=HOSTILE, output=HOSTILE)])
        yield workspace


def signed_in(browser: Any, workspace: Workspace) -> Any:
    app = workbench_app(workspace.project, lambda: nullcontext(workspace))
    client = browser(app)
    assert client.get(f"/join/{app.state.token}").status_code == 303
    return client


def test_strangers_are_let_into_nothing(browser, bench):
    client = browser(workbench_app(bench.project, lambda: nullcontext(bench)))
    assert client.get("/").status_code == 403
    assert client.get("/join/wrong").status_code == 403
    for what in ("tasks", "open", "check", "try", "save"):
        assert client.post(f"/api/{what}", json={}).status_code == 403


def test_no_reviewer_can_take_the_rule_writers_name():
    assert clean_name(_WRITER) != _WRITER


def test_foreign_sites_and_hosts_are_refused(browser, bench):
    client = signed_in(browser, bench)
    assert client.post("/api/tasks", json={}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.post("/api/tasks", content="{}", headers={"Content-Type": "text/plain"}).status_code == 415


def test_the_page_says_what_it_may_load(browser, bench):
    page = signed_in(browser, bench).get("/")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "onclick" not in page.text
    assert "<script>" not in page.text


def test_a_rule_is_opened_checked_tried_and_saved(browser, bench, project):
    client = signed_in(browser, bench)
    assert client.post("/api/tasks", json={}).json() == {"tasks": {TASK: ["asks_again.yaml", "solved.jinja"]}}
    opened = client.post("/api/open", json={"task": TASK, "file": "new.yaml"}).json()
    draft = {"task": TASK, "file": "new.yaml", "text": "sql: {bad: 'length(output) < 40'}\n"}
    assert client.post("/api/check", json=draft).json() == {"faults": []}
    trial = client.post("/api/try", json={**draft, "count": 5}).json()
    assert len(trial["rows"]) == 5
    saved = client.post("/api/save", json={**draft, "version": opened["version"]}).json()
    assert (project / "rules" / TASK / "new.yaml").read_text() == draft["text"]
    again = client.post("/api/save", json={**draft, "version": None})
    assert (again.status_code, "changed on disk" in again.json()["error"]) == (409, True)
    assert client.post("/api/save", json={**draft, "version": saved["version"]}).status_code == 200


def test_the_page_works_while_another_verb_has_the_store_and_what_was_done_is_written_later(
    browser, bench, project
):
    free = True

    @contextmanager
    def opened():
        if not free:
            raise StoreHeldError("store.duckdb", 4711)
        yield bench

    app = workbench_app(bench.project, opened)
    free, client = False, browser(app)
    client.get(f"/join/{app.state.token}")
    assert client.get("/").status_code == 200
    draft = {"task": TASK, "file": "new.yaml", "text": "sql: {bad: 'length(output) < 40'}\n"}
    assert client.post("/api/save", json={**draft, "version": None}).status_code == 200
    assert list(bench.store.deeds()) == []
    with pytest.raises(StoreHeldError):
        app.state.book.finish()
    free = True
    app.state.book.finish()
    assert [entry.deed.verb for entry in bench.store.deeds()] == ["sign in", "save rule"]


def test_a_faulty_draft_answers_with_its_faults(browser, bench):
    draft = {"task": TASK, "file": "new.yaml", "text": 'prompt: "{{ trace.inptu }}"\n', "count": 5}
    refused = signed_in(browser, bench).post("/api/try", json=draft)
    assert refused.status_code == 422
    assert refused.json()["faults"][0]["line"] == 1


def test_requests_of_another_shape_are_refused(browser, bench):
    client = signed_in(browser, bench)
    for content in (
        {},
        {"task": TASK},
        {"task": TASK, "file": "a.yaml", "text": "x", "count": 10_000},
        {"task": 1},
    ):
        assert client.post("/api/try", json=content).status_code == 422


# --- in a browser


@contextmanager
def served(workspace: Workspace) -> Iterator[str]:
    with served_here(workbench_app(workspace.project, lambda: nullcontext(workspace))) as address:
        yield address


@pytest.fixture
def page(bench: Workspace) -> Iterator[Any]:
    with launched() as chromium, served(bench) as address:
        opened = chromium.new_page(viewport={"width": 320, "height": 800}, color_scheme="dark")
        problems: list[str] = []
        opened.on("console", lambda message: message.type == "error" and problems.append(message.text))
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.goto(address)
        opened.locator("#state", has_text="No faults").wait_for()
        yield opened
        assert [problem for problem in problems if "409" not in problem and "422" not in problem] == []


def write(page: Any, text: str) -> None:
    page.locator("#source").fill(text)


@pytest.mark.browser
def test_a_rule_is_written_by_keyboard_alone(page, project):
    page.locator("#new").focus()
    page.keyboard.press("Enter")
    page.locator("#new-name").fill("short")
    page.keyboard.press("Enter")
    page.locator("#source:focus").wait_for()
    page.keyboard.press("Control+a")
    page.keyboard.type("sql: {bda: 'length(output) < 40'}")
    page.locator("#faults", has_text="did you mean 'bad'").wait_for()
    assert page.locator(".line-fault").count() == 1
    write(page, "sql: {bad: 'length(output) < 40'}\n")
    page.locator("#state", has_text="No faults. Not saved.").wait_for()
    page.keyboard.press("Control+Enter")
    page.locator(".trace").first.wait_for()
    assert page.locator(".trace").count() == 13
    page.keyboard.press("Control+s")
    page.locator("#state", has_text=re.compile("^Saved")).wait_for()
    assert (project / "rules" / TASK / "short.yaml").read_text() == "sql: {bad: 'length(output) < 40'}\n"
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.browser
def test_what_changed_on_disk_is_not_overwritten_and_the_text_stays(page, project):
    path = project / "rules" / TASK / "asks_again.yaml"
    theirs = path.read_text() + "# theirs\n"
    path.write_text(theirs)
    write(page, "sql: {bad: 'true'}")
    page.keyboard.press("Control+s")
    page.locator("#state", has_text="changed on disk").wait_for()
    assert path.read_text() == theirs
    assert page.locator("#source").input_value() == "sql: {bad: 'true'}"


@pytest.mark.browser
def test_hostile_traces_and_rules_stay_text(page):
    write(page, f"description: '{HOSTILE}'\nsql: {{bad: 'true'}}\n")
    page.keyboard.press("Control+Enter")
    page.locator(".snippet", has_text="onerror").first.wait_for()
    assert page.evaluate("window.PWN") is None
    assert page.locator("#bench img, #bench script").count() == 0


@pytest.fixture
def page_of_sets(topics: tuple[Workspace, dict[str, str]]) -> Iterator[Any]:
    """The workbench of a task where several labels may apply, with gold that differs from the rules here and there."""
    workspace, truth = topics
    gold(workspace, "topics", truth | {"t005": "shipping", "t007": "bug, refund"})
    with launched() as chromium, served(workspace) as address:
        opened = chromium.new_page(viewport={"width": 1280, "height": 900})
        opened.goto(address)
        opened.locator("#state", has_text="No faults").wait_for()
        yield opened


@pytest.mark.browser
def test_a_rule_about_one_label_is_shown_beside_whole_sets(page_of_sets):
    write(page_of_sets, "keyword: {refund: [refund], none: [thanks]}\n")
    page_of_sets.locator("#state", has_text="No faults. Not saved.").wait_for()
    page_of_sets.locator("#source").focus()
    page_of_sets.keyboard.press("Control+Enter")
    page_of_sets.locator(".trace").first.wait_for()
    assert "9 of 10 with gold are right" in page_of_sets.locator("#summary").inner_text()
    table = page_of_sets.locator(".figures table")
    assert table.locator("caption").inner_text() == "Votes by label, against gold"
    rows = [row.inner_text().split() for row in table.locator("tbody tr").all()]
    assert rows == [
        ["refund", "4", "1", "5", "0", "10"],
        ["shipping", "0", "0", "5", "0", "15"],
        ["bug", "0", "0", "5", "0", "15"],
    ]
    first = page_of_sets.locator(".trace").first
    assert first.locator(".vote.wrong").inner_text() == "✗ refund"
    right = page_of_sets.locator(".trace", has_text="t001")
    assert right.locator(".vote.right").inner_text() == "✓ refund"
    assert right.locator(".unsaid").inner_text() == "shipping"
