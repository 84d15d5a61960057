from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import Server, programs, temporary_folder

pytest.importorskip("psycopg", reason="needs the postgres extra")


@pytest.fixture
def server() -> Iterator[Server]:
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with temporary_folder() as folder:
        server = Server(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_doubled_when_the_database_is_killed(
    server: Server, tmp_path: Path
) -> None:
    from faults.shared import Load, rage

    load = Load(writers=2, reviewers=3, seconds=12.0, kills=2, items=2000)
    verdict = rage(server, tmp_path, load, random.Random(20260301))
    assert verdict.votes > 2000
    assert verdict.paid > 0
    assert verdict.decisions > 20
    assert verdict.sound, verdict
