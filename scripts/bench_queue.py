"""Share of label errors at the head of the review queue, beside vote entropy, margin, ActiveLab and random.

Usage: scripts/bench queue [--data DIR] [--sets a,b] [--seeds N]

The default label model is taught by 100 random gold labels, which are left out afterwards. All rankings are of the
same traces and are judged by the same errors, those of that model; "possible" is a ranking that knows them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow.parquet as pq
from label_model_measures import VoteSet, read_sets, table
from label_model_peers import majority_shares
from numpy.typing import NDArray

from promptlabel.labelmodel import LabelModel
from promptlabel.labelmodel.patterns import group as group_votes
from promptlabel.pipeline.reviewing.queue import WEIGHTS
from promptlabel.routing.disagreement import family_conflict, family_evidence, margin, vote_entropy
from promptlabel.routing.diversity import diversified, groups, sketches
from promptlabel.routing.label_change import expected_label_change
from promptlabel.routing.lanes import CONFLICT, NEW, UNCERTAIN, Lane, merge
from promptlabel.routing.novelty import Words, novelty

FloatArray = NDArray[np.float64]
SETS = ("youtube", "trec", "chemprot", "llmbar_processed")
TAUGHT = 100
LARGEST = 6_000
HEADS = (0.05, 0.10)


@dataclass(frozen=True)
class Trial:
    """A set and what the label model says of it; `seen` is gold [n], -1 for what the model was not taught."""

    votes: NDArray[np.int8]
    n_classes: int
    text: Sequence[str]
    families: Sequence[str]
    seen: NDArray[np.int64]
    probs: FloatArray


def families_of(folder: Path) -> list[str]:
    """The family of each column: the model of a judge, named before the slash; rules are one family."""
    names = [name for name in pq.read_schema(folder / "votes.parquet").names if name.startswith("v_")]
    return [name.split("/")[0] if "/" in name else "rules" for name in names]


def trial(
    data: VoteSet, families: Sequence[str], rng: np.random.Generator
) -> tuple[Trial, NDArray[np.bool_]]:
    """The trial, and which labels of the model are wrong."""
    assert data.text is not None
    known = rng.permutation(np.flatnonzero(data.gold >= 0))[:LARGEST]
    votes, gold, text = data.votes[known], data.gold[known], [data.text[row] for row in known]
    seen = np.where(np.arange(len(gold)) < TAUGHT, gold, -1)
    model = LabelModel(data.n_classes).fit(votes, gold=seen, text=text)
    probs = model.predict_proba(votes, text=text)
    return Trial(votes, data.n_classes, text, families, seen, probs), probs.argmax(axis=1) != gold


def queue_scores(of: Trial) -> dict[str, FloatArray]:
    """Lane -> score of each trace, 0 where it was taught; these sets have no categories and no times."""
    evidence = family_evidence(of.votes, {}, of.families, of.n_classes)
    taught = of.seen >= 0
    words = Words.of(of.text)
    scores = {
        UNCERTAIN: margin(of.probs),
        CONFLICT: family_conflict(list(evidence.values())),
        NEW: novelty(words, taught, np.ones(len(taught), dtype=bool)).scores,
    }
    return {name: np.where(taught, 0.0, score) for name, score in scores.items()}


def queue(of: Trial, ties: FloatArray) -> FloatArray:
    """The turn of each trace in the lanes as `queue` merges them, those of one kind of text one after the other."""
    scores = queue_scores(of)
    group = groups(sketches(Words.of(of.text), np.arange(len(of.text))))
    lanes = [Lane(name, diversified(score, group, ties), WEIGHTS[name]) for name, score in scores.items()]
    ranking = merge(lanes, ties)
    turns = np.zeros(len(ties))
    turns[ranking.rows] = np.arange(len(ranking.rows), 0, -1)
    return turns


def classifier(of: Trial) -> FloatArray:
    """Out-of-fold probabilities of a classifier of the texts, taught by majority vote and the gold."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    words = TfidfVectorizer(ngram_range=(1, 2), max_features=20_000, sublinear_tf=True).fit_transform(of.text)
    shares = majority_shares(of.votes, of.n_classes, None)
    labels = np.where(of.seen >= 0, of.seen, shares.argmax(axis=1))
    taught = np.flatnonzero((of.votes >= 0).any(axis=1) | (of.seen >= 0))
    model = LogisticRegression(max_iter=200)
    probs = np.full((len(labels), of.n_classes), 1e-6)
    classes = np.unique(labels[taught])
    rest = np.setdiff1d(np.arange(len(labels)), taught)
    probs[np.ix_(taught, classes)] = cross_val_predict(
        model, words[taught], labels[taught], cv=5, method="predict_proba"
    )
    if len(rest):
        probs[np.ix_(rest, classes)] = model.fit(words[taught], labels[taught]).predict_proba(words[rest])
    return probs / probs.sum(axis=1, keepdims=True)


