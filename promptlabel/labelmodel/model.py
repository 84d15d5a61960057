"""The label model users meet: votes, and gold and text where there are any, to calibrated probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike

from promptlabel.errors import Fault
from promptlabel.labelmodel.anchored import Anchored
from promptlabel.labelmodel.base import Estimator, Labelled, VotesError
from promptlabel.labelmodel.calibration import calibration_error, correctness, log_loss
from promptlabel.labelmodel.gate import Candidates, choose
from promptlabel.labelmodel.guard import Guard
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.pattern_em import PatternEM
from promptlabel.labelmodel.patterns import FloatArray, Patterns, group
from promptlabel.labelmodel.single_rule import BestRule
from promptlabel.labelmodel.snorkel import Snorkel
from promptlabel.labelmodel.validation import (
    checked_balance,
    checked_gold,
    checked_soft,
    checked_text,
    checked_votes,
)
from promptlabel.labelmodel.weighted import Weighted
from promptlabel.records import JsonValue

Method = Literal["auto", "majority", "weighted", "em", "anchored", "snorkel"]
LEAST_GOLD = 20
BALANCE_PSEUDO_ROWS = 10.0


CANDIDATES: Candidates = {
    "majority": Majority,
    "best rule": BestRule,
    "guard": lambda: Guard(balance_known=True),
    "anchored": lambda: Anchored(lambda: Guard(balance_known=True)),
}
METHODS: Candidates = {
    "majority": Majority,
    "weighted": Weighted,
    "em": PatternEM,
    "anchored": lambda: Anchored(lambda: Guard(balance_known=True)),
    "snorkel": Snorkel,
}


class LabelModel:
    """Votes of many rules turned into one probability a class a trace.

    Args:
        n_classes: K, two or more.
        method: "auto" lets cross-validated gold choose, the others are taken as they are.
        class_balance: K shares that sum to one; without it they come from the gold alone, else uniform.

    Attributes:
        chosen: the estimator that was taken.
        report: what was compared, the figures and why, ready for JSON.
    """

    chosen: str
    report: dict[str, JsonValue]

    def __init__(
        self, n_classes: int, method: Method = "auto", class_balance: ArrayLike | None = None
    ) -> None:
        if method not in get_args(Method):
            raise VotesError(Fault(f"{method!r} is none of {', '.join(get_args(Method))}", key="method"))
        self.n_classes = n_classes
        self.method = method
        self.class_balance = checked_balance(class_balance, n_classes)

    def fit(
        self,
        votes: ArrayLike,
        gold: ArrayLike | None = None,
        text: Sequence[str] | None = None,
        soft: Mapping[int, ArrayLike] | None = None,
    ) -> Self:
        """Itself, fitted.

        Args:
            votes: int array [n, m], -1 = abstain.
            gold: int array [n], -1 = unknown; a random sample, since the class balance is read off it.
            text: n strings.
            soft: for some columns of `votes`, distributions [n, K] that replace its votes, NaN where none.

        Raises:
            VotesError: a ValueError that lists what is wrong.
        """
        rows = checked_votes(votes, self.n_classes)
        known = checked_gold(gold, len(rows), self.n_classes)
        checked_text(text, len(rows))
        softened = checked_soft(soft, rows.shape, self.n_classes)
        if not len(rows):
            raise VotesError(Fault("has no rows", key="votes"))
        patterns, inverse = group(rows, self.n_classes, softened)
        index = np.flatnonzero(known >= 0)
        index = index[np.lexsort((known[index], inverse[index]))]
        return self._fit(patterns, Labelled(patterns.take(inverse[index]), known[index]))

    def predict_proba(
        self,
        votes: ArrayLike,
        text: Sequence[str] | None = None,
        soft: Mapping[int, ArrayLike] | None = None,
    ) -> FloatArray:
        """Float array [n, K], rows sum to one.

        Raises:
            VotesError: a ValueError that lists what is wrong.
        """
        rows = checked_votes(votes, self.n_classes)
        checked_text(text, len(rows))
        patterns, inverse = group(rows, self.n_classes, checked_soft(soft, rows.shape, self.n_classes))
        return self._estimator.predict_proba(patterns)[inverse]

    def _fit(self, patterns: Patterns, gold: Labelled) -> Self:
        self._estimator = self._chosen(patterns, gold)
        self._estimator.fit(patterns, gold, self._balance(gold))
        return self

    def _chosen(self, patterns: Patterns, gold: Labelled) -> Estimator:
        if self.method != "auto":
            self.chosen, self.report = self.method, {"reason": "asked for"}
            return METHODS[self.method]()
        if len(gold) < LEAST_GOLD:
            self.chosen = "guard"
            self.report = {"reason": f"{len(gold)} gold labels; {LEAST_GOLD} are needed to compare"}
            return Guard(balance_known=self.class_balance is not None)
        choice = choose(CANDIDATES, patterns, gold, self._balance)
        self.chosen = choice.name
        self.report = {
            "reason": choice.reason,
            "compared": {name: _figures(p, gold) for name, p in choice.held_out.items()},
        }
        return CANDIDATES[choice.name]()

    def _balance(self, gold: Labelled) -> FloatArray:
        if self.class_balance is not None:
            return self.class_balance
        shares = gold.one_hot.sum(axis=0) + BALANCE_PSEUDO_ROWS / self.n_classes
        return np.asarray(shares / shares.sum())


def _figures(probabilities: FloatArray, gold: Labelled) -> dict[str, Any]:
    return {
        "log_loss": log_loss(probabilities, gold.labels),
        "accuracy": float(correctness(probabilities, gold.labels).mean()),
        "ece": calibration_error(probabilities, gold.labels),
    }
