"""Snorkel's own LabelModel behind the contract of the other estimators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

import numpy as np

from promptlabel.errors import MissingExtraError
from promptlabel.labelmodel.base import Labelled, VotesError
from promptlabel.labelmodel.patterns import FloatArray, IntArray, Patterns

LEAST_RULES = 3
EPOCHS = 500
SEED = 0


class _SnorkelModel(Protocol):
    def fit(self, L_train: IntArray, **options: object) -> None: ...  # noqa: N803 - Snorkel's own name

    def predict_proba(self, L: IntArray) -> FloatArray: ...  # noqa: N803 - Snorkel's own name


class Snorkel:
    """`snorkel.labeling.model.LabelModel` with its default settings; it uses no gold, text or soft votes."""

    name = "snorkel"

    def fit(self, patterns: Patterns, gold: Labelled, balance: FloatArray) -> Self:  # noqa: ARG002 - protocol
        """Itself, fitted on every trace.

        Raises:
            VotesError: fewer than three rules vote, which Snorkel cannot fit.
            MissingExtraError: snorkel is not installed.
        """
        label_model = _label_model_class()
        if int((patterns.coverage > 0).sum()) < LEAST_RULES:
            raise VotesError(f"Snorkel's label model needs at least {LEAST_RULES} rules that vote")
        self.balance = balance
        self.model = label_model(cardinality=patterns.n_classes, verbose=False)
        rows = np.repeat(patterns.votes, patterns.counts.astype(int), axis=0)
        self.model.fit(rows, n_epochs=EPOCHS, seed=SEED, class_balance=balance.tolist(), progress_bar=False)
        return self

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one; the class balance where no rule votes."""
        probabilities = np.asarray(self.model.predict_proba(patterns.votes), dtype=float)
        silent = patterns.votes_per_row == 0
        return np.where(silent[:, None], self.balance, probabilities)


def _label_model_class() -> Callable[..., _SnorkelModel]:
    try:
        from snorkel.labeling.model import LabelModel
    except ImportError as missing:
        raise MissingExtraError("Snorkel", "pip install 'promptlabel[snorkel]'") from missing
    made: Callable[..., _SnorkelModel] = LabelModel
    return made
