"""`export` on a real store: every kind, every form, the same ids, nothing half written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
import yaml

from promptlabel.errors import InputError
from promptlabel.pipeline.evaluating.freeze import freeze
from promptlabel.pipeline.exporting import export_rows
from promptlabel.pipeline.exporting.export import ENDINGS, UNFROZEN, export
from promptlabel.pipeline.ingest import Counts, ingest
from promptlabel.review.adjudication import decide

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ROWS = ("training", "votes", "posteriors", "queue", "gold")


@pytest.fixture
def labelled(tone):
    """Fitted, queued, the audit lane decided, and twenty traces frozen."""
    tone.bring_gold(list(tone.truth)[:20])
    freeze(tone.workspace, tone.task, now=NOW)
    queue = tone.fit_and_queue("em")
    tone.review_all(queue, "audit")
    return tone


def lines(path: str | Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in Path(path).read_bytes().splitlines()]


KEYS = {
    "votes": {"trace_id", "task", "rule", "model", "label", "status", "confidence", "distribution"},
    "posteriors": {"trace_id", "task", "label", "confidence", "probs"},
    "queue": {"trace_id", "task", "lane", "score", "probability", "reason"},
    "gold": {"trace_id", "task", "label", "reviewer", "timestamp", "blind", "lane", "probability"},
    "training": {
        "trace_id",
        "task",
        "label",
        "probs",
        "weight",
        "source",
        "as_of",
        "provenance",
        "predicted_at",
        "features",
        "propensity",
        "input",
        "output",
    },
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_have_the_documented_keys_and_parquet_holds_the_same(labelled, kind: str) -> None:
    written = export(labelled.workspace, kind)
    rows = lines(written.path)
    assert len(rows) == written.rows > 0
    assert all(row.keys() == KEYS[kind] for row in rows)
    parquet = export(labelled.workspace, kind, labelled.root / f"{kind}.parquet")
    table = pq.read_table(parquet.path).to_pylist()
    assert len(table) == written.rows
    for row, twin in zip(rows, table, strict=True):
        if kind == "training":
            twin["features"] = dict(twin["features"])
        compared = row.keys() - {"as_of", "timestamp", "predicted_at"}
        assert {key: row[key] for key in compared} == {key: twin[key] for key in compared}


def test_votes_carry_a_label_only_when_there_is_one(labelled) -> None:
    rows = lines(export(labelled.workspace, "votes").path)
    assert len(rows) == 3 * 400
    assert all((row["label"] is not None) == (row["status"] == "vote") for row in rows)


def test_training_holds_gold_and_soft_labels_but_nothing_frozen(labelled) -> None:
    written = export(labelled.workspace, "training")
    rows = lines(written.path)
    frozen = set(list(labelled.truth)[:20])
    assert frozen.isdisjoint(row["trace_id"] for row in rows)
    assert frozen == {refusal.trace_id for refusal in written.refused}
    gold = [row for row in rows if row["source"] == "gold"]
    assert gold
    assert all(row["label"] == labelled.truth[row["trace_id"]] and row["weight"] == 1.0 for row in gold)
    assert all(abs(sum(row["probs"].values()) - 1) < 1e-9 for row in rows)


READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    ".jsonl": lines,
    ".json": lambda path: orjson.loads(path.read_bytes()),
    ".yaml": lambda path: yaml.safe_load(path.read_text()),
    ".yml": lambda path: yaml.safe_load(path.read_text()),
}
IDS: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "promptfoo": lambda row: (row["metadata"]["trace_id"], row["assert"][0]["value"]),
    "inspect": lambda row: (row["id"], row["target"]),
    "openai-evals": lambda row: (row["trace_id"], row["ideal"]),
    "deepeval": lambda row: (row["name"], row["expected_output"]),
}


@pytest.mark.parametrize(("kind", "ending"), [(kind, ending) for kind in IDS for ending in ENDINGS[kind]])
def test_eval_formats_keep_ids_and_labels_in_every_form(labelled, kind: str, ending: str) -> None:
    written = export(labelled.workspace, kind, labelled.root / f"out{ending}")
    found = dict(IDS[kind](row) for row in READERS[ending](Path(written.path)))
    assert found == {name: labelled.truth[name] for name in list(labelled.truth)[:20]}


def test_before_a_freeze_eval_formats_hold_blind_gold_and_say_so(tone) -> None:
    tone.bring_gold(["t001", "t002"])
    rows = lines(export(tone.workspace, "inspect").path)
    assert [row["id"] for row in rows] == ["t001", "t002"]
    assert {row["metadata"]["version"] for row in rows} == {UNFROZEN}


def trace_id_of(row: dict, kind: str) -> str:
    return row["metadata" if kind == "argilla" else "data"]["trace_id"]


@pytest.mark.parametrize("kind", ["labelstudio", "argilla"])
def test_annotation_formats_hold_what_waits_in_its_order_and_nothing_that_was_made_of_it(
    labelled, kind: str
) -> None:
    rows = READERS[".json"](Path(export(labelled.workspace, kind).path))
    waiting = [pick.trace_id for pick in labelled.workspace.store.queue("tone", undecided=True)]
    assert [trace_id_of(row, kind) for row in rows] == waiting
    for row in rows:
        assert not any(row.get(key) for key in ("predictions", "suggestions", "responses"))
        assert not {"lane", "reason"} & row["metadata" if kind == "argilla" else "data"].keys()


@pytest.mark.parametrize("kind", ["labelstudio", "argilla"])
def test_with_suggestions_they_hold_the_queue_and_what_is_decided(labelled, kind: str) -> None:
    rows = READERS[".json"](Path(export(labelled.workspace, kind, suggestions=True).path))
    queue = {pick.trace_id for pick in labelled.workspace.store.queue("tone")}
    assert {trace_id_of(row, kind) for row in rows} == queue | set(list(labelled.truth)[:20])


def annotated_elsewhere(rows: list[dict], kind: str, label: str) -> None:
    """What each tool adds to its rows when a person submits a label."""
    for number, row in enumerate(rows):
        if kind == "argilla":
            row["responses"] = {
                **row["responses"],
                "tone": [
                    *row["responses"].get("tone", []),
                    {
                        "value": label,
                        "user_id": "6b1f3c9e-0000-4000-8000-000000000001",
                        "status": "submitted",
                    },
                ],
            }
            continue
        row["id"] = number
        result = {
            "id": "x",
            "from_name": "tone",
            "to_name": "text",
            "type": "choices",
            "value": {"choices": [label]},
        }
        made = {"created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:09Z", "lead_time": 9.0}
        row["annotations"].append(
            {
                "id": 1000 + number,
                "completed_by": {"email": "ann@x.org"},
                "was_cancelled": False,
                "result": [result],
                **made,
            }
        )


@pytest.mark.parametrize("kind", ["labelstudio", "argilla"])
def test_what_was_decided_there_comes_back_as_reviews_once_with_provenance(tone, kind: str) -> None:
    store = tone.workspace.store
    tone.fit_and_queue("em")
    path = Path(export(tone.workspace, kind).path)
    rows = READERS[".json"](path)
    annotated_elsewhere(rows, kind, "good")
    path.write_text(orjson.dumps(rows).decode())
    assert ingest(store, [path]).reviews == Counts(len(rows), 0)
    assert ingest(store, [path]).reviews == Counts(0, len(rows))
    picks = {pick.trace_id: pick for pick in store.queue("tone")}
    decided = decide(store.reviews("tone"), store.gold("tone"))
    found = [one for one in decided if one.lane is not None]
    assert len(found) == len(rows)
    for one in found:
        assert (one.label, one.blind) == ("good", True)
        assert (one.lane, one.probability) == (picks[one.trace_id].lane, picks[one.trace_id].probability)


@pytest.mark.parametrize("kind", ["labelstudio", "argilla"])
def test_what_was_suggested_there_was_not_decided_blind_and_our_own_decisions_do_not_come_back(
    labelled, kind: str
) -> None:
    store = labelled.workspace.store
    before = len(store.reviews("tone"))
    path = Path(export(labelled.workspace, kind, suggestions=True).path)
    assert ingest(store, [path]).reviews == Counts(0, 0)
    rows = READERS[".json"](path)
    annotated_elsewhere(rows, kind, "good")
    path.write_text(orjson.dumps(rows).decode())
    assert ingest(store, [path]).reviews == Counts(len(rows), 0)
    assert not any(event.blind for event in store.reviews("tone")[before:])


@pytest.mark.parametrize("kind", ["queue", "posteriors", "training", "gold"])
def test_an_empty_export_is_an_empty_file(tone, kind: str) -> None:
    for ending in ("jsonl", "parquet"):
        assert export(tone.workspace, kind, tone.root / f"none.{ending}").rows == 0
    assert pq.read_table(tone.root / "none.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("votes", "out.csv", ".jsonl or .parquet"),
        ("promptfoo", "out.parquet", ".yaml or"),
        ("vote", "x", "did you mean 'votes'"),
    ],
)
def test_what_cannot_be_written_is_refused_with_what_can(tone, kind: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        export(tone.workspace, kind, tone.root / name)


def test_a_failure_half_way_leaves_the_old_file(labelled, monkeypatch: pytest.MonkeyPatch) -> None:
    target = labelled.root / "votes.jsonl"
    export(labelled.workspace, "votes", target)
    before = target.read_bytes()

    def broken(*_: object) -> Any:
        yield {"trace_id": "t000"}
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(export_rows.ROW_SOURCES, "votes", broken)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="No space"):
        export(labelled.workspace, "votes", target)
    assert target.read_bytes() == before
    assert [path.name for path in labelled.root.glob(".votes*")] == []


def test_hugging_face_is_a_folder_with_class_labels(labelled) -> None:
    written = export(labelled.workspace, "hf")
    folder = Path(written.path)
    card = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    assert card["dataset_info"][0]["features"][2]["dtype"]["class_label"]["names"] == {
        "0": "good",
        "1": "bad",
    }
    splits = {}
    for part in card["configs"][0]["data_files"]:
        table = pq.read_table(folder / part["path"])
        features = orjson.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        assert features["label"] == {"names": ["good", "bad"], "_type": "ClassLabel"}
        splits[part["split"]] = table.to_pylist()
    assert {row["trace_id"] for row in splits["test"]} == set(list(labelled.truth)[:20])
    assert {row["trace_id"] for row in splits["test"]}.isdisjoint(row["trace_id"] for row in splits["train"])
    assert all(["good", "bad"][row["label"]] == labelled.truth[row["trace_id"]] for row in splits["test"])
    assert written.rows == sum(map(len, splits.values()))
    assert export(labelled.workspace, "hf").rows == written.rows
