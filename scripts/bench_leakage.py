"""Alarms for leakage: planted features from the future, and 100 clean shuffles, on real texts and rule votes.

Usage: scripts/bench leakage [--data DIR] [--sets a,b] [--shuffles N] [--rows N]

Clean features are signals of the text and the real rules' votes. A shuffle deals the labels out anew, with the clean and
the planted features left as they are: whatever is reported then is a false alarm. For the split, a shuffle deals out the
times; planted are months in which words mean something else.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import scipy.sparse as sp
from label_model_measures import VoteSet, read_sets, table
from numpy.typing import NDArray

from promptlabel.flywheel.cycles import tfidf
from promptlabel.records import Trace
from promptlabel.traces.signals import compute_signals
from promptlabel.training.leakage import FAR, RATE, Value, leaks, split_gap

SETS = ("youtube", "trec")
Labels = NDArray[np.int64]


def _noisy(share: float) -> Callable[[Labels, np.random.Generator], list[Value]]:
    """The label, but in a share of rows any label."""
    return lambda labels, rng: [
        str(own if rng.random() >= share else other)
        for own, other in zip(labels.tolist(), rng.permutation(labels).tolist(), strict=True)
    ]


PLANTED: Mapping[str, Callable[[Labels, np.random.Generator], list[Value]]] = {
    "resolution (the label)": _noisy(0.0),
    "resolution, 10 % otherwise": _noisy(0.1),
    "resolution, 20 % otherwise": _noisy(0.2),
    "reopened within a week (one class)": lambda labels, _: [float(one == labels[0]) for one in labels],
    "refund logged, only for one class": lambda labels, _: [
        1.0 if one == labels[0] else None for one in labels
    ],
    "minutes to the next ticket": lambda labels, rng: (
        np.exp(rng.normal(2.0 * (labels == labels[0]), 0.5)) * 60
    ).tolist(),
    "score of a later survey, noise 0.4": lambda labels, rng: (
        (labels == labels[0]) + rng.normal(scale=0.4, size=len(labels))
    ).tolist(),
}


def clean_features(data: VoteSet, rows: Labels) -> dict[str, list[Value]]:
    assert data.text is not None
    signals = [compute_signals(Trace("t", input=data.text[row]), ()) for row in rows.tolist()]
    names = sorted({name for one in signals for name in one})
    features: dict[str, list[Value]] = {name: [one.get(name) for one in signals] for name in names}
    for column, votes in enumerate(data.votes[rows].T.tolist()):
        features[f"rule {column}"] = [None if vote < 0 else str(vote) for vote in votes]
    return features


def of_features(data: VoteSet, rows: Labels, shuffles: int) -> tuple[list[list[object]], list[object]]:
    labels, clean = data.gold[rows], clean_features(data, rows)
    planted = {name: plant(labels, np.random.default_rng(1)) for name, plant in PLANTED.items()}
    found = {
        leak.feature: leak.auc for leak in leaks(clean | planted, labels.tolist(), np.random.default_rng(0))
    }
    false = 0
    for seed in range(shuffles):
        rng = np.random.default_rng(seed)
        false += bool(leaks(clean | planted, rng.permutation(labels).tolist(), rng))
    rows_of_set: list[list[object]] = [[data.name, name, found.get(name, "missed")] for name in planted]
    others = ", ".join(f"{name} {auc:.2f}" for name, auc in found.items() if name not in planted) or "none"
    summary = [
        data.name,
        f"{sum(name in found for name in planted)} of {len(planted)}",
        others,
        f"{false} of {shuffles}",
    ]
    return rows_of_set, summary


def of_split(data: VoteSet, rows: Labels, shuffles: int) -> list[object]:
    assert data.text is not None
    words, labels = tfidf([data.text[row] for row in rows.tolist()]), data.gold[rows]
    times = np.arange(len(rows))
    false = 0
    for seed in range(shuffles):
        rng = np.random.default_rng(seed)
        gap = split_gap(words, labels.tolist(), rng.permutation(times).tolist(), rng)
        false += gap is not None and gap.is_alarming
    drifting = _drifting(words, times)
    gap = split_gap(drifting, labels.tolist(), times.tolist(), np.random.default_rng(0))
    assert gap is not None
    told = f"{gap.random:.3f} against {gap.in_time:.3f}, p {gap.p:.3f}{'' if gap.is_alarming else ': missed'}"
    return [data.name, told, f"{false} of {shuffles}"]


def _drifting(words: sp.csr_array, times: NDArray[np.int64]) -> sp.csr_array:
    """In each tenth of time the words are others, as templates and names of releases are."""
    coo = words.tocoo()
    month = (10 * times // len(times))[coo.coords[0]]
    return sp.csr_array(
        (coo.data, (coo.coords[0], coo.coords[1] + month * words.shape[1])),
        shape=(words.shape[0], 10 * words.shape[1]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of labelled sets"
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--shuffles", type=int, default=100)
    parser.add_argument("--rows", type=int, default=1_000)
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"skipped: there is no folder {options.data}; give --data")
        return
    single, sums, splits = [], [], []
    for data in read_sets(options.data, options.sets.split(",")):
        known = np.random.default_rng(0).permutation(np.flatnonzero(data.gold >= 0))[: options.rows]
        rows, summary = of_features(data, known, options.shuffles)
        single += rows
        sums.append(summary)
        splits.append(of_split(data, known, options.shuffles))
    table("Planted features, with their AUC", ["set", "feature", "AUC"], single)
    table(
        f"Found, and alarms on shuffles (stated rate of both alarms together {RATE:.0%})",
        ["set", "planted ones found", "reported besides", "shuffles with an alarm"],
        sums,
    )
    table(
        f"Random split above the split in time by {FAR:.0%} (stated rate of both alarms together {RATE:.0%})",
        ["set", "planted", "shuffles with an alarm"],
        splits,
    )


if __name__ == "__main__":
    main()
