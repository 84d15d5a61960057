"""What a reviewer sees of a trace once they have decided it: votes, posterior, why it was there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from promptlabel.records import RegisteredRule, Vote
from promptlabel.review.probes import wrong_suggestion
from promptlabel.store.contract import Store


@dataclass(frozen=True, slots=True)
class RuleOpinion:
    """What one rule says of a trace."""

    rule: str
    kind: str
    model: str
    status: str
    label: str | None
    confidence: float | None
    rationale: str | None


@dataclass(frozen=True, slots=True)
class Reveal:
    """What a reviewer sees of a trace once they have decided it; `posterior` is None before the first fit."""

    trace_id: str
    label: str
    votes: tuple[RuleOpinion, ...]
    posterior: Mapping[str, float] | None
    reason: str


class Opinions:
    """What the rules say of a task's traces."""

    def __init__(self, store: Store, task: str) -> None:
        self._store, self._task = store, task
        table = store.posteriors(task)
        self._labels = () if table is None else table.labels
        self._rows = {} if table is None else {name: row for row, name in enumerate(table.trace_ids)}
        self._probs = None if table is None else table.probs

    def posterior(self, trace_id: str) -> dict[str, float] | None:
        """Label -> probability, None where there is none."""
        row = self._rows.get(trace_id)
        if row is None or self._probs is None:
            return None
        return dict(zip(self._labels, self._probs[row].tolist(), strict=True))

    def wrong_label(self, trace_id: str, known: str) -> str | None:
        """The label to suggest instead of the known one, None where nothing could suggest it."""
        posterior = self.posterior(trace_id)
        if posterior is None or known not in posterior or len(posterior) < 2:
            return None
        return wrong_suggestion(posterior, known)

    def reveal(
        self, trace_id: str, label: str, reason: str | None, known: str | None, suggested: str | None
    ) -> Reveal:
        """What the reviewer who gave the label sees.

        Args:
            trace_id: the trace.
            label: the reviewer's.
            reason: why the trace was queued; None for a probe, whose label is `known`.
            known: the label of a probe.
            suggested: a wrong label to suggest: wherever the rules say the known one, they seem to say this.
        """
        posterior = self.posterior(trace_id)
        swap = _swap(posterior, known, suggested)
        return Reveal(
            trace_id=trace_id,
            label=label,
            votes=tuple(dict.fromkeys(_opinion(rule, vote, swap) for rule, vote in self._votes(trace_id))),
            posterior=None
            if posterior is None
            else {swap.get(name, name): p for name, p in posterior.items()},
            reason=reason or _probe_reason(known or label, told=suggested is None),
        )

    def _votes(self, trace_id: str) -> Iterator[tuple[RegisteredRule, Vote]]:
        return self._store.votes(self._task, trace_ids=[trace_id])


def _swap(
    posterior: Mapping[str, float] | None, known: str | None, suggested: str | None
) -> Mapping[str, str]:
    """Which labels trade places; none where the rules say the wrong one of themselves."""
    if posterior is None or known is None or suggested is None or posterior[suggested] > posterior[known]:
        return {}
    return {known: suggested, suggested: known}


def _opinion(rule: RegisteredRule, vote: Vote, swap: Mapping[str, str]) -> RuleOpinion:
    label = None if vote.label is None else swap.get(vote.label, vote.label)
    rationale = None if swap else vote.rationale
    return RuleOpinion(rule.rule, rule.kind, rule.model, vote.status, label, vote.confidence, rationale)


def _probe_reason(known: str, *, told: bool) -> str:
    if not told:
        return "Drawn at random among all traces, so that accuracy can be measured without bias."
    return f"Mixed in to see how alike people judge: others had labelled it {known}."
