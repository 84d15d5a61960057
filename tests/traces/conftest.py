from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from promptlabel.traces.plain import Record
from promptlabel.traces.reading import read_files


@pytest.fixture
def read_rows(tmp_path: Path) -> Callable[..., list[Record]]:
    """Reads JSON objects through a file named export.jsonl."""

    def read(*rows: object) -> list[Record]:
        path = tmp_path / "export.jsonl"
        path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
        return list(read_files([path]))

    return read
