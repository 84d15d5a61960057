"""The pages of people with roles in a real browser: what each is shown, on small and dark screens, and axe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from app_server import served_here

from promptlabel.pipeline.authoring.workbench import Bench
from promptlabel.pipeline.recording import Actor
from promptlabel.records import Trace
from promptlabel.settings import Review, Settings
from promptlabel.web.access import PROOF, TrustedProxy
from promptlabel.web.review import Admission, review_app

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytestmark = pytest.mark.browser

KEY, USER = "0123456789abcdef", "X-Forwarded-User"
PEOPLE = Settings.model_validate(
    {"people": {"rita": "reviewer", "max": ["expert", "maintainer"], "eve": "expert"}}
).people
HOSTILE = "<img src=x onerror=window.PWN=1>"


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any, make_workspace: Any, sample: list[Trace]) -> Iterator[str]:
    workspace = make_workspace(
        tmp_path_factory.mktemp("people"), sample, {"quality": {"good": "", "bad": ""}}
    )
    folder = workspace.project.rules / "quality"
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text("task: quality\nlabels: {good: '', bad: ''}\n")
    (folder / "short.yaml").write_text("sql: {bad: 'length(output) < 20'}\n")
    bench = Bench(workspace.project, lambda: nullcontext(workspace))
    admission = Admission(PEOPLE, TrustedProxy(USER, KEY, PEOPLE), bench)
    details = {"version": "2026.11.1", "cases": 781, "new": 12, "files": [HOSTILE, "b.jsonl"]}
    frozen = Actor("max", "cli", "max@labels-1").deed("freeze", task="quality", details=details)
    workspace.store.add_deed(frozen)
    workspace.store.add_deed(Actor(HOSTILE, "page", "10.0.0.9").deed("open a page", outcome="refused"))
    with workspace.store:
        app = review_app(workspace.store, workspace.tasks, review=Review(reviewers=2), admission=admission)
        with served_here(app) as address:
            yield address.partition("/join/")[0]


@pytest.fixture(params=["light", "dark"])
def as_(request: pytest.FixtureRequest, chromium: Any) -> Iterator[Any]:
    """A page of the browser of whoever is named."""
    contexts = []

    def opened(name: str | None, width: int = 1280) -> Any:
        headers = {PROOF: KEY, USER: name} if name else {}
        context = chromium.new_context(
            extra_http_headers=headers,
            color_scheme=request.param,
            viewport={"width": width, "height": 800},
        )
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


def violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    return [found["id"] for found in axe.run(page).response["violations"]]


@pytest.mark.parametrize("width", [1280, 320])
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("max", "/history"),
        ("max", "/tasks/quality"),
        ("max", "/workbench"),
        ("rita", "/history"),
        (None, "/tasks/quality"),
    ],
)
def test_nobody_is_kept_out_by_how_it_looks(
    as_: Any, base: str, name: str | None, path: str, width: int, tmp_path: Path
) -> None:
    page = as_(name, width)
    page.goto(f"{base}{path}", wait_until="networkidle")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("window.PWN") is None


def test_each_is_shown_what_they_may_do_and_gets_there(as_: Any, base: str) -> None:
    def links(name: str) -> list[str]:
        page = as_(name)
        page.goto(base, wait_until="networkidle")
        return [text.strip() for text in page.locator("nav a").all_inner_texts()]

    assert links("rita") == []
    assert links("eve") == ["Workbench"]
    assert links("max") == ["Workbench", "History"]
    page = as_("max")
    page.goto(base)
    page.get_by_role("link", name="Workbench").click()
    page.locator("#source").wait_for()
    page.get_by_role("link", name="History").click()
    assert page.get_by_role("cell", name="freeze", exact=True).count() == 1
    page.get_by_role("link", name="Review").click()
    page.get_by_role("button", name="good").wait_for()


def test_a_decision_is_made_under_the_name_that_the_proxy_gives(as_: Any, base: str) -> None:
    page = as_("rita")
    page.goto(base, wait_until="networkidle")
    assert page.locator("summary").first.inner_text() == "rita"
    page.keyboard.press("1")
    page.locator("#reveal").wait_for()
