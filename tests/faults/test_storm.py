"""Everything at once: a storm of faults of every kind that may pass, and kills at random moments."""

from __future__ import annotations

import random

from faults.project import Project
from faults.server import serving
from faults.storm import RATES, TIMEOUT, Storm


def test_a_storm_of_faults_and_kills_loses_nothing_and_pays_for_nothing_twice(tmp_path):
    with serving("--seed", "3") as server:
        storm = Storm(Project(tmp_path, server), random.Random(3), traces=600)
        storm.prepare()
        storm.rage(faults=600, kills=4)
        findings = storm.settle()
    assert not any(findings.violations.values()), findings
    assert storm.hangs == 0
    assert findings.longest <= TIMEOUT * 1.05 + 0.2
    assert len(findings.kills) == 4
    assert len(findings.injected.keys() & RATES.keys()) > 20
