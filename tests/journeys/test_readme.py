"""The README's commands work as written, each section in an empty folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
SECTIONS = ("You write the rules", "You run the batches", "You review", "You keep the eval sets")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def section(title: str) -> str:
    return README.read_text().split(f"### {title}\n")[1].split("\n### ")[0].split("\n## ")[0]


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_works_as_written(title, tmp_path):
    pytest.importorskip("xllamacpp", reason="the packaged model needs the extra `local`")
    commands = "".join(blocks(section(title), "sh"))
    served = re.search(r"^promptlabel review.*$", commands, flags=re.MULTILINE)
    script = commands.replace(served.group(), "") if served else commands
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if served:
        opens_a_page(served.group().replace("8711", "0"), tmp_path / "reviews")


def opens_a_page(command: str, folder: Path) -> None:
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with subprocess.Popen(
        command.split(), cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            address = re.search(r"http://\S+", server.stdout.readline()).group()
            with browser.open(address, timeout=20) as page:
                assert b"<html" in page.read()
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0


def test_the_python_example_runs():
    for code in blocks(README.read_text(), "python"):
        exec(compile(code, str(README), "exec"), {})  # noqa: S102 - the README's own code


def test_every_path_named_exists():
    named = re.findall(r"\]\(((?!http)[^)#]+)\)|`(scripts/\w+|\./scripts/\w+)", README.read_text())
    assert named
    for pair in named:
        assert (README.parent / next(filter(None, pair))).exists(), pair
