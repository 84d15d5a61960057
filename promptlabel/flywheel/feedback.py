"""What feedback says of all traffic when those who give it are not like those who do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from promptlabel.evals.intervals import Estimate, mover, wilson
from promptlabel.training.propensity import dependence, inverse_weights, is_explained, propensities

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Said = npt.NDArray[np.int8]

SILENT: Final = -1
UNKNOWN: Final = Estimate(0.5, 0.0, 1.0)


@dataclass(frozen=True)
class Feedback:
    """Feedback on some traces and an audit of a few drawn at random from all.

    Attributes:
        said: of every trace, 1 for good, 0 for bad, -1 where nobody said anything, ``[N]``.
        context: of every trace, what was logged before anybody could say anything, ``[N]``.
        rows: of the audited traces, ``[n]``; drawn with one probability, whatever was said.
        good: what the audit found of each, ``[n]``.
    """

    said: Said
    context: Sequence[Mapping[str, str | float]]
    rows: Indices
    good: Bools


@dataclass(frozen=True, slots=True)
class FeedbackFigures:
    """The share of good traces by feedback alone and by the audit.

    Attributes:
        naive: among those who said something, with the interval that would hold were they a random sample.
        weighted: the same with inverse propensity weights from context.
        honest: the audit's rates among those who said good, bad and nothing, in their shares of all traces; it
            holds whatever decides who says something, and however often they are wrong.
        told: share of traces on which somebody said something.
        audited: share of traces that were audited.
        ess: how many evenly weighted traces the weighted figure rests on.
        odds: how many times likelier good ones are to be spoken of within a context, with its interval.
        explained: whether context explains who says something: False no, None unknown.
    """

    naive: Estimate | None
    weighted: float | None
    honest: Estimate | None
    told: float
    audited: float
    ess: float
    odds: Estimate | None
    explained: bool | None

    @property
    def warning(self) -> str | None:
        """What to say beside feedback's own figure, None where nothing speaks against it."""
        if self.explained:
            return None
        why = "the outcome itself decides who gives feedback" if self.explained is False else (
            "the audit is too small to tell whether the outcome decides who gives feedback"
        )  # fmt: skip
        return f"{why}: only the audited figure is honest"

    def record(self) -> dict[str, Any]:
        """The figures as a JSON object."""
        return asdict(self) | {"warning": self.warning}


def feedback_figures(feedback: Feedback) -> FeedbackFigures:
    """The figures; those that nothing is known for are None."""
    told = feedback.said != SILENT
    odds = _odds(feedback, told)
    weights = inverse_weights(propensities(feedback.context, told), told)
    good = feedback.said[told] == 1
    return FeedbackFigures(
        naive=wilson(float(good.sum()), len(good)) if len(good) else None,
        weighted=float(np.average(good, weights=weights.weights)) if len(good) else None,
        honest=audited_share(feedback),
        told=float(told.mean()),
        audited=len(feedback.rows) / len(told),
        ess=weights.ess,
        odds=odds,
        explained=is_explained(odds),
    )


def audited_share(feedback: Feedback) -> Estimate | None:
    """The share of good traces among all, post-stratified by what was said; None without an audit."""
    if len(feedback.rows) == 0:
        return None
    kinds = [kind for kind in (1, 0, SILENT) if (feedback.said == kind).any()]
    sizes = [int((feedback.said == kind).sum()) for kind in kinds]
    found = [feedback.good[feedback.said[feedback.rows] == kind] for kind in kinds]
    parts = [wilson(float(good.sum()), len(good)) if len(good) else UNKNOWN for good in found]
    sampled = [len(good) / size for good, size in zip(found, sizes, strict=True)]
    return mover(parts, sizes, sampled)


def _odds(feedback: Feedback, told: Bools) -> Estimate | None:
    if len(feedback.rows) == 0:
        return None
    strata = [str(feedback.context[row].get("category", "none")) for row in feedback.rows.tolist()]
    return dependence(told[feedback.rows], feedback.good, strata)
