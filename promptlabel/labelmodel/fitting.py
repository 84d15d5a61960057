"""One fit from patterns and gold: the estimator asked for or the gate's choice, calibrated, and its report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from promptlabel.labelmodel.anchored import Anchored
from promptlabel.labelmodel.balance import LEAST_GOLD, ClassBalance
from promptlabel.labelmodel.base import Estimator, Labelled
from promptlabel.labelmodel.calibration import fit_exponent, tempered
from promptlabel.labelmodel.gate import Choice, blend, compare
from promptlabel.labelmodel.guard import Guard
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.pattern_em import PatternEM
from promptlabel.labelmodel.patterns import FloatArray, Patterns
from promptlabel.labelmodel.pool import Pool
from promptlabel.labelmodel.report import (
    BASELINES,
    BY_LABEL,
    Report,
    Scoring,
    against_baselines,
    calibration_report,
    dependence_report,
    votes_report,
    worse_than,
)
from promptlabel.labelmodel.single_rule import BestRule
from promptlabel.labelmodel.snorkel import Snorkel
from promptlabel.labelmodel.structure import structural_faults
from promptlabel.labelmodel.weighted import Weighted
from promptlabel.records import ABSTAIN
from promptlabel.votes.dependence import Dependence, dependence

Method = Literal["auto", "majority", "weighted", "em", "anchored", "snorkel"]
Named = Callable[[], Estimator]

BLENDED = ("guard", "anchored", "best rule")


@dataclass(frozen=True)
class Fitted:
    """An estimator ready to use, how far its probabilities are tempered, and the report of the fit."""

    name: str
    estimator: Estimator
    exponent: float
    report: Report

    def predict_proba(self, patterns: Patterns) -> FloatArray:
        """Float array [u, K], rows sum to one; rows without any evidence are not tempered."""
        raw = self.estimator.predict_proba(patterns)
        silent = (patterns.votes_per_row == 0) & (patterns.text is None)
        return np.where(silent[:, None], raw, tempered(raw, self.exponent))


def fit(
    method: Method, patterns: Patterns, gold: Labelled, balance: ClassBalance, scoring: Scoring = BY_LABEL
) -> Fitted:
    """The estimator asked for, or with "auto" the gate's blend or the guard, fitted and reported."""
    if len(gold.at_random()) >= LEAST_GOLD:
        return _fit_on_gold(method, patterns, gold, balance, scoring)
    return _fit_without_gold(method, patterns, gold, balance)


def _fit_on_gold(
    method: Method, patterns: Patterns, gold: Labelled, balance: ClassBalance, scoring: Scoring
) -> Fitted:
    by_name, judged = _by_name(balance.known(gold)), gold.at_random()
    names = BLENDED if method == "auto" else (method,)
    compared = {name: by_name[name] for name in dict.fromkeys((*names, *BASELINES))}
    held_out = compare(compared, patterns, gold, balance)
    choice = (
        blend(held_out, names, judged, scoring.losses)
        if method == "auto"
        else Choice({method: 1.0}, "asked for", held_out)
    )
    pool = Pool([by_name[name]() for name in choice.weights], np.array(list(choice.weights.values())))
    exponent = fit_exponent(choice.unseen, judged.labels)
    report = _gold_report(choice, judged, exponent, scoring)
    fitted = Fitted(choice.name, pool.fit(patterns, gold, balance(gold)), exponent, report)
    return _reported(fitted, patterns, gold, balance)


def _fit_without_gold(method: Method, patterns: Patterns, gold: Labelled, balance: ClassBalance) -> Fitted:
    known, shares = balance.known(gold), balance(gold)
    name, reason = (method, "asked for") if method != "auto" else (_unjudged(gold), _too_little(gold))
    estimator = _by_name(known)[name]().fit(patterns, gold, shares)
    faults = structural_faults(patterns, estimator.predict_proba(patterns)) if method == "auto" else []
    if faults:
        name, reason = "majority", f"{reason}; {'; '.join(faults)}, so majority vote is taken"
        estimator = Majority().fit(patterns, gold, shares)
    report: Report = {"reason": reason, "warnings": []}
    return _reported(Fitted(name, estimator, 1.0, report), patterns, gold, balance)


def _reported(fitted: Fitted, patterns: Patterns, gold: Labelled, balance: ClassBalance) -> Fitted:
    about: Report = {
        "chosen": fitted.name,
        "gold": len(gold),
        "gold_at_random": len(gold.at_random()),
        "class_balance": balance(gold).tolist(),
        "class_balance_source": balance.source(gold),
        "dependence": dependence_report(_dependence(patterns, gold)),
        "votes": votes_report(patterns, fitted.predict_proba(patterns)),
    }
    return Fitted(fitted.name, fitted.estimator, fitted.exponent, about | fitted.report)


def _dependence(patterns: Patterns, gold: Labelled) -> Dependence:
    """Read off the labelled rows if they say enough, else off all distinct rows with their counts."""
    votes = np.concatenate([gold.patterns.hard_votes, patterns.hard_votes])
    labels = np.concatenate([gold.labels, np.full(len(patterns.votes), ABSTAIN)])
    counts = np.concatenate([np.zeros(len(gold)), patterns.counts])
    return dependence(votes, labels, patterns.n_classes, counts)


def _gold_report(choice: Choice, gold: Labelled, exponent: float, scoring: Scoring) -> Report:
    shipped = tempered(choice.unseen, exponent)
    compared = {**choice.held_out, choice.name: choice.unseen}
    differences = against_baselines(shipped, choice.held_out, gold)
    return {
        "reason": choice.reason,
        "weights": dict(choice.weights),
        "compared": {name: scoring.measure(probabilities, gold) for name, probabilities in compared.items()},
        "against": differences,
        "calibration": calibration_report(shipped, gold, exponent, scoring.measure),
        "warnings": list(worse_than(choice.name, differences)),
    }


def _unjudged(gold: Labelled) -> str:
    """The name of what is shipped when nothing can be compared; only the anchored model reads texts."""
    return "guard" if gold.patterns.text is None else "anchored"


def _too_little(gold: Labelled) -> str:
    return f"{len(gold.at_random())} random gold labels, {LEAST_GOLD} are needed to compare estimators"


def _by_name(known: bool) -> dict[str, Named]:
    """Every estimator by its name."""
    return {
        "majority": Majority,
        "best rule": BestRule,
        "weighted": Weighted,
        "em": PatternEM,
        "snorkel": Snorkel,
        "guard": lambda: Guard(known),
        "anchored": lambda: Anchored(lambda: Guard(known)),
    }
