"""A Hugging Face dataset folder: training rows and the frozen eval set as Parquet, described by its README."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from promptlabel.evals.versions import Case
from promptlabel.pipeline.files import Columns, Row, write_bytes, write_parquet
from promptlabel.pipeline.fitting.tables import known_label
from promptlabel.records import Trace
from promptlabel.redaction import redacted
from promptlabel.rules.loading import Task
from promptlabel.training.export import TrainingRow


@dataclass(frozen=True, slots=True)
class HubSplits:
    """One task's dataset: `train` from the label model and people, `test` from the newest frozen version."""

    task: Task
    train: Iterable[TrainingRow]
    test: Iterable[Case]


def write_dataset(folder: Path, datasets: Iterable[HubSplits]) -> int:
    """The number of rows written; a configuration a task, for ``datasets.load_dataset(folder, task)``.

    Where several labels may apply, the column is ``labels``, a list of class labels.

    The folder appears whole; what an earlier export left in it is replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        made = Path(temporary) / "new"
        sizes = {splits.task.name: (_write_splits(made, splits), splits.task) for splits in datasets}
        write_bytes(made / "README.md", _readme(sizes))
        if folder.exists():
            folder.rename(Path(temporary) / "old")
        made.rename(folder)
    return sum(sum(counts.values()) for counts, _ in sizes.values())


def _write_splits(folder: Path, splits: HubSplits) -> dict[str, int]:
    task = splits.task
    metadata = {"huggingface": orjson.dumps({"info": {"features": _features(task)}}).decode()}
    rows = {"train": _train_rows(splits.train, task), "test": _test_rows(splits.test, task)}
    return {
        split: write_parquet(folder / task.name / f"{split}.parquet", found, _columns(task), metadata)
        for split, found in rows.items()
    }


def _train_rows(rows: Iterable[TrainingRow], task: Task) -> Iterator[Row]:
    for row in rows:
        probs = [row.probs[label] for label in task.labels]
        yield _row(row.trace, task, row.label) | {"probs": probs, "weight": row.weight, "source": row.source}


def _test_rows(cases: Iterable[Case], task: Task) -> Iterator[Row]:
    for case in cases:
        if known_label(task, case.label) is not None:
            members = task.spec.members(case.label)
            probs = [float(label in members) for label in task.labels]
            yield _row(case.trace, task, case.label) | {"probs": probs, "weight": 1.0, "source": "gold"}


def _row(trace: Trace, task: Task, label: str) -> dict[str, Any]:
    places = [task.labels.index(member) for member in task.spec.members(label)]
    named = {"labels": places} if task.spec.kind == "several" else {"label": places[0]}
    return {"trace_id": trace.trace_id, "text": redacted(trace.transcript)} | named


def _columns(task: Task) -> Columns:
    return {
        "trace_id": "VARCHAR",
        "text": "VARCHAR",
        **({"labels": "BIGINT[]"} if task.spec.kind == "several" else {"label": "BIGINT"}),
        "probs": "DOUBLE[]",
        "weight": "DOUBLE",
        "source": "VARCHAR",
    }


def _features(task: Task) -> dict[str, Any]:
    """The features as the `datasets` library writes them into Parquet metadata."""
    label = {"names": list(task.labels), "_type": "ClassLabel"}
    is_set = task.spec.kind == "several"
    return {
        "trace_id": _value("string"),
        "text": _value("string"),
        **({"labels": {"feature": label, "_type": "List"}} if is_set else {"label": label}),
        "probs": {"feature": _value("float64"), "_type": "List"},
        "weight": _value("float64"),
        "source": _value("string"),
    }


def _value(kind: str) -> dict[str, str]:
    return {"dtype": kind, "_type": "Value"}


def _readme(sizes: dict[str, tuple[dict[str, int], Task]]) -> bytes:
    card = {
        "configs": [_config(name, counts) for name, (counts, _) in sizes.items()],
        "dataset_info": [_info(name, task) for name, (_, task) in sizes.items()],
    }
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---\n\n{_PROSE}".encode()


def _config(name: str, counts: dict[str, int]) -> dict[str, Any]:
    files = [{"split": split, "path": f"{name}/{split}.parquet"} for split, n in counts.items() if n]
    return {"config_name": name, "data_files": files}


def _info(name: str, task: Task) -> dict[str, Any]:
    kind = {"class_label": {"names": {str(place): label for place, label in enumerate(task.labels)}}}
    is_set = task.spec.kind == "several"
    return {
        "config_name": name,
        "features": [
            {"name": "trace_id", "dtype": "string"},
            {"name": "text", "dtype": "string"},
            {"name": "labels", "list": kind} if is_set else {"name": "label", "dtype": kind},
            {"name": "probs", "list": "float64"},
            {"name": "weight", "dtype": "float64"},
            {"name": "source", "dtype": "string"},
        ],
    }


_PROSE: Final = """# Labels made with promptlabel

`train` holds soft labels: `probs` are the label model's in the order of the label's names (where a trace has
`labels`, that each applies), `source` is `gold` where a person decided. No row of `train` is in `test`, nor repeats its text.
`test` is the newest frozen eval version, decided by people who had seen no model's vote.
"""
