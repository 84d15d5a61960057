from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from promptlabel.errors import StoreError
from promptlabel.store.holding import held

HOLDER = """
import sys
from pathlib import Path
from promptlabel.store.holding import held
with held(Path(sys.argv[1]), 'asking models'):
    print("in", flush=True)
    sys.stdin.read()
"""


def test_one_process_asks_at_a_time_and_a_dead_one_is_in_nobodys_way(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with (
            pytest.raises(StoreError, match=f"process {other.pid} is asking models"),
            held(tmp_path, "asking models"),
        ):
            pass
        other.kill()
    with (
        held(tmp_path, "asking models"),
        pytest.raises(StoreError, match=str(os.getpid())),
        held(tmp_path, "asking models"),
    ):
        pass
    with held(tmp_path, "asking models"):
        pass
