"""`certify`: may a labeler stand in for a reviewer of this task, by what several reviewers decided alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from promptlabel.evals.certifying import EPSILON, AltTest, alt_test
from promptlabel.pipeline.evaluating.labelers import POSTERIOR, labelers
from promptlabel.pipeline.fitting.tables import require_single
from promptlabel.pipeline.workspace import Workspace
from promptlabel.review.adjudication import blind_labels
from promptlabel.rules.loading import Task

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
    seen the others' labels, is no reviewer here.
    """
    require_single(task, "certify")
    given = _given(workspace, task)
    reviewers = tuple(sorted({reviewer for labels in given.values() for reviewer in labels}))
    if not given:
        return CertifyReport(task.name, 0, {}, TOO_FEW)
    index = {label: position for position, label in enumerate(task.labels)}
    traces = list(workspace.store.traces(list(given)))
    people = np.array(
        [[index.get(given[trace.trace_id].get(one, ""), -1) for one in reviewers] for trace in traces],
        dtype=np.int64,
    )
    return CertifyReport(
        task.name,
        len(traces),
        {
            labeler.name: alt_test(labeler.votes, people, reviewers, epsilon)
            for labeler in labelers(workspace, task, names or (POSTERIOR,), traces)
        },
        None,
    )


def _given(workspace: Workspace, task: Task) -> dict[str, dict[str, str]]:
    """Trace -> reviewer -> label, of the traces that two reviewers or more decided blind."""
    labels: dict[str, dict[str, str]] = {}
    for opinion in blind_labels(workspace.store.reviews(task.name), workspace.store.gold(task.name)):
        labels.setdefault(opinion.trace_id, {})[opinion.reviewer] = opinion.label
    return {trace_id: own for trace_id, own in labels.items() if len(own) > 1}
