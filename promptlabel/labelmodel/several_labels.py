"""Tasks where a trace may have several labels, or none: one two-class label model a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from promptlabel.errors import Fault
from promptlabel.labelmodel.base import VotesError
from promptlabel.labelmodel.fitting import Method
from promptlabel.labelmodel.model import LabelModel
from promptlabel.labelmodel.patterns import FloatArray, IntArray
from promptlabel.labelmodel.report import Report

SoftVotes = Mapping[int, ArrayLike]


class SeveralLabels:
    """Votes on each of L labels turned into the probability that each label applies.

    The labels are taken as independent given the votes: what one rule says of one label is no evidence for another.

    Args:
        n_labels: L, one or more.
        method: as in `LabelModel`, for every label.
        shares: float array [L], how often each label applies, each between 0 and 1; without them they are read off
            random gold.

    Attributes:
        models: the two-class `LabelModel` of each label; class 1 means that the label applies.
        report: the report of each label's model, in order.

    Raises:
        VotesError: a ValueError that lists what is wrong with the arguments.
    """

    report: list[Report]

    def __init__(self, n_labels: int, method: Method = "auto", shares: ArrayLike | None = None) -> None:
        self.models = [LabelModel(2, method, balance) for balance in _balances(n_labels, shares)]

    def fit(
        self,
        votes: ArrayLike,
        gold: ArrayLike | None = None,
        text: Sequence[str] | None = None,
        soft: SoftVotes | None = None,
        random: ArrayLike | None = None,
    ) -> Self:
        """Itself, fitted.

        Args:
            votes: int array [n, m, L]: 1 the rule says that the label applies, 0 that it does not, -1 it says nothing.
            gold: int array [n, L] of the same kind.
            text: n strings.
            soft: for some rules, probabilities [n, L] that labels apply, which replace their votes; NaN for none.
            random: bool array [n], gold drawn at random.

        Raises:
            VotesError: a ValueError that lists what is wrong.
        """
        array = self._checked(votes)
        known = self._checked_gold(gold, len(array))
        for label, model in enumerate(self.models):
            model.fit(array[:, :, label], known[:, label], text, self._soft(soft, label, len(array)), random)
        self.report = [model.report for model in self.models]
        return self

    def predict_proba(
        self, votes: ArrayLike, text: Sequence[str] | None = None, soft: SoftVotes | None = None
    ) -> FloatArray:
        """Float array [n, L]: the probability that each label applies; rows need not sum to one.

        Raises:
            VotesError: a ValueError that lists what is wrong.
        """
        array = self._checked(votes)
        return np.column_stack(
            [
                model.predict_proba(array[:, :, label], text, self._soft(soft, label, len(array)))[:, 1]
                for label, model in enumerate(self.models)
            ]
        )

    def _checked(self, votes: ArrayLike) -> IntArray:
        array = np.asarray(votes)
        if array.ndim != 3 or array.shape[2] != len(self.models):
            raise VotesError(
                Fault(f"has shape {array.shape}; give [traces, rules, {len(self.models)}]", key="votes")
            )
        return array

    def _checked_gold(self, gold: ArrayLike | None, rows: int) -> IntArray:
        shape = (rows, len(self.models))
        array = np.full(shape, -1, np.int8) if gold is None else np.asarray(gold)
        if array.shape != shape:
            raise VotesError(Fault(f"has shape {array.shape}; give {shape}", key="gold"))
        return array

    def _soft(self, soft: SoftVotes | None, label: int, rows: int) -> dict[int, FloatArray]:
        """Each rule's probabilities of one label, as distributions over (does not apply, applies)."""
        arrays = {rule: np.asarray(values, dtype=float) for rule, values in (soft or {}).items()}
        shape = (rows, len(self.models))
        faults = tuple(
            Fault(f"has shape {array.shape}; give {shape}", key=f"soft[{rule}]")
            for rule, array in arrays.items()
            if array.shape != shape
        )
        if faults:
            raise VotesError(faults)
        return {rule: np.column_stack([1 - of[:, label], of[:, label]]) for rule, of in arrays.items()}


def _balances(n_labels: int, shares: ArrayLike | None) -> list[FloatArray | None]:
    if n_labels < 1:
        raise VotesError(Fault(f"is {n_labels}; give one label or more", key="n_labels"))
    if shares is None:
        return [None] * n_labels
    array = np.asarray(shares, dtype=float)
    if array.shape != (n_labels,) or not ((array > 0) & (array < 1)).all():
        raise VotesError(Fault(f"give {n_labels} numbers between 0 and 1", key="shares"))
    return [np.array([1 - share, share]) for share in array.tolist()]
