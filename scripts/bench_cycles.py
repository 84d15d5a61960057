"""Twelve cycles of training on a model's own labels: replace, accumulate, accumulate with people, people under the guard.

Usage: scripts/bench cycles [--data DIR] [--sets a,b] [--seeds N]

Real texts and labels; 100 labels by people to begin with, 5 % of each cycle reviewed, TF-IDF and logistic regression,
accuracy on 30 % held out. Every seed is a split of its own, all arms share the splits.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from label_model_measures import read_sets, table

from promptlabel.flywheel.cycles import ArmFigures, Plan, simulate, tfidf

SETS = ("youtube", "trec")
START = 100
HEADER = [
    "set",
    "arm",
    "before",
    "cycle 1",
    "cycle 3",
    "cycle 6",
    "cycle 12",
    "change in points (95 %)",
    "labels by people",
]


def row(name: str, arm: ArmFigures) -> list[object]:
    change = f"{100 * arm.change.estimate:+.1f} ({100 * arm.change.low:+.1f} to {100 * arm.change.high:+.1f})"
    return [name, arm.arm, *(arm.accuracy[cycle] for cycle in (0, 1, 3, 6, 12)), change, round(arm.human)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of labelled sets"
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=6)
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"skipped: there is no folder {options.data}; give --data")
        return
    rows = []
    for data in read_sets(options.data, options.sets.split(",")):
        assert data.text is not None
        known = np.flatnonzero(data.gold >= 0)
        arms = simulate(
            tfidf([data.text[place] for place in known.tolist()]),
            data.gold[known],
            Plan(START),
            range(options.seeds),
        )
        rows += [row(data.name, arm) for arm in arms]
    table(f"Accuracy over 12 cycles, {options.seeds} seeds", HEADER, rows)


if __name__ == "__main__":
    main()
