"""The report in Chromium: nothing is asked for, nothing runs over, whatever the width, the light and the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flywheel.test_flywheel_report import EMPTY, a_report, simulated

from promptlabel.flywheel.report import report_html

pytestmark = pytest.mark.browser

CONTRAST = """() => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(x => { x /= 255; return x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4 });
    return .2126 * r + .7152 * g + .0722 * b };
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c)) return c } return 'rgb(255,255,255)' };
  return [...document.querySelectorAll('p, td, th, h1, h2, h3, b, span, code')].filter(e => e.textContent.trim() && e.offsetWidth).map(e => {
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    return [(a + .05) / (b + .05), e.textContent.trim().slice(0, 40)] }).filter(([ratio]) => ratio < 4.5) }"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_html(a_report(simulated(), EMPTY)))
    return path


@pytest.mark.parametrize("width", [320, 768, 1200])
@pytest.mark.parametrize("light", ["light", "dark"])
def test_it_asks_for_nothing_runs_over_nowhere_and_can_be_read(
    chromium: Any, page_file: Path, width: int, light: str
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=light)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.goto(page_file.as_uri())
    page.wait_for_load_state("networkidle")
    assert asked == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) == []
    context.close()


def test_on_paper_no_figure_is_cut(chromium: Any, page_file: Path) -> None:
    context = chromium.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(CONTRAST) == []
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.set_viewport_size({"width": 718, "height": 1000})
    cut = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert page.evaluate(cut) == 0
    context.close()
