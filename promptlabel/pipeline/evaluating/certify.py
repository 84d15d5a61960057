"""`certify`: may a labeler stand in for a reviewer of this task, by what several reviewers decided alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promptlabel.evals.certifying import EPSILON, AltTest, alt_test, alt_test_of_sets
from promptlabel.pipeline.evaluating.labelers import labelers, set_labelers
from promptlabel.pipeline.evaluating.sayings import POSTERIOR
from promptlabel.pipeline.fitting.tables import known_label, label_gold
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Trace
from promptlabel.review.adjudication import blind_labels
from promptlabel.rules.loading import Task

Indices = npt.NDArray[np.int64]

TOO_FEW = "no trace was decided blind by two reviewers; run: promptlabel review --reviewers 3"


@dataclass(frozen=True, slots=True)
class CertifyReport:
    """The verdict on each labeler; none where no trace was decided by two reviewers.

    Attributes:
        items: traces that two reviewers or more decided blind.
        message: what to do where there are none, else None.
    """

    task: str
    items: int
    verdicts: Mapping[str, AltTest]
    message: str | None


def certify(
    workspace: Workspace, task: Task, names: tuple[str, ...] = (), *, epsilon: float = EPSILON
) -> CertifyReport:
    """Whether each named labeler, by default the posterior, may stand in for a reviewer.

    The alternative annotator test on every trace that two or more reviewers decided blind; an adjudicator, who has
    seen the others' labels, is no reviewer here. Where several labels may apply, opinions are compared by the Jaccard
    similarity of their sets.
    """
    given = _given(workspace, task)
    if not given:
        return CertifyReport(task.name, 0, {}, TOO_FEW)
    reviewers = tuple(sorted({reviewer for labels in given.values() for reviewer in labels}))
    panel = _Panel(tuple(workspace.store.traces(list(given))), reviewers, given)
    verdicts = _verdicts(workspace, task, names or (POSTERIOR,), panel, epsilon)
    return CertifyReport(task.name, len(panel.traces), verdicts, None)


@dataclass(frozen=True, slots=True)
class _Panel:
    """Traces that two reviewers or more decided blind: trace -> reviewer -> label."""

    traces: tuple[Trace, ...]
    reviewers: tuple[str, ...]
    given: Mapping[str, Mapping[str, str]]

    def labels(self, task: Task) -> Indices:
        """The label index of each trace and reviewer, ``[n, m]``, -1 for none."""
        index = {label: position for position, label in enumerate(task.labels)}
        own = [self.given[trace.trace_id] for trace in self.traces]
        return np.array([[index.get(labels.get(one, ""), -1) for one in self.reviewers] for labels in own])

    def sets(self, task: Task) -> Indices:
        """1 for each label in each reviewer's set of each trace, 0 for the others, ``[n, m, L]``, -1 for no set."""
        ids = [trace.trace_id for trace in self.traces]
        return np.stack([label_gold(task, ids, self._sets_of(one, task)) for one in self.reviewers], axis=1)

    def _sets_of(self, reviewer: str, task: Task) -> dict[str, str]:
        own = {name: labels[reviewer] for name, labels in self.given.items() if reviewer in labels}
        return {name: label for name, label in own.items() if known_label(task, label) is not None}


def _verdicts(
    workspace: Workspace, task: Task, names: Sequence[str], panel: _Panel, epsilon: float
) -> dict[str, AltTest]:
    if task.spec.kind == "several":
        sets = panel.sets(task)
        return {
            one.name: alt_test_of_sets(one.applies, sets, panel.reviewers, epsilon)
            for one in set_labelers(workspace, task, names, panel.traces)
        }
    labels = panel.labels(task)
    return {
        one.name: alt_test(one.votes, labels, panel.reviewers, epsilon)
        for one in labelers(workspace, task, names, panel.traces)
    }


def _given(workspace: Workspace, task: Task) -> dict[str, dict[str, str]]:
    """Trace -> reviewer -> label, of the traces that two reviewers or more decided blind."""
    labels: dict[str, dict[str, str]] = {}
    for opinion in blind_labels(workspace.store.reviews(task.name), workspace.store.gold(task.name)):
        labels.setdefault(opinion.trace_id, {})[opinion.reviewer] = opinion.label
    return {trace_id: own for trace_id, own in labels.items() if len(own) > 1}
