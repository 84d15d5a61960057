from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from store_samples import RULE, TASK, a_trace, a_vote, an_attempt, by_key

from promptlabel.pipeline.doctor import Check, Diagnosis, doctor
from promptlabel.store.contract import Spent
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.store.sharing import StoreServer

CONFIGURATION = "models:\n  default: {provider: scripted, model: answers.yaml}\n"


def opened(root: Path) -> DuckDBStore:
    return DuckDBStore(root / ".promptlabel" / "store.duckdb", root / ".promptlabel" / "journal")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "promptlabel.yaml").write_text(CONFIGURATION)
    with opened(tmp_path) as store:
        store.register_rules(TASK, [RULE])
        store.add_traces(map(a_trace, range(20)))
        votes = [a_vote(number) for number in range(20)]
        store.add_votes(votes, [an_attempt(vote) for vote in votes])
    return tmp_path


def faults(diagnosis: Diagnosis) -> dict[str, Check]:
    return {check.name: check for check in diagnosis.checks if not check.ok}


def is_as_paid(root: Path) -> bool:
    with opened(root) as store:
        store.register_rules(TASK, [RULE])
        kept = by_key([vote for _, vote in store.votes(TASK)])
        return kept == by_key([a_vote(number) for number in range(20)]) and store.spent() == Spent(5.0, 20)


def test_a_sound_project_has_no_faults(root: Path) -> None:
    diagnosis = doctor(root)
    assert faults(diagnosis) == {}
    assert diagnosis.exit_code == 0
    names = {check.name for check in diagnosis.checks}
    assert {"python", "packages", "extras", "configuration", "disk", "store", "journal checksums"} <= names


def test_a_project_without_a_store_yet_is_sound(tmp_path: Path) -> None:
    (tmp_path / "promptlabel.yaml").write_text(CONFIGURATION)
    assert doctor(tmp_path).exit_code == 0
    assert doctor(tmp_path, repair=True).exit_code == 0
    assert not (tmp_path / ".promptlabel").exists()


def test_a_faulty_configuration_is_one_of_the_findings(root: Path) -> None:
    (root / "promptlabel.yaml").write_text("modles: {}\n")
    assert "modles" in faults(doctor(root))["configuration"].detail


def test_missing_weights_are_named_with_their_model(root: Path) -> None:
    (root / "promptlabel.yaml").write_text("models:\n  mine: {provider: local, model: nowhere.gguf}\n")
    assert "nowhere.gguf" in faults(doctor(root))["weights"].detail


def test_a_store_held_by_somebody_is_said_to_be(root: Path) -> None:
    with opened(root):
        fault = faults(doctor(root))["store"]
    assert "held by process" in fault.detail


def test_a_store_that_is_lent_is_asked_through_whoever_lends_it(root: Path) -> None:
    with opened(root) as store, closing(StoreServer(store, root / ".promptlabel")):
        told = {check.name: check for check in doctor(root).checks}
        refused = faults(doctor(root, repair=True))["store"]
    assert (told["store"].ok, told["history"].ok) == (True, True)
    assert "lent by the process of a page" in told["store"].detail
    assert "held by process" in refused.detail


def test_a_damaged_journal_line_is_named_and_made_good_from_the_store(root: Path) -> None:
    segment = root / ".promptlabel" / "journal" / "000001.jsonl"
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    found = faults(doctor(root))
    assert found["journal checksums"].detail.startswith(f"{segment}:")
    assert "repair" in (found["journal checksums"].remedy or "")
    assert doctor(root, repair=True).exit_code == 0
    assert doctor(root).exit_code == 0
    assert is_as_paid(root)


@pytest.mark.parametrize("ruin", [Path.unlink, lambda path: path.write_bytes(b"rubbish" * 9999)])
def test_votes_and_ledger_come_back_from_the_journal_alone(root: Path, ruin: object) -> None:
    ruin(root / ".promptlabel" / "store.duckdb")  # type: ignore[operator]
    assert doctor(root).exit_code == 1
    repaired = faults(doctor(root, repair=True))
    assert set(repaired) == {"lost commits"}
    assert "20 traces" in repaired["lost commits"].detail
    assert "ingest" in (repaired["lost commits"].remedy or "")
    assert is_as_paid(root)
    assert doctor(root).exit_code == 0


LIST_MODULES = """
import sys, json
from contextlib import closing
from pathlib import Path
from promptlabel.pipeline.doctor import doctor
doctor(Path(sys.argv[1]))
print(json.dumps(sorted(sys.modules)))
"""


def test_nothing_heavy_is_imported(root: Path) -> None:
    command = [sys.executable, "-c", LIST_MODULES, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"litellm", "instructor", "torch", "pandas", "snorkel", "sklearn", "aiohttp"}
    assert heavy.isdisjoint(json.loads(done.stdout))
    assert done.stderr == ""
