"""Feedback that is missing not at random: does the reported interval hold the truth, with one trace in a hundred audited?

Usage: scripts/bench feedback [--repeats N] [--traces N]

Simulated, since the truth must be known: 70.0 % of answers are good; who got a good one says so in 20 %, who got a bad
one in 6 % of cases (naive share .886), more often in some categories than in others, and in the third setting one in ten
says the opposite of what is so. 1 % of all traces are audited at random.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from label_model_measures import table

from promptlabel.evals.intervals import wilson
from promptlabel.flywheel.feedback import Feedback, audited_share, feedback_figures

TRUTH, AUDIT = 0.70, 0.01
SPEAKS = {True: 0.20, False: 0.06}
SETTINGS = {
    "by context alone": (0.0, 0.0),
    "by the outcome": (1.0, 0.0),
    "by the outcome, 10 % wrong": (1.0, 0.1),
}
WEIGHTED = 40
"""Repeats in which the propensities are fitted too."""


def drawn(n: int, by_outcome: float, wrong: float, rng: np.random.Generator) -> tuple[Feedback, float]:
    """One project, and the true share of good answers in it."""
    category = rng.integers(0, 4, n)
    good = rng.random(n) < TRUTH + 0.08 * (category - 1.5)
    outcome = np.where(good, SPEAKS[True], SPEAKS[False])
    by_context = 0.158 * (1 + 0.5 * (category - 1.5) / 1.5)
    speaks = rng.random(n) < (outcome if by_outcome else by_context)
    said = np.where(speaks, good ^ (rng.random(n) < wrong), -1).astype(np.int8)
    rows = rng.choice(n, round(AUDIT * n), replace=False)
    context = [{"category": f"c{one}"} for one in category.tolist()]
    return Feedback(said, context, rows.astype(np.int64), good[rows]), float(good.mean())


def measure(name: str, n: int, repeats: int) -> list[object]:
    by_outcome, wrong = SETTINGS[name]
    holds, plain, widths, plain_widths, naive, weighted, explained = [], [], [], [], [], [], []
    for seed in range(repeats):
        feedback, truth = drawn(n, by_outcome, wrong, np.random.default_rng(seed))
        honest, alone = audited_share(feedback), wilson(float(feedback.good.sum()), len(feedback.good))
        assert honest is not None
        holds.append(truth in honest)
        plain.append(truth in alone)
        widths.append(honest.high - honest.low)
        plain_widths.append(alone.high - alone.low)
        if seed < WEIGHTED:
            figures = feedback_figures(feedback)
            assert figures.naive is not None
            naive.append((figures.naive.estimate, truth in figures.naive))
            weighted.append(figures.weighted)
            explained.append(figures.explained is not True)
    half = np.mean(widths) / 2
    return [
        name, n, f"{np.mean([one for one, _ in naive]):.3f} ({np.mean([held for _, held in naive]):.0%})",
        float(np.mean(weighted)), f"{np.mean(holds):.3f}", f"±{half:.3f}", f"{np.mean(plain):.3f}",
        f"±{np.mean(plain_widths) / 2:.3f}", f"{np.mean(explained):.0%}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2_000)
    parser.add_argument("--traces", type=int, nargs="+", default=[10_000, 50_000])
    options = parser.parse_args()
    header = ["feedback is missing", "traces", "naive (holds the truth)", "IPS by context", "reported: coverage", "width",
              "audit alone: coverage", "width", "warned"]  # fmt: skip
    rows = [measure(name, n, options.repeats) for n in options.traces for name in SETTINGS]
    table(f"Truth .700, 1 % audited, {options.repeats:,} repeats", header, rows)


if __name__ == "__main__":
    main()
