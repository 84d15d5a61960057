"""Other label models behind one signature, and simulated panels whose truth is known."""

from __future__ import annotations

import functools
import logging
import warnings

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Votes = NDArray[np.int8]


def majority_shares(votes: Votes, n_classes: int, _text: list[str] | None) -> FloatArray:
    tally = np.stack([(votes == k).sum(axis=1) for k in range(n_classes)], axis=1).astype(float)
    total = tally.sum(axis=1, keepdims=True)
    return np.where(total > 0, tally / np.maximum(total, 1), 1 / n_classes)


def snorkel(votes: Votes, n_classes: int, _text: list[str] | None) -> FloatArray:
    from snorkel.labeling.model import LabelModel

    logging.getLogger("snorkel").setLevel(logging.ERROR)
    model = LabelModel(cardinality=n_classes, verbose=False)
    model.fit(votes, n_epochs=500, seed=0, progress_bar=False)
    return np.asarray(model.predict_proba(votes))


def dawid_skene(votes: Votes, n_classes: int, _text: list[str] | None) -> FloatArray:
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    rows, rules = np.nonzero(votes >= 0)
    frame = pd.DataFrame({"task": rows, "worker": rules, "label": votes[rows, rules]})
    found = DawidSkene(n_iter=100).fit(frame).probas_
    probabilities = np.full((len(votes), n_classes), 1 / n_classes)
    probabilities[found.index] = 0.0
    probabilities[np.ix_(found.index, found.columns)] = found.to_numpy()
    return probabilities


def crowdlab(votes: Votes, n_classes: int, text: list[str] | None) -> FloatArray:
    """CROWDLAB with a classifier of the texts, out of fold, taught by majority vote."""
    from cleanlab.multiannotator import get_label_quality_multiannotator
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    if text is None:
        raise ValueError("needs a classifier, and this set has no text")
    covered = (votes >= 0).any(axis=1)
    words = TfidfVectorizer(ngram_range=(1, 2), max_features=20_000, sublinear_tf=True).fit_transform(text)
    taught = majority_shares(votes, n_classes, None)[covered].argmax(axis=1)
    classifier = LogisticRegression(max_iter=300)
    probabilities = np.full((len(votes), n_classes), 1e-6)
    classes = np.unique(taught)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unseen = cross_val_predict(classifier, words[covered], taught, cv=5, method="predict_proba")
        probabilities[np.ix_(covered, classes)] = unseen
        if not covered.all():
            fitted = classifier.fit(words[covered], taught)
            probabilities[np.ix_(~covered, classes)] = fitted.predict_proba(words[~covered])
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        panel = np.where(votes[covered] >= 0, votes[covered], np.nan).astype(float)
        panel = panel[:, ~np.isnan(panel).all(axis=0)]
        quality = get_label_quality_multiannotator(panel, probabilities[covered], verbose=False)[
            "label_quality"
        ]
    label, score = (
        quality["consensus_label"].to_numpy(int),
        quality["consensus_quality_score"].to_numpy(float),
    )
    spread = np.repeat(((1 - score) / (n_classes - 1))[:, None], n_classes, axis=1)
    spread[np.arange(len(label)), label] = score
    probabilities[covered] = spread
    return probabilities


def hyper_label_model(votes: Votes, n_classes: int, _text: list[str] | None) -> FloatArray:
    import torch
    from hyperlm import HyperLabelModel

    torch.load, kept = functools.partial(torch.load, weights_only=False), torch.load
    try:
        model = HyperLabelModel()
    finally:
        torch.load = kept
    probabilities = np.full((len(votes), n_classes), 1 / n_classes)
    covered = (votes >= 0).any(axis=1)
    used = (votes[covered] >= 0).any(axis=0)
    found = np.asarray(model.infer(votes[covered][:, used].astype(int), return_probs=True))
    probabilities[covered, :] = 0.0
    probabilities[np.ix_(covered, np.arange(found.shape[1]))] = found
    return probabilities


PEERS = {
    "Snorkel": ("snorkel", snorkel),
    "crowd-kit Dawid-Skene": ("crowdkit", dawid_skene),
    "cleanlab CROWDLAB": ("cleanlab", crowdlab),
    "HyperLM": ("hyperlm", hyper_label_model),
}


def simulated_judges(
    n_judges: int, effective: float, rows: int, rng: np.random.Generator
) -> tuple[Votes, NDArray[np.int64]]:
    """Votes of judges right 80 % of the time on two classes, worth `effective` independent votes (Kish).

    With probability sqrt(r) a judge takes over the trace's shared error instead of its own, so that errors
    correlate by r = (m / effective - 1) / (m - 1).
    """
    correlation = (n_judges / effective - 1) / (n_judges - 1)
    labels = rng.integers(0, 2, rows)
    shared, own = rng.random((rows, 1)) < 0.2, rng.random((rows, n_judges)) < 0.2
    errors = np.where(rng.random((rows, n_judges)) < np.sqrt(correlation), shared, own)
    return (labels[:, None] ^ errors).astype(np.int8), labels


def skewed_panel(rows: int, rng: np.random.Generator) -> tuple[Votes, NDArray[np.int64]]:
    """Classes 90/5/3/2; nine judges in three families that share traps, and three sparse, good heuristics."""
    labels = rng.choice(4, rows, p=[0.9, 0.05, 0.03, 0.02])
    trapped, lure = rng.random((rows, 1)) < 0.15, rng.integers(0, 4, (rows, 1))
    accuracy = np.repeat([0.76, 0.80, 0.84], 3)
    own = np.where(rng.random((rows, 9)) < accuracy, labels[:, None], rng.integers(0, 4, (rows, 9)))
    judges = np.where(trapped & (rng.random((rows, 9)) < 0.85), lure, own)
    sure = np.where(rng.random((rows, 3)) < 0.93, labels[:, None], rng.integers(0, 4, (rows, 3)))
    heuristics = np.where(rng.random((rows, 3)) < 0.2, sure, -1)
    return np.hstack([judges, heuristics]).astype(np.int8), labels
