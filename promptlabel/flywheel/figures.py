"""Everything the report shows of one task, as records that are ready for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from promptlabel.evals.audit import NOT_AUDITED, Audit
from promptlabel.evals.intervals import Estimate, wilson
from promptlabel.evals.scoring import Score, accuracy_difference, one_hot, score_probabilities, score_votes
from promptlabel.flywheel.drift import Divergence, Freshness
from promptlabel.flywheel.gap import Gap
from promptlabel.flywheel.guards import GuardFigures
from promptlabel.flywheel.history import Cycle, Cycles, Headline
from promptlabel.flywheel.people import PeopleFigures
from promptlabel.flywheel.turning import EdgeCases, Flow, Refused
from promptlabel.labelmodel.calibration import reliability
from promptlabel.records import Pick, RuleKind

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Votes = npt.NDArray[np.signedinteger]

CONFIDENCE_BANDS = 20
CURVE_BANDS = 10
POSTERIOR = "posterior"
MAJORITY = "majority vote"


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """One rule with one model; `accuracy` is on gold that rules may be judged by, None without any.

    Attributes:
        note: in words, what the order of two outputs does to it, or how far off it is of labels in order; else empty.
    """

    rule: str
    kind: RuleKind
    model: str
    votes: int
    calls: int
    coverage: float
    overlap: float
    conflict: float
    accuracy: Estimate | None
    usd: float
    note: str = ""
    usd_per_useful_vote: float | None = None


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """What the label model's gate chose, why, and the figures of all it compared."""

    chosen: str
    reason: str
    compared: Mapping[str, Mapping[str, float]]
    fitted_at: datetime


@dataclass(frozen=True, slots=True)
class Band:
    """A band of the reliability curve: mean confidence, and how often right."""

    confidence: float
    accuracy: Estimate
    n: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The posterior beside majority vote and the best single rule, on the same gold.

    Attributes:
        basis: which gold, in words.
        scores: the posterior's, majority vote's, and the best single rule's.
        lead: accuracy of the posterior minus that of each other, by name.
        curve: reliability of the posterior.
    """

    basis: str
    scores: tuple[Score, ...]
    lead: Mapping[str, Estimate]
    curve: tuple[Band, ...]


@dataclass(frozen=True, slots=True)
class PosteriorFigures:
    """All posteriors: mean share of each label, and counts by confidence in equal bands from 1/K to 1."""

    shares: Mapping[str, float]
    confidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The review queue: how many wait and how many are decided by lane, and the first that wait."""

    waiting: Mapping[str, int]
    decided: int
    first: tuple[Pick, ...]


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """A frozen version of the eval set.

    Attributes:
        lag: median days from a new case's time in production to its decision.
        drift: how its categories diverge from production's of the 30 days before its last decision.
    """

    version: str
    cases: int
    fresh: int
    labels: Mapping[str, int]
    as_of: datetime | None
    lag: Estimate | None = None
    drift: Divergence | None = None


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """One month's share of the eval set and of production."""

    month: str
    cases: float
    production: float


@dataclass(frozen=True, slots=True)
class EvalFigures:
    """The versions, oldest first, and how far the newest trails production."""

    versions: tuple[VersionFigures, ...]
    freshness: Freshness | None
    months: tuple[MonthFigures, ...]


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """One task; what has not been done yet is None or empty.

    Attributes:
        seconds: half of the decisions took less.
        cost: dollars that a label which is right has cost.
        edges: last month's edge cases in training data.
        refused: what guards kept out of training and evals.
    """

    task: str
    labels: Mapping[str, str]
    traces: int
    gold: int
    rules: tuple[RuleFigures, ...]
    n_eff: float | None
    queue: QueueFigures
    evals: EvalFigures
    audit: Audit = NOT_AUDITED
    model: ModelFigures | None = None
    posterior: PosteriorFigures | None = None
    comparison: Comparison | None = None
    gap: Gap | None = None
    people: PeopleFigures | None = None
    flow: Flow | None = None
    seconds: Estimate | None = None
    cost: Estimate | None = None
    edges: EdgeCases = field(default_factory=EdgeCases)
    refused: tuple[Refused, ...] = ()
    guards: GuardFigures | None = None
    cycles: Cycles = field(default_factory=Cycles)


