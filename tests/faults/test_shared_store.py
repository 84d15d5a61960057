from __future__ import annotations

import random
from pathlib import Path

import pytest
from postgres_server import Server


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_doubled_when_the_database_is_killed(
    mortal_postgres: Server, tmp_path: Path
) -> None:
    from faults.shared import Load, rage

    load = Load(writers=2, reviewers=3, seconds=12.0, kills=2, items=2000)
    verdict = rage(mortal_postgres, tmp_path, load, random.Random(20260301))
    assert verdict.votes > 2000
    assert verdict.paid > 0
    assert verdict.decisions > 20
    assert verdict.sound, verdict