def active_lab(of: Trial, probs: FloatArray) -> FloatArray:
    """ActiveLab's scores, the least sure highest; traces without votes are scored as unlabelled ones."""
    from cleanlab.multiannotator import get_active_learning_scores

    voted = (of.votes >= 0).any(axis=1)
    panel = np.where(of.votes[voted] >= 0, of.votes[voted], np.nan).astype(float)
    panel = panel[:, ~np.isnan(panel).all(axis=0)]
    unlabelled = probs[~voted] if not voted.all() else None
    with contextlib.redirect_stdout(None):
        labelled, others = get_active_learning_scores(panel, probs[voted], unlabelled)
    scores = np.zeros(len(voted))
    scores[voted] = labelled
    scores[~voted] = others
    return -scores


def label_change(of: Trial) -> FloatArray:
    """How many labels each review is expected to change."""
    pattern = group_votes(of.votes, of.n_classes)[1]
    reviewed = np.bincount(pattern[of.seen >= 0], minlength=int(pattern.max()) + 1)
    return expected_label_change(of.probs, pattern, reviewed)


def rankings(of: Trial, ties: FloatArray) -> Mapping[str, FloatArray]:
    """Name of the ranking -> a score a trace, highest first."""
    return {
        "queue": queue(of, ties),
        "posterior margin": margin(of.probs),
        "label change": label_change(of),
        "vote entropy": vote_entropy(of.votes, of.n_classes),
        "vote margin": margin(majority_shares(of.votes, of.n_classes, None)),
        "ActiveLab": active_lab(of, classifier(of)),
        "ActiveLab, our posterior": active_lab(of, of.probs),
        "random": np.zeros(len(ties)),
    }


def found(score: FloatArray, wrong: NDArray[np.bool_], ties: FloatArray) -> list[float]:
    """The share of all errors in each head of the ranking."""
    order = np.lexsort((ties, -score))
    heads = [round(head * len(order)) for head in HEADS]
    return [float(wrong[order[:head]].sum() / max(wrong.sum(), 1)) for head in heads]


def measure(data: VoteSet, families: Sequence[str], seeds: int) -> list[object]:
    """One row of the table: means over the seeds."""
    cells: dict[str, list[list[float]]] = {}
    errors = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        of, wrong = trial(data, families, rng)
        ties, rest = rng.random(len(wrong)), of.seen < 0
        scores = {**rankings(of, ties), "possible": wrong.astype(float)}
        for name, score in scores.items():
            cells.setdefault(name, []).append(found(score[rest], wrong[rest], ties[rest]))
        errors.append(wrong[rest].mean())
    shares = [" / ".join(f"{share:.2f}" for share in np.mean(of_one, axis=0)) for of_one in cells.values()]
    return [f"{data.name} ({1 - np.mean(errors):.3f})", *shares]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of labelled sets"
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"skipped: there is no folder {options.data}; give --data")
        return
    header = ["set (accuracy)", "queue", "posterior margin", "label change", "vote entropy", "vote margin"]
    header += ["ActiveLab", "ActiveLab, our posterior", "random", "possible"]
    title = f"Share of label errors in the first 5 % / 10 %, {TAUGHT} gold, {options.seeds} seeds"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [
            measure(data, families_of(options.data / data.name), options.seeds)
            for data in read_sets(options.data, options.sets.split(","))
        ]
    table(title, header, rows)


if __name__ == "__main__":
    main()
