"""`freeze` on a real folder: whole or not at all, the same bytes twice, never an edit."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from promptlabel.errors import InputError, PromptlabelError
from promptlabel.evals.versions import CASES_FILE, MANIFEST_FILE
from promptlabel.pipeline.evaluating import freeze as freeze_module
from promptlabel.pipeline.evaluating.freeze import Options, freeze
from promptlabel.pipeline.exporting.export import export
from promptlabel.pipeline.exporting.trained import trained_repeats
from promptlabel.pipeline.fitting.fit import fit
from promptlabel.pipeline.workspace import open_workspace
from promptlabel.records import Gold, Trace

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
    monkeypatch.setattr(freeze_module, "eval_versions", lambda *_: ())
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


def test_a_dry_freeze_says_what_would_change_and_writes_nothing(tone) -> None:
    tone.bring_gold(list(tone.truth)[:5])
    freeze(tone.workspace, tone.task, now=NOW)
    before = files(tone.root / "evals")
    tone.bring_gold(list(tone.truth)[5:8])
    found = freeze(tone.workspace, tone.task, now=NOW, options=Options(dry=True))
    assert (found.version, found.written, found.changed) == ("2026.11.2", False, True)
    assert found.diff[0] == "2026.11.2 against 2026.11.1: 5 cases became 8; 3 entered, 0 left, 0 relabelled"
    assert files(tone.root / "evals") == before


def test_with_nothing_new_the_last_change_is_told(tone) -> None:
    tone.bring_gold(list(tone.truth)[:5])
    freeze(tone.workspace, tone.task, now=NOW)
    assert freeze(tone.workspace, tone.task, now=NOW).diff[0] == "2026.11.1 is the first version: 5 cases"


def test_what_was_exported_for_training_is_refused_until_it_is_exported_anew(tone) -> None:
    fit(tone.workspace, tone.task, method="em")
    export(tone.workspace, "training", tone.root / "rows.jsonl")
    tone.bring_gold(list(tone.truth)[:5])
    refused = freeze(tone.workspace, tone.task, now=NOW)
    assert refused.version is None
    assert {one.match for one in refused.refused} == {
        f"row {name} of rows.jsonl, exported for training" for name in list(tone.truth)[:5]
    }
    taken = freeze(tone.workspace, tone.task, now=NOW, options=Options(despite_training=True))
    assert taken.cases == 5
    export(tone.workspace, "training", tone.root / "rows.jsonl")
    assert trained_repeats(tone.workspace, "tone", [tone_trace(tone, name) for name in tone.truth][:5]) == {}


def test_cases_that_most_rules_call_otherwise_are_hard(tone) -> None:
    tone.bring_gold(list(tone.truth)[:100])
    found = freeze(tone.workspace, tone.task, now=NOW)
    table = tone.workspace.store.vote_table("tone", tone.task.labels)
    outvoted = 0
    for name in list(tone.truth)[:100]:
        votes = [tone.task.labels[v] for v in table.votes[table.trace_ids.index(name)] if v >= 0]
        outvoted += votes.count(tone.truth[name]) < len(votes) / 2
    assert found.counts["hard"] == {"outvoted": outvoted}


def test_the_refresh_is_proposed_and_waits_in_the_queue(tone) -> None:
    chat = [name for name in list(tone.truth)[:80] if tone_trace(tone, name).category == "chat"]
    tone.bring_gold(chat)
    found = freeze(tone.workspace, tone.task, now=NOW, options=Options(reviews=20, enqueue=True))
    assert found.freshness is not None
    assert found.freshness.category is not None
    assert found.freshness.category.p_value < 0.01
    assert found.freshness.trails_in == ("category",)
    assert found.refresh is not None
    assert found.refresh.after < found.refresh.at_random < found.refresh.before
    assert sum(cell.reviews for cell in found.refresh.wanted if cell.category == "code") > 15
    waiting = tone.workspace.store.queue("tone", undecided=True)
    assert [pick.trace_id for pick in waiting] == list(found.refresh.trace_ids)
    assert {pick.lane for pick in waiting} == {"refresh"}
    assert found.queued == len(waiting) == 20


def test_gold_brought_for_the_queue_keeps_how_it_was_drawn(tone) -> None:
    queue = tone.fit_and_queue()
    tone.bring_gold([item.trace_id for item in queue.items])
    found = freeze(tone.workspace, tone.task, now=NOW)
    cases = [orjson.loads(line) for line in (Path(str(found.path)) / CASES_FILE).read_bytes().splitlines()]
    chosen = {item.trace_id: (item.lane, item.probability) for item in queue.items}
    assert {case["trace_id"]: (case["lane"], case["probability"]) for case in cases} == {
        case["trace_id"]: chosen[case["trace_id"]] for case in cases
    }
    assert all(case["weight"] == pytest.approx(1 / case["probability"]) for case in cases)


def test_quotas_and_shortfalls_follow_the_project(tone, tmp_path: Path) -> None:
    tone.bring_gold(list(tone.truth))
    root = tone.root
    tone.workspace.store.close()
    (root / "promptlabel.yaml").write_text("evals: {least: 11, most: 12, retire_after_days: 50}\n")
    with open_workspace(root) as workspace:
        found = freeze(workspace, workspace.tasks[0], now=NOW)
    cases = [orjson.loads(line) for line in (Path(str(found.path)) / CASES_FILE).read_bytes().splitlines()]
    cells = Counter((case["category"], case["timestamp"][:7]) for case in cases)
    assert max(cells.values()) == 12
    assert {(short.category, short.month): short.cases for short in found.short} == {
        cell: number for cell, number in cells.items() if number < 11
    }
    assert min(case["timestamp"] for case in cases) >= "2026-07-20"


def tone_trace(tone, name: str) -> Trace:
    (trace,) = tone.workspace.store.traces([name])
    return trace


def test_secrets_are_taken_out_of_cases_and_their_texts_are_still_known(tone) -> None:
    text = (
        "thanks, but why do you show sk-proj-abcDEF1234567890abcDEF123 and password=hunter2two to all of us?"
    )
    tone.workspace.store.add_traces(
        [Trace("leak", NOW, input=text, metadata={"seen": text}), Trace("again", NOW, input=text)]
    )
    tone.workspace.store.add_gold([Gold("leak", "tone", "bad", "ann", NOW)])
    freeze(tone.workspace, tone.task, now=NOW)
    folder = tone.root / "evals" / "tone" / "2026.11.1"
    written = (folder / CASES_FILE).read_text()
    assert "sk-proj" not in written
    assert "hunter2two" not in written
    assert orjson.loads((folder / MANIFEST_FILE).read_bytes())["secrets_removed"] == 1
    fit(tone.workspace, tone.task)
    refused = {one.trace_id: one.reason for one in export(tone.workspace, "training").refused}
    assert {"leak", "again"} <= refused.keys()
