"""Files appear whole or not at all, and hold what was given."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from promptlabel.pipeline.files import (
    harmless_text,
    replacing,
    struct,
    write_bytes,
    write_csv,
    write_document,
    write_jsonl,
    write_parquet,
)


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    with pytest.raises(FileNotFoundError), replacing(target) as temporary:
        temporary.with_suffix(".part").write_text("half, and never the file itself")
    assert list(target.parent.iterdir()) == []


def test_an_existing_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    write_bytes(target, b"old and long")
    write_bytes(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_parquet_keeps_types_quotes_and_nulls(tmp_path: Path) -> None:
    label = """it's "b\""""
    rows = [{"text": "a", "at": datetime(2026, 1, 1, tzinfo=UTC), "probs": {label: 0.5}}, {"text": None}]
    columns = {"text": "VARCHAR", "at": "TIMESTAMPTZ", "probs": struct({label: "DOUBLE"})}
    assert write_parquet(tmp_path / "it's.parquet", rows, columns, {"note": "it's"}) == 2
    table = pq.read_table(tmp_path / "it's.parquet")
    first, second = table.to_pylist()
    assert (first["text"], first["probs"]) == ("a", {label: 0.5})
    assert first["at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert (second["text"], second["at"], second["probs"]) == (None, None, None)
    assert table.schema.metadata[b"note"] == b"it's"


def test_a_text_of_ten_megabytes_goes_through(tmp_path: Path) -> None:
    text = "é\n" * 5_000_000
    write_parquet(tmp_path / "x.parquet", [{"text": text}], {"text": "VARCHAR"})
    assert pq.read_table(tmp_path / "x.parquet").to_pylist() == [{"text": text}]


def test_lines_and_documents_count_their_rows(tmp_path: Path) -> None:
    assert write_jsonl(tmp_path / "x.jsonl", iter([{"a": 1}, {"a": "é"}])) == 2
    assert (tmp_path / "x.jsonl").read_text() == '{"a":1}\n{"a":"é"}\n'
    assert write_document(tmp_path / "x.yaml", [{"a": "no"}]) == 1
    assert (tmp_path / "x.yaml").read_text() == "- a: 'no'\n"


def test_no_csv_cell_is_a_formula_and_every_cell_comes_back(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\tx", "'quoted", 'plain, with "quotes"\nand lines', ""]
    path = tmp_path / "rows.csv"
    assert write_csv(path, [{"trace_id": str(i), "text": text} for i, text in enumerate(texts)]) == len(texts)
    with path.open(newline="", encoding="utf-8") as file:
        cells = [row["text"] for row in csv.DictReader(file)]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    assert [harmless_text(cell) for cell in cells] == texts
