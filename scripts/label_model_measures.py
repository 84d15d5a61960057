"""Vote sets from Parquet, what is measured on them, and Markdown tables."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from promptlabel.labelmodel.calibration import brier_score, calibration_error, correctness, log_loss

FloatArray = NDArray[np.float64]
Predict = Callable[["VoteSet", NDArray[np.int64] | None], FloatArray]

LONGEST_SECONDS = 300
FIGURES = ("accuracy", "macro-F1", "log-loss", "Brier", "ECE", "ECE by chance")


@dataclass(frozen=True)
class VoteSet:
    """Votes [n, m], gold [n] with -1 for unknown, and texts where there are any."""

    name: str
    votes: NDArray[np.int8]
    gold: NDArray[np.int64]
    n_classes: int
    text: list[str] | None = None


def read_sets(data: Path, wanted: Sequence[str]) -> list[VoteSet]:
    folders = [folder for folder in sorted(data.iterdir()) if not wanted or folder.name in wanted]
    return [vote_set for folder in folders for vote_set in _read_set(folder)]


def _read_set(folder: Path) -> Iterable[VoteSet]:
    if folder.name == "sealed":
        return
    if (folder / "votes.parquet").exists():
        table = pq.read_table(folder / "votes.parquet")
        columns = [table[name].to_numpy() for name in table.column_names if name.startswith("v_")]
        text = table["text"].to_pylist() if "text" in table.column_names else None
        votes = np.stack(columns, axis=1).astype(np.int8)
        yield VoteSet(folder.name, votes, table["gold"].to_numpy().astype(int), _n_classes(folder), text)
    elif (folder / "votes_long.parquet").exists():
        yield _pivoted(folder)


def _pivoted(folder: Path) -> VoteSet:
    long, gold = pq.read_table(folder / "votes_long.parquet"), pq.read_table(folder / "gold.parquet")
    items, workers = gold["item"].to_numpy(), np.unique(long["worker"].to_numpy())
    rows = {item: row for row, item in enumerate(items)}
    votes = np.full((len(items), len(workers)), -1, np.int8)
    places = [rows[item] for item in long["item"].to_numpy()]
    votes[places, np.searchsorted(workers, long["worker"].to_numpy())] = long["label"].to_numpy()
    return VoteSet(folder.name, votes, gold["gold"].to_numpy().astype(int), _n_classes(folder))


def _n_classes(folder: Path) -> int:
    return len(orjson.loads((folder / "meta.json").read_bytes())["classes"])


def measured(
    predict: Predict, data: VoteSet, gold: NDArray[np.int64] | None
) -> tuple[FloatArray, float, float]:
    """Probabilities, CPU seconds and the growth of the peak memory in MiB, in a process of its own."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(sender, predict, data, gold))
    child.start()
    result = receiver.recv() if receiver.poll(LONGEST_SECONDS) else f"stopped after {LONGEST_SECONDS} s"
    child.terminate()
    child.join()
    if isinstance(result, str):
        raise RuntimeError(result)  # noqa: TRY004 - the text is what the other process reports
    return result


def _measure(sender: Connection, predict: Predict, data: VoteSet, gold: NDArray[np.int64] | None) -> None:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        probabilities = predict(data, gold)
    except Exception as error:  # noqa: BLE001 - a peer may fail in any way; the table says how
        sender.send(f"{type(error).__name__}: {error}")
        return
    seconds = time.process_time() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    sender.send((probabilities, seconds, grown))


def quality(probabilities: FloatArray, labels: NDArray[np.int64]) -> list[float]:
    """The figures; the last is the ECE of the same probabilities had they been exactly true."""
    drawn = (np.random.default_rng(0).random((len(labels), 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(
        axis=1
    )
    return [
        float(correctness(probabilities, labels).mean()),
        float(f1_score(labels, probabilities.argmax(axis=1), average="macro", zero_division=0)),
        log_loss(probabilities, labels),
        brier_score(probabilities, labels),
        calibration_error(probabilities, labels),
        calibration_error(probabilities, drawn),
    ]


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    print(f"\n### {title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print("|", " | ".join(_cell(value) for value in row), "|", flush=True)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
