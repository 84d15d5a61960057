"""Alarms for training rows that know more than a model would: features from the future, splits that know each other.

Both are permutation tests, so that the rate of false alarms is known: at most `RATE` on data in which nothing tells
anything, however many features there are and whatever their form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Value = float | int | str | bool | None

RATE: Final = 0.01
"""How often there is a false alarm on data without any relation: half for all features together, half for the split."""
LEVEL: Final = RATE / 2
PERMUTATIONS: Final = 199
FEWEST_ROWS: Final = 50
FOLDS: Final = 5
BINS: Final = 10
MOST_LEVELS: Final = 30
TOO_WELL: Final = 0.85
"""From this AUC on a feature of which nobody knows when it became known is held to be from the future."""
TOO_WELL_IN_TIME: Final = 0.98
"""The same for features as of the moment of prediction: so good is only what the label was made of."""
FAR: Final = 0.05
"""How far accuracy of a random split must lie above that of a split in time."""
BEYOND: Final = 3.0
"""And by how many standard deviations of random splits: a rank among 200 alone is alarming once in 200."""
SMOOTHING: Final = 1.0


@dataclass(frozen=True, slots=True)
class Leak:
    """A feature that predicts the label too well alone.

    Attributes:
        auc: out-of-fold AUC of the label it tells best.
        p: how often the best of all features does as well by chance.
        is_timed: whether it is known to have been known at the moment of prediction.
    """

    feature: str
    label: str
    auc: float
    p: float
    is_timed: bool

    def record(self) -> dict[str, Any]:
        """The leak as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SplitGap:
    """A text classifier's accuracy on random splits and on one in time.

    Attributes:
        random: mean of the random ones, `spread` their standard deviation.
        p: how often a random split does as badly as the one in time.
    """

    random: float
    in_time: float
    p: float
    spread: float

    @property
    def is_alarming(self) -> bool:
        """Whether random splits know of their tests what time would not have told."""
        return self.p <= LEVEL and self.random - self.in_time >= max(FAR, BEYOND * self.spread)

    def record(self) -> dict[str, Any]:
        """The gap as a JSON object."""
        return asdict(self) | {"is_alarming": self.is_alarming}


def leaks(
    features: Mapping[str, Sequence[Value]],
    labels: Sequence[str],
    rng: np.random.Generator,
    timed: frozenset[str] = frozenset(),
) -> list[Leak]:
    """The features that predict the label too well alone, best first; none of fewer than 50 rows.

    Numbers are cut into ten bins, a missing value is one of its own, so that a feature which exists only where the
    outcome was good is found too. Each bin scores what its label's share is in the other folds.

    Args:
        features: name -> values, ``[n]`` each, None where there is none.
        labels: ``[n]``.
        rng: for folds and permutations.
        timed: features that are known to be of the moment of prediction.
    """
    names, target = np.unique(np.array(labels, dtype=str), return_inverse=True)
    if len(target) < FEWEST_ROWS or len(names) < 2 or not features:
        return []
    fold = rng.permutation(len(target)) % FOLDS
    binned = {name: _binned(values) for name, values in features.items()}
    found = {name: _aucs(bins, fold, target, len(names)) for name, bins in binned.items()}
    chance = np.array(
        [
            max(_aucs(bins, fold, shuffled, len(names)).max() for bins in binned.values())
            for shuffled in (rng.permutation(target) for _ in range(PERMUTATIONS))
        ]
    )
    made = [
        Leak(name, str(names[aucs.argmax()]), float(aucs.max()), _p(chance, float(aucs.max())), name in timed)
        for name, aucs in found.items()
    ]
    return sorted(filter(_is_too_good, made), key=lambda leak: -leak.auc)


