"""What each rule is worth: its accuracy, what the panel loses without it, its price, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import betaincinv

from promptlabel.labelmodel.base import Estimator, Labelled
from promptlabel.labelmodel.calibration import row_losses
from promptlabel.labelmodel.cross_fitting import Balance, held_out_proba
from promptlabel.labelmodel.patterns import FloatArray, Patterns

Advice = Literal["keep", "pay", "fix", "drop", "unknown"]
LEAST_VOTES = 10
LEVEL = 0.95
CLEARLY = 2.0
"""Standard errors of harm before a rule that costs nothing is to be dropped."""


@dataclass(frozen=True)
class RuleWorth:
    """One rule's figures.

    Attributes:
        rule: its column.
        votes: traces it votes on.
        gold_votes: labelled traces it votes on.
        accuracy: share of those it gets right, with a 95 % interval (Jeffreys); NaN without gold votes.
        marginal_log_loss: held-out log loss of the panel without the rule minus with it, and its standard error.
        usd_per_useful_vote: its cost divided by its votes times its accuracy.
        advice: "drop" it costs and adds nothing, or clearly does harm, "fix" it is no better than chance, "pay" it earns its cost,
            "keep" it is free and does no harm, "unknown" too little gold.
    """

    rule: int
    votes: float
    gold_votes: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    marginal_log_loss: float
    marginal_error: float
    usd_per_useful_vote: float
    advice: Advice


def rule_worth(
    make: Callable[[], Estimator],
    patterns: Patterns,
    gold: Labelled,
    balance: Balance,
    costs: Sequence[float] | None = None,
) -> list[RuleWorth]:
    """What each rule adds to the panel that `make` fits; `costs` are US dollars a rule has spent, default none."""
    losses = row_losses(held_out_proba(make, patterns, gold, balance), gold.labels)
    spent = np.zeros(patterns.n_rules) if costs is None else np.asarray(costs, dtype=float)
    return [
        _worth(rule, patterns, gold, _added(rule, make, patterns, gold, balance) - losses, float(spent[rule]))
        for rule in range(patterns.n_rules)
    ]


def without(patterns: Patterns, rule: int) -> Patterns:
    """The same rows with one rule's votes taken away."""
    votes = patterns.votes.copy()
    votes[:, rule] = -1
    soft = {column: values for column, values in patterns.soft.items() if column != rule}
    return Patterns(votes, patterns.counts, patterns.n_classes, soft, patterns.text)


def _added(
    rule: int, make: Callable[[], Estimator], patterns: Patterns, gold: Labelled, balance: Balance
) -> FloatArray:
    rest = Labelled(without(gold.patterns, rule), gold.labels, gold.random)
    return row_losses(held_out_proba(make, without(patterns, rule), rest, balance), gold.labels)


def _worth(rule: int, patterns: Patterns, gold: Labelled, added: FloatArray, spent: float) -> RuleWorth:
    k = patterns.n_classes
    block = gold.patterns.design[:, rule * k : (rule + 1) * k].toarray()
    cast, right = float(block.sum()), float((block * gold.one_hot).sum())
    votes = float(patterns.coverage[rule] * patterns.counts.sum())
    low, high = _interval(right, cast)
    accuracy = right / cast if cast else float("nan")
    useful = votes * accuracy
    error = float(added.std(ddof=1) / np.sqrt(len(added)))
    return RuleWorth(
        rule=rule,
        votes=votes,
        gold_votes=round(cast),
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
        marginal_log_loss=float(added.mean()),
        marginal_error=error,
        usd_per_useful_vote=spent / useful if useful > 0 else float("nan"),
        advice=_advice(cast, high, 1.0 / k, float(added.mean()), error, spent),
    )


def _interval(right: float, cast: float) -> tuple[float, float]:
    tail = (1.0 - LEVEL) / 2
    low, high = betaincinv(right + 0.5, cast - right + 0.5, [tail, 1.0 - tail])
    return float(low), float(high)


def _advice(cast: float, high: float, chance: float, added: float, error: float, spent: float) -> Advice:
    if cast < LEAST_VOTES:
        return "unknown"
    if high <= chance:
        return "fix"
    if added > error:
        return "pay" if spent else "keep"
    return "drop" if spent or added < -CLEARLY * error else "keep"
