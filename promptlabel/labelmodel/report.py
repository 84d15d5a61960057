"""What the label model tells about itself: the figures it decided on, and where it may be wrong; JSON-ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.calibration import (
    brier_score,
    calibration_error,
    correctness,
    log_loss,
    reliability,
    row_losses,
)
from promptlabel.labelmodel.ordered import (
    Labels,
    mean_distance,
    median_class,
    quadratic_kappa,
    ranked_probability_score,
    threshold_losses,
)
from promptlabel.labelmodel.patterns import FloatArray, Patterns
from promptlabel.labelmodel.structure import class_shares, overruled, vote_shares
from promptlabel.records import JsonValue
from promptlabel.votes.dependence import Dependence

Report = dict[str, JsonValue]
Measure = Callable[[FloatArray, Labelled], Report]


@dataclass(frozen=True)
class Scoring:
    """How predictions are scored: the figures to report, and the loss of each row that the gate chooses by."""

    measure: Measure
    losses: Callable[[FloatArray, Labels], FloatArray]


BASELINES = ("majority", "best rule")
INTERVAL = NormalDist().inv_cdf(0.975)


def figures(probabilities: FloatArray, gold: Labelled) -> Report:
    """Accuracy (a tie of t counts 1/t), log loss, Brier score and calibration error on gold."""
    return {
        "accuracy": float(correctness(probabilities, gold.labels).mean()),
        "log_loss": log_loss(probabilities, gold.labels),
        "brier": brier_score(probabilities, gold.labels),
        "ece": calibration_error(probabilities, gold.labels),
    }


def ordered_figures(probabilities: FloatArray, gold: Labelled) -> Report:
    """`figures`, and for labels in order the ranked probability score, and the median class's distance and kappa."""
    decided = median_class(probabilities)
    kappa = quadratic_kappa(decided, gold.labels, gold.patterns.n_classes)
    return {
        **figures(probabilities, gold),
        "ranked_probability_score": ranked_probability_score(probabilities, gold.labels),
        "mean_distance": mean_distance(decided, gold.labels),
        "quadratic_kappa": None if np.isnan(kappa) else kappa,
    }


BY_LABEL = Scoring(figures, row_losses)
IN_ORDER = Scoring(ordered_figures, threshold_losses)


def against_baselines(shipped: FloatArray, held_out: Mapping[str, FloatArray], gold: Labelled) -> Report:
    """For each baseline the shipped accuracy minus its own on held-out gold, with a 95 % interval."""
    right = correctness(shipped, gold.labels)
    return {name: _difference(right - correctness(held_out[name], gold.labels)) for name in BASELINES}


def worse_than(chosen: str, differences: Mapping[str, JsonValue]) -> list[str]:
    """A sentence for each baseline that was more accurate on held-out gold than what was chosen."""
    return [
        f"{chosen} is {-gap['accuracy']:.1%} less accurate than {name} on held-out gold"
        f" (95 % interval {gap['low']:+.1%} to {gap['high']:+.1%})"
        for name, gap in differences.items()
        if isinstance(gap, dict) and gap["accuracy"] < 0
    ]


def calibration_report(
    probabilities: FloatArray, gold: Labelled, exponent: float, measure: Measure = figures
) -> Report:
    """Held-out figures after calibration, with the reliability curve and the exponent that was fitted."""
    bands = reliability(probabilities, gold.labels)
    curve: list[JsonValue] = [
        {"count": band["count"], "confidence": band["confidence"], "accuracy": band["accuracy"]}
        for band in bands
    ]
    return {"exponent": exponent, "reliability": curve, **measure(probabilities, gold)}


def dependence_report(dependence: Dependence) -> Report:
    """Effective votes, the mean error correlation and redundant pairs of rules, and what they were read from."""
    pairs: list[JsonValue] = [list(pair) for pair in dependence.redundant_pairs()]
    return {
        "source": dependence.source,
        "n_eff": dependence.effective_votes(),
        "error_correlation": dependence.mean_correlation,
        "redundant": pairs,
    }


def votes_report(patterns: Patterns, posterior: FloatArray) -> Report:
    """The shape of the votes, and the class shares of the posterior beside those of the votes."""
    total = patterns.counts.sum()
    return {
        "traces": float(total),
        "patterns": len(patterns.votes),
        "rules": patterns.n_rules,
        "covered": float(patterns.counts @ (patterns.votes_per_row > 0) / total),
        "votes_per_trace": float(patterns.counts @ patterns.votes_per_row / total),
        "class_shares": class_shares(patterns, posterior).tolist(),
        "vote_shares": vote_shares(patterns).tolist(),
        "unanimous_overruled": overruled(patterns, posterior),
    }


def _difference(gains: FloatArray) -> Report:
    mean = float(gains.mean())
    margin = float(INTERVAL * gains.std(ddof=1) / np.sqrt(len(gains)))
    return {"accuracy": mean, "low": mean - margin, "high": mean + margin}
