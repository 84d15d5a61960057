"""A first pass over the traces before a training export: how many rows a category has, and who has a label at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from promptlabel.evals.freezing import Refusal
from promptlabel.evals.intervals import Estimate
from promptlabel.records import Trace
from promptlabel.review.adjudication import Decision
from promptlabel.routing.lanes import AUDIT
from promptlabel.routing.sampling import permanent_numbers
from promptlabel.training.export import TrainingRow
from promptlabel.training.guard import WITHOUT_LABEL
from promptlabel.training.propensity import (
    Weights,
    dependence,
    inverse_weights,
    is_explained,
    logged_context,
    propensities,
    pruned,
)


@dataclass(frozen=True, slots=True)
class Reweighting:
    """What became of the weights.

    Attributes:
        labelled: the share of traces that may be trained on and have a label.
        ess: how many evenly weighted rows the weighted ones are worth.
        explained: whether context explains which traces have none; False no, None unknown.
        odds: of having a label, by label, within categories, from the audit.
    """

    task: str
    labelled: float
    rows: int
    ess: float
    least: float
    clipped: float
    explained: bool | None
    odds: Mapping[str, Estimate | None]

    @property
    def warning(self) -> str | None:
        """What to say beside the weights, None where nothing speaks against them."""
        if self.explained or (self.explained is None and self.labelled == 1):
            return None
        why = (
            "which traces have a label depends on the label itself, which weights do not mend"
            if self.explained is False
            else "the audit is too small to tell whether context explains which traces have a label"
        )
        return f"{why}: only the random audit says what all traces are like"

    def record(self) -> dict[str, Any]:
        """The figures as a JSON object."""
        return asdict(self) | {"warning": self.warning}


@dataclass(frozen=True)
class Survey:
    """The traces that may be trained on: context and category of each, and which have a label."""

    names: Sequence[str]
    categories: Sequence[str]
    contexts: Sequence[Mapping[str, str | float]]
    labelled: Sequence[bool]

    @classmethod
    def of(cls, traces: Iterable[Trace], found: Iterable[TrainingRow | Refusal]) -> Survey:
        """The survey of the traces and what became of each, both in one order."""
        kept = [
            (trace, isinstance(item, TrainingRow))
            for trace, item in zip(traces, found, strict=True)
            if isinstance(item, TrainingRow) or item.reason in WITHOUT_LABEL
        ]
        return cls(
            names=[trace.trace_id for trace, _ in kept],
            categories=[trace.category or "none" for trace, _ in kept],
            contexts=pruned([logged_context(trace) for trace, _ in kept]),
            labelled=[labelled for _, labelled in kept],
        )

    def over_quota(self, most: int, task: str) -> frozenset[str]:
        """The labelled traces for which their category has no room, by lots that stay."""
        cells: dict[str, list[tuple[float, str]]] = defaultdict(list)
        numbers = permanent_numbers(list(self.names), f"training quota of {task}").tolist()
        for name, category, labelled, number in zip(
            self.names, self.categories, self.labelled, numbers, strict=True
        ):
            if labelled:
                cells[category].append((number, name))
        return frozenset(name for cell in cells.values() for _, name in sorted(cell)[most:])

    @cached_property
    def propensity(self) -> Mapping[str, float]:
        """Trace id -> probability of having a label given its context."""
        found = propensities(self.contexts, np.array(self.labelled, dtype=bool))
        return dict(zip(self.names, found.tolist(), strict=True))

    @cached_property
    def weights(self) -> Weights:
        """The weights of the labelled traces, in their order."""
        return inverse_weights(
            np.array([self.propensity[name] for name in self.names]), np.array(self.labelled, dtype=bool)
        )

    def weight_of(self) -> Mapping[str, float]:
        """Trace id -> weight of each labelled trace."""
        names = [name for name, labelled in zip(self.names, self.labelled, strict=True) if labelled]
        return dict(zip(names, self.weights.weights.tolist(), strict=True))

    def reweighting(
        self, task: str, labels: Sequence[str], decisions: Iterable[Decision], voted: Mapping[str, object]
    ) -> Reweighting:
        """The figures; whether the label decides who has one is asked of the decisions drawn at random."""
        odds = self._odds(labels, decisions, voted)
        answers = [is_explained(found) for found in odds.values()]
        return Reweighting(
            task=task,
            labelled=float(np.mean(self.labelled)) if self.labelled else 0.0,
            rows=int(sum(self.labelled)),
            ess=self.weights.ess,
            least=self.weights.least,
            clipped=self.weights.clipped,
            explained=False if False in answers else None if None in answers or not answers else True,
            odds=odds,
        )

    def _odds(
        self, labels: Sequence[str], decisions: Iterable[Decision], voted: Mapping[str, object]
    ) -> dict[str, Estimate | None]:
        category = dict(zip(self.names, self.categories, strict=True))
        drawn = [one for one in decisions if one.lane == AUDIT and one.trace_id in category]
        if not drawn:
            return dict.fromkeys(labels)
        observed = np.array([one.trace_id in voted for one in drawn], dtype=bool)
        strata = [category[one.trace_id] for one in drawn]
        return {
            label: dependence(observed, np.array([one.label == label for one in drawn], dtype=bool), strata)
            for label in labels
        }