def split_gap(
    words: sp.csr_array, labels: Sequence[str], times: Sequence[float], rng: np.random.Generator
) -> SplitGap | None:
    """How a random split compares to one in time; None of fewer than 50 rows or of one label.

    The last fifth in time is tested by what came before, then random fifths by the rest. Were order of no account, the
    split in time would be one of these: its rank among them is an exact p-value.

    Args:
        words: counts or weights of words, ``[n, d]``, none negative.
        labels: ``[n]``.
        times: when each was, as numbers, ``[n]``.
        rng: for the random splits.
    """
    names, target = np.unique(np.array(labels, dtype=str), return_inverse=True)
    if len(target) < FEWEST_ROWS or len(names) < 2:
        return None
    order = np.argsort(np.asarray(times), kind="stable")
    hot = np.eye(len(names))[target]
    in_time = _accuracy(words, hot, order)
    random = np.array([_accuracy(words, hot, rng.permutation(len(target))) for _ in range(PERMUTATIONS)])
    return SplitGap(float(random.mean()), in_time, _p(-random, -in_time), float(random.std(ddof=1)))


def _is_too_good(leak: Leak) -> bool:
    return leak.p <= LEVEL and leak.auc >= (TOO_WELL_IN_TIME if leak.is_timed else TOO_WELL)


def _p(chance: Floats, found: float) -> float:
    """The share of draws at least as large, the found one among them (Phipson & Smyth 2010)."""
    return float((1 + (chance >= found).sum()) / (1 + len(chance)))


def _binned(values: Sequence[Value]) -> Indices:
    """The bin of each value, 0 for a missing one."""
    known = np.array([place for place, value in enumerate(values) if value is not None], dtype=np.int64)
    bins = np.zeros(len(values), dtype=np.int64)
    given = [values[place] for place in known.tolist()]
    if any(isinstance(value, str) for value in given):
        common = {
            level: place + 1
            for place, (level, _) in enumerate(Counter(map(str, given)).most_common(MOST_LEVELS))
        }
        bins[known] = [common.get(str(value), MOST_LEVELS + 1) for value in given]
    elif given:
        numbers = np.array(given, dtype=np.float64)
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1]))
        bins[known] = 1 + np.searchsorted(edges, numbers, side="right") + _lowest(numbers, edges)
    return bins


def _lowest(numbers: Floats, edges: Floats) -> npt.NDArray[np.bool_]:
    """One bin more above the first edge where most values are equal to it, such as 0 of a rare count."""
    return numbers > edges[0] if len(edges) else np.zeros(len(numbers), dtype=bool)


def _aucs(bins: Indices, fold: Indices, target: Indices, classes: int) -> Floats:
    """The out-of-fold AUC of each class against the rest, ``[K]``, from counts a cell of fold and bin."""
    size = int(bins.max()) + 1
    cell = (fold * size + bins) * classes + target
    counts = np.bincount(cell, minlength=FOLDS * size * classes).reshape(FOLDS, size, classes).astype(float)
    others = counts.sum(axis=0) - counts
    shares = target_shares(target, classes)
    scores = (others + SMOOTHING * shares) / (others.sum(axis=2, keepdims=True) + SMOOTHING)
    return np.array(
        [
            _auc(scores[..., k].ravel(), counts[..., k].ravel(), counts.sum(axis=2).ravel())
            for k in range(classes)
        ]
    )


def target_shares(target: Indices, classes: int) -> Floats:
    """The share of each class, ``[K]``."""
    return np.asarray(np.bincount(target, minlength=classes) / len(target), dtype=np.float64)


def _auc(scores: Floats, positive: Floats, total: Floats) -> float:
    """The AUC of scores that stand for `total` rows each, of which `positive` are of the class (Mann & Whitney)."""
    _, place = np.unique(np.round(scores, 12), return_inverse=True)
    up = np.bincount(place, weights=positive)
    down = np.bincount(place, weights=total - positive)
    pairs = up.sum() * down.sum()
    below = np.cumsum(down) - down
    return float((up * (below + down / 2)).sum() / pairs) if pairs else 0.5


def _accuracy(words: sp.csr_array, hot: Floats, order: Indices) -> float:
    """Of naive Bayes that learnt from the first four fifths in this order, on the last."""
    taught, tested = np.split(order, [round(0.8 * len(order))])
    rates = words[taught].T @ hot[taught] + 0.1
    prior = np.log(hot[taught].sum(axis=0) + SMOOTHING)
    scores = words[tested] @ np.log(rates / rates.sum(axis=0)) + prior
    return float((scores.argmax(axis=1) == hot[tested].argmax(axis=1)).mean())
