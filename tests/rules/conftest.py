"""A project folder that tests fill."""

from collections.abc import Callable
from pathlib import Path

import pytest

from promptlabel.settings import Project, load_project

CONFIGURATION = "models: {default: {provider: local}, judge: {model: openai/gpt-5-mini}}\n"
TASK = "task: quality\nlabels: {good: Solved., bad: Not.}\n"


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Project]:
    """Writes files of ``rules/quality/`` (or a path with folders) and loads the project."""

    def write(files: dict[str, str]) -> Project:
        for name, text in {
            "promptlabel.yaml": CONFIGURATION,
            "rules/quality/task.yaml": TASK,
            **files,
        }.items():
            path = tmp_path / (name if "/" in name or name == "promptlabel.yaml" else f"rules/quality/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return load_project(tmp_path)

    return write
