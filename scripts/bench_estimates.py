"""Do the intervals from a reviewed queue hold the truth? Real sets, the real lanes, 1,000 draws of the queue.

Usage: scripts/bench estimates [--data DIR] [--sets a,b] [--runs N] [--share S]

The label model is taught by 100 random gold labels, which are left out afterwards. In every run chance draws the
random lane anew; the queue is filled around it as `queue` does it and decided whole by the gold. How often the 95 %
interval of accuracy holds the truth: by Horvitz-Thompson, plain; by Horvitz-Thompson of the difference to what the
posterior believes, which is added; and as `audit` prints it.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from bench_queue import FloatArray, families_of, queue_scores, trial
from label_model_measures import VoteSet, read_sets, table

from promptlabel.evals.audit import Sample, audit_sample
from promptlabel.pipeline.reviewing.queue import WEIGHTS
from promptlabel.routing.lanes import Budget, Lane, choose, merge

SETS = ("youtube", "trec")
AUDIT = 0.5
Z95 = 1.959963984540054


def horvitz_thompson(values: FloatArray, chance: FloatArray, population: int) -> tuple[float, float]:
    """The mean over the population, and half its 95 % interval by the variance under Poisson sampling."""
    weighted = values / chance
    return weighted.sum() / population, Z95 * np.sqrt(((1 - chance) * weighted**2).sum()) / population


def measure(data: VoteSet, families: list[str], runs: int, share: float) -> list[object]:
    """One row of the table."""
    rng = np.random.default_rng(0)
    of, wrong = trial(data, families, rng)
    rest = np.flatnonzero(of.seen < 0)
    probs, gold = of.probs[rest], np.where(wrong, -1, of.probs.argmax(axis=1))[rest]
    gold[gold < 0] = (of.probs.argmax(axis=1)[rest][gold < 0] + 1) % data.n_classes
    scores = {name: score[rest] for name, score in queue_scores(of).items()}
    ranking = merge(
        [Lane(name, score, WEIGHTS[name]) for name, score in scores.items()], rng.random(len(rest))
    )
    budget, nobody = Budget.of(len(rest), share, AUDIT), np.zeros(len(rest), dtype=bool)
    right, sure = (~wrong[rest]).astype(float), probs.max(axis=1)
    truth, plain, helped, errors, printed, naive = right.mean(), 0, 0, [], 0, []
    for _ in range(runs):
        chosen = choose(ranking, list(scores), rng.random(len(rest)), budget, nobody)
        estimate, spread = horvitz_thompson(right[chosen.rows], chosen.probability, len(rest))
        plain += abs(estimate - truth) <= spread
        errors.append(estimate - truth)
        rest_of_it, spread = horvitz_thompson((right - sure)[chosen.rows], chosen.probability, len(rest))
        helped += abs(sure.mean() + rest_of_it - truth) <= spread
        sample = Sample(gold[chosen.rows], chosen.rows.astype(np.intp), chosen.probability, probs)
        found = audit_sample(sample, [str(label) for label in range(data.n_classes)]).accuracy
        printed += found is not None and truth in found
        naive.append(right[chosen.rows].mean())
    bias = float(np.mean(errors) / np.std(errors))
    return [
        data.name,
        f"{truth:.3f}",
        f"{np.mean(naive):.3f}",
        *(f"{held / runs:.3f}" for held in (plain, helped, printed)),
        f"{bias:+.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of labelled sets"
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--share", type=float, default=0.2)
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"skipped: there is no folder {options.data}; give --data")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [
            measure(data, families_of(options.data / data.name), options.runs, options.share)
            for data in read_sets(options.data, options.sets.split(","))
        ]
    header = [
        "set",
        "accuracy",
        "share right in the queue",
        "plain HT holds",
        "HT of what the posterior leaves holds",
    ]
    header += ["`audit` holds", "bias of HT, standard errors"]
    table(f"{options.runs:,} queues of {options.share:.0%}, half of them drawn at random", header, rows)


if __name__ == "__main__":
    main()
