"""Probabilities of labelled rows by fits that did not see their labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from promptlabel.labelmodel.base import Estimator, Labelled
from promptlabel.labelmodel.patterns import FloatArray, Patterns

FOLDS = 5

Balance = Callable[[Labelled], FloatArray]
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


def held_out_proba(
    make: Callable[[], Estimator], patterns: Patterns, gold: Labelled, balance: Balance
) -> FloatArray:
    """Float array [g, K]: for each labelled row the probabilities of a fit that did not see its label."""
    probabilities = np.empty((len(gold), patterns.n_classes))
    for held, kept in folds(gold.labels):
        seen = gold.take(kept)
        fitted = make().fit(patterns, seen, balance(seen))
        probabilities[held] = fitted.predict_proba(gold.take(held).patterns)
    return probabilities


def folds(labels: NDArray[np.int64]) -> list[Fold]:
    """Pairs of held-out and kept rows, each row held out once, classes spread evenly."""
    fold = np.empty(len(labels), np.int64)
    fold[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % FOLDS
    return [(np.flatnonzero(fold == f), np.flatnonzero(fold != f)) for f in range(min(FOLDS, len(labels)))]
