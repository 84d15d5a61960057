"""What to ship: estimators in shares, by their cross-validated log loss on gold and how sure it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from promptlabel.labelmodel.base import Estimator, Labelled
from promptlabel.labelmodel.calibration import row_losses
from promptlabel.labelmodel.cross_fitting import Balance, held_out_proba
from promptlabel.labelmodel.ordered import Labels
from promptlabel.labelmodel.patterns import FloatArray, Patterns
from promptlabel.labelmodel.pool import weighted_mean

BLEND = "blend"
BOOTSTRAPS, SEED = 200, 0
LEAST_SHARE = 0.01

Losses = Callable[[FloatArray, Labels], FloatArray]
Candidates = Mapping[str, Callable[[], Estimator]]


@dataclass(frozen=True)
class Choice:
    """What to ship, why, and every candidate's probabilities [g, K] on gold it had not seen.

    `weights` are the candidates' shares in the posterior, summing to one.
    """

    weights: Mapping[str, float]
    reason: str
    held_out: Mapping[str, FloatArray]

    @property
    def name(self) -> str:
        """The candidate if only one is left, else "blend"."""
        return next(iter(self.weights)) if len(self.weights) == 1 else BLEND

    @property
    def unseen(self) -> FloatArray:
        """Float array [g, K]: what is shipped, on gold it had not seen."""
        shares = np.array(list(self.weights.values()))
        return weighted_mean([self.held_out[name] for name in self.weights], shares)


def compare(
    candidates: Candidates, patterns: Patterns, gold: Labelled, balance: Balance
) -> dict[str, FloatArray]:
    """Each candidate's probabilities on labelled rows that its fit had not seen, those drawn at random only.

    Rows that were labelled because they looked hard help to fit, but would judge unfairly.
    """
    drawn = slice(None) if gold.random is None else gold.random
    return {name: held_out_proba(make, patterns, gold, balance)[drawn] for name, make in candidates.items()}


def blend(
    held_out: Mapping[str, FloatArray], names: Sequence[str], gold: Labelled, losses_of: Losses = row_losses
) -> Choice:
    """The candidates `names`, each with the probability that it predicts new gold best.

    Pseudo-BMA+ (Yao, Vehtari, Simpson, Gelman 2018): weights exp(-total held-out log loss), averaged over
    Bayesian bootstraps of the gold, so that few labels decide little. Shares under 1 % are left out. `losses_of` gives
    the loss of each row; of labels in order one that counts near misses less.
    """
    losses = np.stack([losses_of(held_out[name], gold.labels) for name in names], axis=1)
    draws = np.random.default_rng(SEED).dirichlet(np.ones(len(losses)), BOOTSTRAPS) * len(losses)
    shares = softmax(-draws @ losses, axis=1).mean(axis=0)
    kept = np.where(shares >= LEAST_SHARE, shares, 0.0)
    weights = {name: float(share) for name, share in zip(names, kept / kept.sum(), strict=True) if share > 0}
    return Choice(weights, _reason(weights), held_out)


def _reason(weights: Mapping[str, float]) -> str:
    heaviest = sorted(weights.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{name} {share:.0%}" for name, share in heaviest)
    return f"{shares}: the chances of the least cross-validated log loss on gold"
