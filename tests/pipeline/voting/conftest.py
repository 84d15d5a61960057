"""A stand-in for vLLM, and a rule that the kernel kills for its memory, as long as there is a group of processes with too little."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from llm.standin_vllm import vllm, weights  # noqa: F401 - fixtures

_SOURCE = """
from pathlib import Path
from promptlabel import heuristic

@heuristic
def hungry(trace):
    import os
    if trace.metadata["number"] == 250 and Path("{folder}").exists():
        (Path("{folder}") / "cgroup.procs").write_text(str(os.getpid()))
        return "good" if len(b"x" * (1 << 30)) else None
    return None
"""


@dataclass(frozen=True)
class Hungry:
    """The rule's source, and the group that its process enters over trace 250."""

    folder: Path

    @property
    def source(self) -> str:
        return _SOURCE.format(folder=self.folder)

    def feed(self) -> None:
        """Nothing; the rule has all the memory it wants."""
        for _ in range(100):
            try:
                self.folder.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.1)
            else:
                return


@pytest.fixture
def hungry() -> Iterator[Hungry]:
    """The kernel kills whoever is in the group and needs more than 300 MB."""
    folder = Path(f"/sys/fs/cgroup/memory/promptlabel-test-{os.getpid()}")
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(300 << 20))
    except OSError as error:
        pytest.skip(f"needs control groups of memory that may be changed: {error}")
    rule = Hungry(folder)
    yield rule
    rule.feed()
