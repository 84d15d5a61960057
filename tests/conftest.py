"""What several rooms' tests share: a project folder, and the command line as a function."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from chromium import launched
from hypothesis import settings
from postgres_server import Server, programs, temporary_folder
from topics_project import topics  # noqa: F401 - a fixture

settings.register_profile("default", deadline=None, max_examples=50)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

Run = Callable[..., subprocess.CompletedProcess[str]]

SCRIPT = """\
- {match: "(?i)problem solved", answer: solved}
- {match: "(?i)thank|great|perfect|works now", answer: satisfied}
- {answer: still looking}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the real vLLM run where `scripts/vllm install` has been run."""
    if (Path(__file__).parents[1] / ".vllm" / "installed").exists():
        return
    for item in items:
        if item.get_closest_marker("vllm"):
            item.add_marker(pytest.mark.skip(reason="run `scripts/vllm install` first"))


@pytest.fixture
def promptlabel(tmp_path: Path) -> Run:
    """The command line, run in `tmp_path` as a user would."""

    def run(
        *arguments: str | Path, cwd: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "promptlabel", *map(str, arguments)],
            cwd=cwd or tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "COLUMNS": "160", "NO_COLOR": "1"},
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{arguments} -> {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    return run


@pytest.fixture
def project(promptlabel: Run, tmp_path: Path) -> Path:
    """A project as `init` makes it, whose default model follows a script, with its sample ingested."""
    promptlabel("init", "first")
    root = tmp_path / "first"
    (root / "script.yaml").write_text(SCRIPT)
    configuration = (root / "promptlabel.yaml").read_text()
    (root / "promptlabel.yaml").write_text(
        configuration.replace("{provider: local}", "{provider: scripted, model: script.yaml}")
    )
    promptlabel("ingest", "sample.jsonl", cwd=root)
    return root


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser without a window, for the tests of one file."""
    with launched() as browser:
        yield browser


def read_json(done: subprocess.CompletedProcess[str]) -> Any:
    """The one object on stdout."""
    return json.loads(done.stdout)


@contextmanager
def _postgres(**settings: str) -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="needs the postgres extra")
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with temporary_folder() as folder:
        server = Server(Path(folder), **settings)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for tests that leave it running."""
    with _postgres(fsync="off") as server:
        yield server


@pytest.fixture
def mortal_postgres() -> Iterator[Server]:
    """A PostgreSQL server of the test's own, to be killed."""
    with _postgres() as server:
        yield server
