"""Weights for labels that are missing more often in some contexts, and whether context explains what is missing.

Inverse propensity weights (Rosenbaum & Rubin 1983; Schnabel et al. 2016) mend a selection that depends on what was
logged before the outcome, and nothing else: where the outcome itself decides whether there is a label, they are as wrong
as no weights, and only a random audit is honest. So the audit is also asked whether that is so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.intervals import Z95, Estimate
from promptlabel.records import Trace

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

FOLDS: Final = 5
LEAST: Final = 0.01
"""Propensities below this count as this: no row may stand for more than a hundred."""
HARMLESS: Final = (0.5, 2.0)
"""Odds ratios between which a dependence on the outcome changes a share by few points."""
MOST_KINDS: Final = 20


@dataclass(frozen=True, slots=True)
class Weights:
    """Inverse propensity weights of what is observed, mean 1.

    Attributes:
        weights: float ``[observed]``.
        ess: (sum w)^2 / sum w^2, how many evenly weighted rows they are worth (Kish 1965).
        least: the smallest propensity among all rows.
        clipped: the share of all rows whose propensity was below `LEAST`: there is hardly anything like them.
    """

    weights: Floats
    ess: float
    least: float
    clipped: float


def propensities(context: Sequence[Mapping[str, str | float]], observed: Bools) -> Floats:
    """The probability that each row is observed given its context, from a model that has not seen the row.

    A logistic regression, cross-fitted in five folds. Where all or nothing is observed it is that share.

    Args:
        context: what was logged of each row before its outcome; texts are categories, ``[n]``.
        observed: which have a label, ``[n]``.
    """
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    fewest = int(min(observed.sum(), (~observed).sum()))
    if fewest < FOLDS:
        return np.full(len(observed), float(observed.mean()) if len(observed) else 0.0)
    model = make_pipeline(DictVectorizer(), MaxAbsScaler(), LogisticRegression(max_iter=500))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    found: Floats = cross_val_predict(
        model, list(map(dict, context)), observed, cv=folds, method="predict_proba"
    )[:, 1]
    return found


def logged_context(trace: Trace) -> dict[str, str | float]:
    """What was logged before anybody could react: category, month, length of what was asked, texts of the metadata."""
    opening = trace.turns[0].content if trace.turns else ""
    context: dict[str, str | float] = {
        "category": trace.category or "none",
        "opening": math.log1p(len(opening)),
    }
    if trace.timestamp:
        context["month"] = trace.timestamp.strftime("%Y-%m")
    return context | {
        f"metadata.{name}": value for name, value in trace.metadata.items() if isinstance(value, str)
    }


def pruned(context: Sequence[Mapping[str, str | float]]) -> list[dict[str, str | float]]:
    """The contexts without texts that have more than 20 values, which are names rather than kinds."""
    values: dict[str, set[str]] = {}
    for one in context:
        for name, value in one.items():
            if isinstance(value, str) and len(values.setdefault(name, set())) <= MOST_KINDS:
                values[name].add(value)
    names = {name for name, found in values.items() if len(found) > MOST_KINDS}
    return [{name: value for name, value in one.items() if name not in names} for one in context]


def inverse_weights(propensity: Floats, observed: Bools) -> Weights:
    """The weights of the observed rows, self-normalised (SNIPS, Swaminathan & Joachims 2015)."""
    raw = 1 / np.maximum(propensity[observed], LEAST)
    weights = raw / raw.mean() if len(raw) else raw
    ess = float(weights.sum() ** 2 / (weights**2).sum()) if len(raw) else 0.0
    least = float(propensity.min()) if len(propensity) else 0.0
    return Weights(weights, ess, least, float((propensity < LEAST).mean()) if len(propensity) else 0.0)


def dependence(observed: Bools, outcome: Bools, strata: Sequence[str]) -> Estimate | None:
    """The odds ratio of being observed, outcome against none, within strata of equal context; None where unknowable.

    Mantel and Haenszel's estimate with the variance of Robins, Breslow and Greenland (1986). Only rows whose outcome
    is known whether or not they are observed may go in: those of a random audit.

    Args:
        observed: which have feedback or a label, ``[n]``.
        outcome: the audited outcome, ``[n]``.
        strata: the context of each, ``[n]``.
    """
    if min(map(_spread, (observed, outcome))) == 0:
        return None
    cells = _tables(observed, outcome, strata)
    total = cells.sum(axis=1)
    a, b, c, d = cells.T
    same, other = a * d / total, b * c / total
    ratio = float(same.sum() / other.sum())
    concordant, discordant = (a + d) / total, (b + c) / total
    variance = (
        (concordant * same).sum() / (2 * same.sum() ** 2)
        + (concordant * other + discordant * same).sum() / (2 * same.sum() * other.sum())
        + (discordant * other).sum() / (2 * other.sum() ** 2)
    )
    spread = math.exp(Z95 * math.sqrt(float(variance)))
    return Estimate(ratio, ratio / spread, ratio * spread)


def is_explained(found: Estimate | None) -> bool | None:
    """Whether context explains what is missing: False where the outcome decides too, None where that is unknown."""
    if found is None:
        return None
    if found.low > 1 or found.high < 1:
        return False
    return True if HARMLESS[0] <= found.low and found.high <= HARMLESS[1] else None


def _tables(observed: Bools, outcome: Bools, strata: Sequence[str]) -> Floats:
    """One row a stratum: observed and outcome, observed alone, outcome alone, neither; halves added where one is empty.

    Without these (Haldane 1956) an outcome that alone decides would have no finite odds.
    """
    _, place = np.unique(np.array(strata, dtype=str), return_inverse=True)
    kind = np.where(observed, np.where(outcome, 0, 1), np.where(outcome, 2, 3))
    cells = np.bincount(place * 4 + kind, minlength=4 * (place.max() + 1)).reshape(-1, 4).astype(float)
    a, b, c, d = cells.T
    separated = (a * d).sum() == 0 or (b * c).sum() == 0
    return cells + 0.5 if separated else cells


def _spread(flags: Bools) -> int:
    return int(min(flags.sum(), (~flags).sum())) if len(flags) else 0
