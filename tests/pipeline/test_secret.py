"""The project's secret: made once, kept from others."""

from __future__ import annotations

import stat
from pathlib import Path

from promptlabel.pipeline.secret import project_secret
from promptlabel.settings import Project, Settings


def test_it_is_made_once_and_only_the_owner_reads_it(tmp_path: Path):
    project = Project(tmp_path, Settings())
    secret = project_secret(project)
    assert len(secret) == 64
    assert project_secret(project) == secret
    assert stat.S_IMODE((project.state / "secret").stat().st_mode) == 0o600


def test_every_project_has_its_own(tmp_path: Path):
    one, other = (Project(tmp_path / name, Settings()) for name in "ab")
    assert project_secret(one) != project_secret(other)