@dataclass(frozen=True, slots=True)
class ReportFigures:
    """The whole report; `usd` and `calls` are all the project ever spent, `forgotten` traces were deleted for good."""

    project: str
    made_at: datetime
    usd: float
    calls: int
    tasks: tuple[TaskFigures, ...]
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class SingleRules:
    """Votes ``[n, m]``, -1 for an abstain, and the names of the rules that cast them, ``[m]``."""

    votes: Votes
    rules: tuple[str, ...]


def compare(probs: Floats, majority: Floats, singles: SingleRules, gold: Indices, basis: str) -> Comparison:
    """The posterior's scores on gold beside majority vote's and those of the best single rule.

    An abstain counts 1/K right, as a guess would, so that a rule cannot win by voting rarely.

    Args:
        probs: the posterior, ``[n, K]``.
        majority: majority vote as probabilities, ``[n, K]``.
        singles: the single rules' votes.
        gold: ``[n]``.
        basis: which gold this is, in words.
    """
    best, score = _best_rule(singles, gold, classes=probs.shape[1])
    scores = (
        score_probabilities(POSTERIOR, probs, gold),
        score_probabilities(MAJORITY, majority, gold),
        score,
    )
    rivals = {MAJORITY: majority, score.name: one_hot(best, probs.shape[1])}
    return Comparison(
        basis=basis,
        scores=scores,
        lead={name: accuracy_difference(probs, rival, gold) for name, rival in rivals.items()},
        curve=tuple(
            Band(band["confidence"], wilson(band["accuracy"] * band["count"], band["count"]), band["count"])
            for band in reliability(probs, gold, CURVE_BANDS)
        ),
    )


def _best_rule(singles: SingleRules, gold: Indices, classes: int) -> tuple[Votes, Score]:
    scored = [
        (votes, score_votes(f"best single rule ({rule})", votes, gold, classes))
        for rule, votes in zip(singles.rules, singles.votes.T, strict=True)
    ]
    return max(scored, key=lambda pair: pair[1].accuracy.estimate)


def posterior_figures(probs: Floats, labels: Sequence[str]) -> PosteriorFigures:
    """Mean shares and confidences of all posteriors ``[n, K]``."""
    counts, _ = np.histogram(probs.max(axis=1), bins=CONFIDENCE_BANDS, range=(1 / len(labels), 1.0))
    shares = dict(zip(labels, probs.mean(axis=0).tolist(), strict=True))
    return PosteriorFigures(shares, tuple(counts.tolist()))


def cycle_of(task: TaskFigures) -> Cycle | None:
    """The headlines of the task's present fit; None before the first."""
    if task.model is None:
        return None
    return Cycle(f"{task.model.fitted_at:%Y-%m-%d %H:%M}", tuple(_headlines(task)))


def _headlines(task: TaskFigures) -> Iterator[Headline]:
    if task.audit.accuracy:
        yield Headline.of("audit", "accuracy of the labels, audited", "share", task.audit.accuracy, "up")
    if task.comparison:
        posterior, lead = task.comparison.scores[0], task.comparison.lead[MAJORITY]
        yield Headline.of("accuracy", "accuracy on human labels", "share", posterior.accuracy, "up")
        yield Headline.of("lead", "lead over majority vote", "share", lead, "up")
    if task.gap:
        yield Headline.of("gap", "worst against best category", "share", task.gap.gap, "down")
    if task.evals.versions and (lag := task.evals.versions[-1].lag):
        yield Headline.of("lag", "from production to the eval set", "days", lag, "down")
    if task.edges.share:
        yield Headline.of(
            "edges", "last month's edge cases in training data", "share", task.edges.share, "up"
        )
    if task.people and task.people.agreement.items:
        raw = task.people.agreement.raw
        yield Headline.of(
            "agreement", "reviewers agree", "share", Estimate(raw.estimate, raw.low, raw.high), "up"
        )
    if task.cost:
        yield Headline.of("cost", "cost of a useful label", "usd", task.cost, "down")
    yield Headline("waiting", "traces waiting for review", "count", sum(task.queue.waiting.values()))
    yield Headline("gold", "traces decided by people", "count", task.gold)
    yield Headline("traces", "traces", "count", task.traces)
