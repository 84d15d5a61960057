"""Training rows: the text of a trace, its soft label, and where the label came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from promptlabel.evals.freezing import Refusal
from promptlabel.label_sets import set_members
from promptlabel.records import Posterior, TaskKind, Trace, trace_record
from promptlabel.review.adjudication import Decision
from promptlabel.training.guard import IMMATURE, LED, NO_VOTE, RECYCLED, EvalOverlap, guarded

Source = Literal["gold", "labelmodel"]

BY_CODE: Final = "/code"
"""How voters that are code, which may look at what people did, are named in their end."""


@dataclass(frozen=True)
class TrainingRow:
    """One example to train on.

    Attributes:
        weight: 1 for a human label, else the posterior's confidence.
        as_of: when the label became known.
        provenance: who stands behind the label: ``rule:NAME/MODEL`` for each vote, ``reviewer:NAME`` for each person.
        predicted_at: the moment at which a model must know, None where the log has no times; what the row holds
            besides its label was known then.
        features: signals as of that moment.
        propensity: the probability of having a label given what was logged before; in `weight` already.
    """

    trace: Trace
    task: str
    label: str
    probs: Mapping[str, float]
    weight: float
    source: Source
    as_of: datetime
    provenance: tuple[str, ...] = ()
    predicted_at: datetime | None = None
    features: Mapping[str, float] = field(default_factory=dict)
    propensity: float | None = None

    @property
    def is_human(self) -> bool:
        """Whether people decided it."""
        return self.source == "gold"

    def record(self) -> dict[str, Any]:
        """The row as the JSON object of the interface: label, provenance, then the text as it was logged."""
        text = {key: value for key, value in trace_record(self.trace).items() if key in _TEXT}
        return {
            "trace_id": self.trace.trace_id,
            "task": self.task,
            "label": self.label,
            "probs": dict(self.probs),
            "weight": self.weight,
            "source": self.source,
            "as_of": self.as_of,
            "provenance": list(self.provenance),
            "predicted_at": self.predicted_at,
            "features": dict(self.features),
            "propensity": self.propensity,
        } | text


_TEXT = ("input", "output", "outputs", "messages")


@dataclass(frozen=True, slots=True)
class Labels:
    """What is known of one task's labels.

    Attributes:
        names: the task's labels.
        posteriors: by trace id, from the fit of `fitted_at`.
        decisions: by trace id; one that was not blind is no gold, for the model may have suggested it.
        voters: trace id -> the rules that voted on it, as ``NAME/MODEL``; those without a vote are left out.
        recycled: trace id -> chain from a vote that was set aside to the model that is to be trained.
        matures_after: how long after a trace what people did with it may still change what rules of code say of it.
    """

    task: str
    names: tuple[str, ...]
    posteriors: Mapping[str, Posterior]
    fitted_at: datetime | None
    decisions: Mapping[str, Decision]
    voters: Mapping[str, tuple[str, ...]]
    recycled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kind: TaskKind = "one"
    matures_after: timedelta | None = None

    def members(self, label: str) -> tuple[str, ...]:
        """The labels that a decision gave: one, or where several may apply those of its set."""
        return set_members(label) if self.kind == "several" else (label,)

    def knows(self, label: str) -> bool:
        """Whether the task has the decision's labels."""
        return all(name in self.names for name in self.members(label))

    def is_immature(self, trace: Trace, voters: tuple[str, ...]) -> bool:
        """Whether a label by these rules was made before all of its outcomes were in."""
        if self.matures_after is None or trace.timestamp is None or self.fitted_at is None:
            return False
        by_code = any(voter.endswith(BY_CODE) for voter in voters)
        return by_code and trace.timestamp + self.matures_after > self.fitted_at


def training_rows(
    traces: Iterable[Trace], labels: Labels, overlap: EvalOverlap, holdout_after: datetime | None
) -> Iterator[TrainingRow | Refusal]:
    """For each trace its training row, or why there is none."""
    for trace, refused in guarded(traces, overlap, holdout_after):
        yield refused or _row(trace, labels) or _unlabelled(trace, labels)


def _row(trace: Trace, labels: Labels) -> TrainingRow | Refusal | None:
    decision = labels.decisions.get(trace.trace_id)
    if decision is not None and decision.blind and labels.knows(decision.label):
        return _decided(trace, labels, decision)
    posterior, voters = labels.posteriors.get(trace.trace_id), labels.voters.get(trace.trace_id)
    if posterior is None or labels.fitted_at is None or not voters:
        return None
    if labels.is_immature(trace, voters):
        return Refusal(trace.trace_id, IMMATURE)
    return TrainingRow(
        trace,
        labels.task,
        posterior.label,
        posterior.probs,
        posterior.confidence,
        "labelmodel",
        labels.fitted_at,
        tuple(f"rule:{voter}" for voter in voters),
    )


def _decided(trace: Trace, labels: Labels, decision: Decision) -> TrainingRow:
    given = labels.members(decision.label)
    probs = {name: float(name in given) for name in labels.names}
    reviewers = tuple(f"reviewer:{name}" for name in decision.reviewers)
    return TrainingRow(trace, labels.task, decision.label, probs, 1.0, "gold", decision.at, reviewers)


def _unlabelled(trace: Trace, labels: Labels) -> Refusal:
    chain = labels.recycled.get(trace.trace_id)
    if chain is None:
        return Refusal(trace.trace_id, NO_VOTE)
    decision = labels.decisions.get(trace.trace_id)
    if decision is None:
        return Refusal(trace.trace_id, RECYCLED, chain=chain)
    who = ", ".join(decision.reviewers)
    return Refusal(trace.trace_id, LED, chain=(f"decided by {who} after seeing votes", *chain))
