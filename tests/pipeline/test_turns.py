from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from promptlabel.errors import PromptlabelError
from promptlabel.pipeline.turns import turn_to_ask
from promptlabel.settings import Project, Settings

HOLDER = """
import sys
from pathlib import Path
from promptlabel.pipeline.turns import turn_to_ask
from promptlabel.settings import Project, Settings
with turn_to_ask(Project(Path(sys.argv[1]), Settings())):
    print("in", flush=True)
    sys.stdin.read()
"""


def test_one_process_asks_at_a_time_and_a_dead_one_is_in_nobodys_way(tmp_path: Path) -> None:
    project = Project(tmp_path, Settings())
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with (
            pytest.raises(PromptlabelError, match=f"process {other.pid} is asking models"),
            turn_to_ask(project),
        ):
            pass
        other.kill()
    with turn_to_ask(project), pytest.raises(PromptlabelError, match=str(os.getpid())), turn_to_ask(project):
        pass
    with turn_to_ask(project):
        pass
