"""`freeze` on a real folder: whole or not at all, the same bytes twice, never an edit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from promptlabel.errors import InputError, PromptlabelError
from promptlabel.evals.versions import CASES_FILE, MANIFEST_FILE
from promptlabel.pipeline import freeze as freeze_module
from promptlabel.pipeline.freeze import freeze
from promptlabel.pipeline.workspace import open_workspace

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LATER = datetime(2026, 12, 24, tzinfo=UTC)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_blind_decisions_are_frozen_with_rules_and_counts(tone) -> None:
    names = list(tone.truth)[:20]
    tone.bring_gold(names)
    found = freeze(tone.workspace, tone.task, now=NOW)
    folder = tone.root / "evals" / "tone" / "2026.11.1"
    assert (found.version, found.path, found.cases, found.fresh) == ("2026.11.1", str(folder), 20, 20)
    lines = (folder / CASES_FILE).read_bytes().splitlines()
    assert [orjson.loads(line)["trace_id"] for line in lines] == names
    manifest = orjson.loads((folder / MANIFEST_FILE).read_bytes())
    assert {rule["rule"] for rule in manifest["rules"]} == {"thanks", "shouts", "swears"}
    assert manifest["counts"]["label"] == found.counts["label"]


def test_nothing_new_writes_nothing(tone) -> None:
    tone.bring_gold(list(tone.truth)[:5])
    freeze(tone.workspace, tone.task, now=NOW)
    before = files(tone.root / "evals")
    again = freeze(tone.workspace, tone.task, now=LATER)
    assert (again.changed, again.version, again.cases, again.fresh) == (False, "2026.11.1", 5, 0)
    assert files(tone.root / "evals") == before


def test_two_freezes_of_one_store_are_the_same_bytes(tone) -> None:
    tone.bring_gold(list(tone.truth)[:30])
    freeze(tone.workspace, tone.task, now=NOW)
    first = files(tone.root / "evals")
    (tone.root / "evals").rename(tone.root / "aside")
    freeze(tone.workspace, tone.task, now=NOW)
    assert files(tone.root / "evals") == first


def test_before_any_gold_there_is_no_version(tone) -> None:
    found = freeze(tone.workspace, tone.task, now=NOW)
    assert (found.version, found.path, found.cases, found.changed) == (None, None, 0, False)
    assert not (tone.root / "evals").exists()


def test_a_later_version_leaves_the_earlier_as_it_was(tone) -> None:
    tone.bring_gold(list(tone.truth)[:5])
    freeze(tone.workspace, tone.task, now=NOW)
    before = files(tone.root / "evals" / "tone" / "2026.11.1")
    tone.bring_gold(list(tone.truth)[5:8])
    found = freeze(tone.workspace, tone.task, now=LATER)
    assert (found.version, found.cases, found.fresh) == ("2026.12.1", 8, 3)
    assert files(tone.root / "evals" / "tone" / "2026.11.1") == before


def test_an_edited_version_stops_the_next(tone) -> None:
    tone.bring_gold(list(tone.truth)[:5])
    found = freeze(tone.workspace, tone.task, now=NOW)
    cases = Path(str(found.path)) / CASES_FILE
    cases.write_bytes(cases.read_bytes().replace(b'"good"', b'"bad"'))
    tone.bring_gold(list(tone.truth)[5:8])
    with pytest.raises(InputError, match="edited after it was frozen"):
        freeze(tone.workspace, tone.task, now=LATER)


def test_a_failure_half_way_leaves_no_version(tone, monkeypatch: pytest.MonkeyPatch) -> None:
    tone.bring_gold(list(tone.truth)[:5])

    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(freeze_module, "manifest_bytes", full)
    with pytest.raises(OSError, match="No space"):
        freeze(tone.workspace, tone.task, now=NOW)
    assert files(tone.root / "evals") == {}


def test_a_version_made_meanwhile_is_never_overwritten(tone, monkeypatch: pytest.MonkeyPatch) -> None:
    tone.bring_gold(list(tone.truth)[:5])
    taken = tone.root / "evals" / "tone" / "2026.11.1"
    taken.mkdir(parents=True)
    (taken / "theirs").write_text("kept")
    monkeypatch.setattr(freeze_module, "read_versions", lambda _: ())
    with pytest.raises(PromptlabelError, match="run this again"):
        freeze(tone.workspace, tone.task, now=NOW)
    assert list(files(taken)) == ["theirs"]


def test_only_traces_after_the_holdout_enter(tone, tmp_path: Path) -> None:
    tone.bring_gold(list(tone.truth))
    root = tone.root
    tone.workspace.store.close()
    task = root / "rules" / "tone" / "task.yaml"
    task.write_text(task.read_text() + "holdout_after: 2026-08-01\n")
    with open_workspace(root) as workspace:
        found = freeze(workspace, workspace.tasks[0], now=NOW)
    months = found.counts["month"]
    assert set(months) == {"2026-08", "2026-09"}
    assert {one.reason for one in found.refused} == {"not later than the task's holdout_after"}
