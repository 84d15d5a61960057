"""How right a labeler is on gold, with intervals, and how two labelers differ on the same gold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promptlabel.evals.intervals import Estimate, paired, wilson
from promptlabel.labelmodel.calibration import calibration_error, correctness, log_loss
from promptlabel.records import ABSTAIN

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Votes = npt.NDArray[np.signedinteger]


@dataclass(frozen=True, slots=True)
class Score:
    """A labeler's figures on `n` gold labels.

    Attributes:
        accuracy: a tie of t labels at the top counts 1/t right, and saying nothing is a tie of all labels.
        coverage: share of the gold on which the labeler says anything.
        log_loss: mean negative log-probability of the gold label, in nats; None for hard votes.
        ece: expected calibration error over equal bands of confidence; None for hard votes.
    """

    name: str
    n: int
    accuracy: Estimate
    coverage: float
    macro_f1: float
    log_loss: float | None = None
    ece: float | None = None


def score_votes(name: str, votes: Votes, gold: Indices, classes: int) -> Score:
    """The score of hard votes, int ``[n]`` with -1 where the labeler says nothing."""
    return _score(name, one_hot(votes, classes), gold, coverage=float((votes != ABSTAIN).mean()))


def score_probabilities(name: str, probs: Floats, gold: Indices) -> Score:
    """The score of probabilities, float ``[n, K]`` whose rows sum to one."""
    hard = _score(name, probs, gold, coverage=1.0)
    return Score(
        hard.name,
        hard.n,
        hard.accuracy,
        hard.coverage,
        hard.macro_f1,
        log_loss=log_loss(probs, gold),
        ece=calibration_error(probs, gold),
    )


def one_hot(votes: Votes, classes: int) -> Floats:
    """Votes as probabilities ``[n, K]``; an abstain is spread over all labels."""
    return np.where((votes == ABSTAIN)[:, None], 1 / classes, np.eye(classes)[votes])


def winners(probs: Floats) -> Floats:
    """Float ``[n, K]``: one for the likeliest label of each row, shared between ties."""
    top = np.isclose(probs, probs.max(axis=1, keepdims=True), rtol=0, atol=1e-12)
    return np.asarray(top / top.sum(axis=1, keepdims=True), dtype=np.float64)


def accuracy_difference(first: Floats, second: Floats, gold: Indices) -> Estimate:
    """Accuracy of the first labeler's probabilities minus the second's, on the same gold, with its interval."""
    differences = correctness(first, gold) - correctness(second, gold)
    gains, losses = differences.clip(min=0).sum(), (-differences).clip(min=0).sum()
    return paired(float(gains), float(losses), len(gold))


def macro_f1(probs: Floats, gold: Indices) -> float:
    """The mean of F1 over the labels that occur in gold or predictions, ties shared."""
    won, truth = winners(probs), np.eye(probs.shape[1])[gold]
    hits, sizes = (won * truth).sum(axis=0), won.sum(axis=0) + truth.sum(axis=0)
    present = sizes > 0
    return float((2 * hits[present] / sizes[present]).mean())


def _score(name: str, probs: Floats, gold: Indices, coverage: float) -> Score:
    accuracy = wilson(float(correctness(probs, gold).sum()), len(gold))
    return Score(name, len(gold), accuracy, coverage, macro_f1(probs, gold))
