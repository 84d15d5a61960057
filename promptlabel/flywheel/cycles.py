"""What becomes of a classifier that is trained on its own labels, cycle after cycle, on one's own data.

In every cycle new traffic comes in and the classifier of the cycle before labels it. What it is trained on next is
what the arms differ in (Shumailov et al. 2024; Gerstgrasser et al. 2024 for the first two).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from promptlabel.evals.intervals import Estimate

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

REPLACE: Final = "replace"
ACCUMULATE: Final = "accumulate"
WITH_HUMAN: Final = "accumulate + human"
GUARDED: Final = "guard + human"
ARMS: Final[Mapping[str, str]] = {
    REPLACE: "trained on the newest traffic as the model before labelled it",
    ACCUMULATE: "on all traffic so labelled, and the labels of the beginning",
    WITH_HUMAN: "the same, with the share of each cycle that people review under their labels",
    GUARDED: "on what people labelled alone: the guard refuses the model's own labels",
}
CYCLES: Final = 12
TEST_SHARE: Final = 0.3
AT_RANDOM: Final = 0.2
"""The share of reviews drawn at random; the rest goes where the model is least sure."""


class Classifier(Protocol):
    """A classifier of scikit-learn."""

    classes_: npt.NDArray[np.int64]

    def fit(self, features: sp.csr_array, labels: Indices) -> Classifier:
        """The fitted classifier."""
        ...

    def predict_proba(self, features: sp.csr_array) -> Floats:
        """Float ``[n, classes seen]``."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How the cycles go.

    Attributes:
        start: labels by people that the first classifier learns from.
        human: share of each cycle's traffic that people review.
    """

    start: int
    human: float = 0.05
    cycles: int = CYCLES

    def reviews(self, traffic: int) -> int:
        """How many of so many traces people review, at least one unless they review none at all."""
        return max(round(self.human * traffic), 1) if self.human else 0


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """One arm over all runs.

    Attributes:
        accuracy: mean over runs, before the first cycle and after each, ``[cycles + 1]``.
        change: accuracy after the last cycle minus before the first, with an interval over the runs.
        human: labels by people that it used in the end, on average.
    """

    arm: str
    what: str
    accuracy: tuple[float, ...]
    change: Estimate
    human: float


@dataclass
class _Set:
    """A training set as it grows: rows of the data, the labels they have, and whether people gave them."""

    rows: Indices
    labels: Indices
    human: int

    def grown(self, rows: Indices, labels: Indices, human: int) -> _Set:
        return _Set(
            np.concatenate([self.rows, rows]), np.concatenate([self.labels, labels]), self.human + human
        )


def simulate(features: sp.csr_array, truth: Indices, plan: Plan, seeds: Sequence[int]) -> list[ArmFigures]:
    """Every arm's figures, each run on a split of its own, all arms on the same splits.

    Args:
        features: of every trace, such as TF-IDF weights, ``[n, d]``.
        truth: the label of every trace, ``[n]``; the models see only what their arm shows them.
        plan: how the cycles go.
        seeds: one a run.

    Raises:
        ValueError: when the traces do not suffice for the plan, see `smallest`.
    """
    if len(truth) < smallest(plan):
        raise ValueError(f"{len(truth)} labelled traces do not suffice, {smallest(plan)} would")
    runs = [_run(features, truth, plan, np.random.default_rng(seed)) for seed in seeds]
    return [_figures(arm, [run[arm] for run in runs]) for arm in ARMS]


def smallest(plan: Plan) -> int:
    """The fewest labelled traces that a plan can be simulated on: five new ones a cycle."""
    return math.ceil((plan.start + 5 * plan.cycles) / (1 - TEST_SHARE))


def tfidf(texts: Sequence[str]) -> sp.csr_array:
    """The TF-IDF weights of the texts' words and pairs of words, ``[n, d]``."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=20_000)
    return sp.csr_array(vectorizer.fit_transform(texts))


_Run = tuple[list[float], int]


def _run(features: sp.csr_array, truth: Indices, plan: Plan, rng: np.random.Generator) -> dict[str, _Run]:
    order = rng.permutation(len(truth))
    test, rest = np.split(order, [round(TEST_SHARE * len(order))])
    start, traffic = np.split(rest, [plan.start])
    cycles = np.array_split(traffic, plan.cycles)
    first = _Set(start, truth[start], len(start))
    return {arm: _of_arm(arm, features, truth, first, (cycles, test), plan, rng.spawn(1)[0]) for arm in ARMS}


def _of_arm(
    arm: str,
    features: sp.csr_array,
    truth: Indices,
    first: _Set,
    split: tuple[list[Indices], Indices],
    plan: Plan,
    rng: np.random.Generator,
) -> _Run:
    cycles, test = split
    taught, model = first, _trained(features, first)
    accuracies = [_accuracy(model, features, truth, test)]
    for traffic in cycles:
        probs = model.predict_proba(features[traffic])
        own = model.classes_[probs.argmax(axis=1)]
        reviewed = _reviewed(probs, plan.reviews(len(traffic)), rng)
        taught = _next_set(arm, taught, traffic, own, truth, reviewed)
        model = _trained(features, taught)
        accuracies.append(_accuracy(model, features, truth, test))
    return accuracies, taught.human


def _next_set(
    arm: str, taught: _Set, traffic: Indices, own: Indices, truth: Indices, reviewed: Indices
) -> _Set:
    if arm == REPLACE:
        return _Set(traffic, own, 0)
    if arm == ACCUMULATE:
        return taught.grown(traffic, own, 0)
    if arm == GUARDED:
        return taught.grown(traffic[reviewed], truth[traffic[reviewed]], len(reviewed))
    labels = own.copy()
    labels[reviewed] = truth[traffic[reviewed]]
    return taught.grown(traffic, labels, len(reviewed))


def _reviewed(probs: Floats, n: int, rng: np.random.Generator) -> Indices:
    """The rows that people review: some at random, the rest where the two likeliest labels are closest."""
    rows = rng.permutation(len(probs))
    drawn, others = np.split(rows, [math.ceil(AT_RANDOM * n)])
    top = np.sort(probs[others], axis=1)
    margin = top[:, -1] - (top[:, -2] if probs.shape[1] > 1 else 0)
    return np.concatenate([drawn, others[np.argsort(margin, kind="stable")[: n - len(drawn)]]])


def _trained(features: sp.csr_array, taught: _Set) -> Classifier:
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression

    several = len(np.unique(taught.labels)) > 1
    model: Classifier = (
        LogisticRegression(C=10, max_iter=300) if several else DummyClassifier(strategy="prior")
    )
    return model.fit(features[taught.rows], taught.labels)


def _accuracy(model: Classifier, features: sp.csr_array, truth: Indices, rows: Indices) -> float:
    said = model.classes_[model.predict_proba(features[rows]).argmax(axis=1)]
    return float((said == truth[rows]).mean())


def _figures(arm: str, runs: Sequence[_Run]) -> ArmFigures:
    accuracy = np.array([accuracies for accuracies, _ in runs])
    return ArmFigures(
        arm=arm,
        what=ARMS[arm],
        accuracy=tuple(accuracy.mean(axis=0).tolist()),
        change=over_runs(accuracy[:, -1] - accuracy[:, 0]),
        human=float(np.mean([human for _, human in runs])),
    )


def over_runs(values: Floats) -> Estimate:
    """The mean with Student's 95 % interval over runs; of a single run no interval is known: -1 to 1."""
    from scipy.stats import t

    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, -1.0, 1.0)
    spread = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return Estimate(mean, mean - spread, mean + spread)
