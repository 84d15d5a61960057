"""`score`: labelers on a frozen version, each with intervals, and how they differ on the same cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promptlabel.errors import Fault, fail, nearest
from promptlabel.evals.audit import weighted_share
from promptlabel.evals.intervals import Estimate, wilson
from promptlabel.evals.scoring import Score, accuracy_difference, score_probabilities, score_votes
from promptlabel.evals.versions import EvalVersion, named_version
from promptlabel.flywheel.gap import Gap, category_gap
from promptlabel.labelmodel.calibration import correctness
from promptlabel.labelmodel.ordered import OrderedFigures, ordered_figures_of
from promptlabel.pipeline.eval_sets import eval_versions
from promptlabel.pipeline.evaluating.labelers import Labeler, labelers
from promptlabel.pipeline.fitting.tables import require_single
from promptlabel.pipeline.workspace import Workspace
from promptlabel.rules.loading import Task

Indices = npt.NDArray[np.int64]

SEED = 0
"""Bootstraps are drawn by the same numbers every time, so that a version gives the same figures twice."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One labeler's figures on the version.

    Attributes:
        weighted: accuracy with each case weighted by how many traces it stands for; None where that is not known.
        precision: of each label that the labeler gave.
        recall: of each label that occurs.
        gap: worst against best category, None with fewer than two of enough cases.
        ordered: of labels in order, how far off its labels are.
    """

    name: str
    score: Score
    weighted: Estimate | None
    precision: Mapping[str, Estimate]
    recall: Mapping[str, Estimate]
    gap: Gap | None
    ordered: OrderedFigures | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy of the first labeler minus that of the second, on the same cases."""

    first: str
    second: str
    difference: Estimate


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """The labelers in order of accuracy, and each one's difference from the `baseline`, by default the best."""

    task: str
    version: str
    cases: int
    baseline: str | None
    labelers: tuple[Scored, ...]
    differences: tuple[Difference, ...]


def score(
    workspace: Workspace,
    task: Task,
    names: Sequence[str] = (),
    *,
    version: str = "latest",
    baseline: str | None = None,
) -> ScoreReport:
    """The named labelers on the frozen version; without names all that need no call.

    A tie of t labels at the top counts 1/t right, and saying nothing is a tie of all labels.

    Raises:
        InputError: for a version or a labeler that there is not.
    """
    require_single(task, "score")
    frozen = eval_version(workspace, task, version)
    traces = [case.trace for case in frozen.cases]
    wanted = [*names, *([baseline] if baseline and baseline not in names else [])] if names else []
    gold = gold_of(task, frozen)
    found = list(labelers(workspace, task, wanted, traces))
    scored = sorted(
        ((scored_labeler(task, frozen, gold, one), one) for one in found),
        key=lambda pair: -pair[0].score.accuracy.estimate,
    )
    against = _baseline(scored, baseline)
    return ScoreReport(
        task=task.name,
        version=frozen.version,
        cases=len(frozen.cases),
        baseline=against.name if against else None,
        labelers=tuple(figures for figures, _ in scored),
        differences=tuple(
            Difference(one.name, against.name, accuracy_difference(one.probs, against.probs, gold))
            for _, one in scored
            if against and one.name != against.name
        ),
    )


def eval_version(workspace: Workspace, task: Task, name: str) -> EvalVersion:
    """The task's frozen version of this name, or the newest for ``latest``; ``TASK/VERSION`` is understood too.

    Raises:
        InputError: there is none, or it has no case with one of the task's labels.
    """
    versions = eval_versions(workspace, task.name)
    found = named_version(versions, name.removeprefix(f"{task.name}/"))
    if found is None:
        known = nearest(name, [version.version for version in versions])
        fail(Fault(f"no eval version '{name}'{known}; to make one: promptlabel freeze", key=task.name))
    return found


def gold_of(task: Task, version: EvalVersion) -> Indices:
    """The label index of every case, ``[n]``.

    Raises:
        InputError: for each label of the version that the task does not have.
    """
    odd = sorted({case.label for case in version.cases} - set(task.labels))
    if odd or not version.cases:
        fail(Fault(f"version {version.version} holds labels the task lacks: {', '.join(odd)}", key=task.name))
    return np.array([task.labels.index(case.label) for case in version.cases], dtype=np.int64)


def scored_labeler(task: Task, version: EvalVersion, gold: Indices, labeler: Labeler) -> Scored:
    """The labeler's figures on the version."""
    right = correctness(labeler.probs, gold) > 0.5
    return Scored(
        name=labeler.name,
        score=score_votes(labeler.name, labeler.votes, gold, len(task.labels))
        if labeler.hard
        else score_probabilities(labeler.name, labeler.probs, gold),
        weighted=_weighted(version, right),
        precision=_by_label(task, labeler.votes, right),
        recall=_by_label(task, gold, right),
        gap=category_gap(
            [case.trace.category or "none" for case in version.cases], right, np.random.default_rng(SEED)
        ),
        ordered=ordered_figures_of(labeler.votes, gold, len(task.labels))
        if task.spec.kind == "ordered"
        else None,
    )


def _weighted(version: EvalVersion, right: npt.NDArray[np.bool_]) -> Estimate | None:
    weights = [case.weight for case in version.cases]
    known = [weight for weight in weights if weight is not None]
    return weighted_share(right, np.array(known)) if len(known) == len(weights) else None


def _by_label(task: Task, labels: Indices, right: npt.NDArray[np.bool_]) -> dict[str, Estimate]:
    sizes = {label: labels == k for k, label in enumerate(task.labels)}
    return {
        label: wilson(float(right[rows].sum()), float(rows.sum()))
        for label, rows in sizes.items()
        if rows.any()
    }


def _baseline(scored: Sequence[tuple[Scored, Labeler]], name: str | None) -> Labeler | None:
    if name is None:
        return scored[0][1] if scored else None
    shown = name.rsplit("/", 1)[-1]
    found = next((one for _, one in scored if one.name in (name, shown)), None)
    return found or fail(
        f"the baseline '{name}' is not among the labelers: {', '.join(one.name for _, one in scored)}"
    )
