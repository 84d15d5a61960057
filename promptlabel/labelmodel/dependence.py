"""How many independent votes a panel is worth, and which rules repeat one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.patterns import FloatArray, Patterns

Source = Literal["gold", "agreement"]
LEAST_SHARED_ROWS = 10
REDUNDANT = 0.5
SMALLEST_SPREAD = 1e-12
ENOUGH_PATTERNS = 10_000


@dataclass(frozen=True)
class Dependence:
    """Correlation of the rules' errors.

    Attributes:
        source: "gold" where errors were seen, "agreement" where they were guessed from a posterior.
        correlation: float array [m, m], NaN where two rules share too few traces; ones on the diagonal.
    """

    source: Source
    correlation: FloatArray

    @property
    def mean_correlation(self) -> float:
        """The mean over pairs of rules; a pair that shares too few traces counts as zero."""
        pairs = self.correlation[np.triu_indices(len(self.correlation), 1)]
        return float(np.nan_to_num(pairs).mean()) if len(pairs) else 0.0

    def effective_votes(self, rules: Sequence[int] | None = None) -> float:
        """The number of independent votes that these rules (default: all) are worth, between 1 and m.

        Kish: m / (1 + (m-1) r) with r the mean pairwise error correlation, negative ones counted as zero.
        """
        chosen = np.arange(len(self.correlation)) if rules is None else np.asarray(rules)
        part = Dependence(self.source, self.correlation[np.ix_(chosen, chosen)])
        return float(len(chosen) / (1.0 + (len(chosen) - 1) * max(part.mean_correlation, 0.0)))

    def by_family(self, families: Mapping[str, Sequence[int]]) -> dict[str, float]:
        """The effective votes of each family of rules, such as all prompts of one model."""
        return {family: self.effective_votes(rules) for family, rules in families.items()}

    def redundant_pairs(self, threshold: float = REDUNDANT) -> list[tuple[int, int, float]]:
        """The redundancy graph: (rule, rule, error correlation) of pairs at or above `threshold`, worst first."""
        first, second = np.triu_indices(len(self.correlation), 1)
        edges = [
            (int(i), int(j), float(self.correlation[i, j]))
            for i, j in zip(first, second, strict=True)
            if self.correlation[i, j] >= threshold
        ]
        return sorted(edges, key=lambda edge: -edge[2])


def from_gold(gold: Labelled) -> Dependence:
    """Error correlations seen on labelled rows, each pair over the rows on which both rules vote."""
    return Dependence("gold", _pairwise(gold.patterns, gold.one_hot))


def from_agreement(patterns: Patterns, posterior: FloatArray) -> Dependence:
    """Error correlations guessed without gold: expected errors under a posterior [u, K] of all the votes.

    Errors that most rules share look like the truth from here, so this sees too little correlation. Of very
    many patterns an even spread of some ten thousand is looked at.
    """
    step = max(1, len(posterior) // ENOUGH_PATTERNS)
    return Dependence("agreement", _pairwise(patterns.every(step), posterior[::step]))


def _pairwise(patterns: Patterns, truth: FloatArray) -> FloatArray:
    """Pearson correlations of errors over shared rows; every moment of a pair is taken on those rows."""
    voted = patterns.by_rule(np.ones_like(truth))
    wrong = sp.csr_array(voted - patterns.by_rule(truth))
    weights = sp.diags_array(patterns.counts)
    shared = (voted.T @ weights @ voted).toarray()
    errors = (wrong.T @ weights @ voted).toarray()
    products = (wrong.T @ weights @ wrong).toarray()
    squares = (wrong.power(2).T @ weights @ voted).toarray()
    rows = np.maximum(shared, 1.0)
    covariance = products / rows - errors * errors.T / rows**2
    variance = squares / rows - (errors / rows) ** 2
    spread = np.sqrt(np.maximum(variance * variance.T, 0.0))
    known = (spread > SMALLEST_SPREAD) & (shared >= LEAST_SHARED_ROWS)
    correlation = np.divide(covariance, spread, out=np.full_like(covariance, np.nan), where=known)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation)
