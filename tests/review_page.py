"""The review page as a process of its own, as a user starts it, and a browser that is signed in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx


@contextmanager
def reviewing(root: Path) -> Iterator[httpx.Client]:
    """A signed-in browser of `promptlabel review`, which runs as a user starts it."""
    command = [sys.executable, "-m", "promptlabel", "review", "--port", "0", "--json"]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = json.loads(process.stdout.readline())["address"]
        with httpx.Client(
            base_url=address.partition("/join/")[0], follow_redirects=True, timeout=30
        ) as client:
            assert client.get(address).status_code == 200
            yield client
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
