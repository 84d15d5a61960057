"""The command line starts at once: nothing heavy is loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "litellm",
    "instructor",
    "torch",
    "pandas",
    "snorkel",
    "sklearn",
    "scipy",
    "numpy",
    "duckdb",
    "aiohttp",
    "rich",
)


def loaded(code: str) -> set[str]:
    printed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {name.split(".")[0] for name in printed.splitlines()[-1].split()}


def test_help_loads_nothing_heavy():
    code = "import sys; sys.argv = ['promptlabel', '--help']\nfrom promptlabel.cli import main\ntry: main()\nexcept SystemExit: pass"
    assert not loaded(code) & set(HEAVY)


def test_the_package_itself_loads_nothing_heavy():
    assert not loaded("import promptlabel") & set(HEAVY)


def test_checking_rules_loads_no_model_library(project):
    code = f"from pathlib import Path\nfrom promptlabel.pipeline.authoring.check import check\ncheck(Path({str(project)!r}))"
    assert not loaded(code) & {"litellm", "instructor", "torch", "pandas", "snorkel", "sklearn", "aiohttp"}


@pytest.mark.parametrize("name", ["ABSTAIN", "LabelModel", "analyze_votes", "heuristic"])
def test_the_public_names_can_be_imported(name):
    import promptlabel

    assert name in promptlabel.__all__
    assert getattr(promptlabel, name) is not None
