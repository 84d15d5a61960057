"""`score`: labelers on a frozen version, each with intervals, and how they differ on the same cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from promptlabel.errors import Fault, fail, nearest
from promptlabel.evals.versions import EvalVersion, named_version
from promptlabel.pipeline.eval_sets import eval_versions
from promptlabel.pipeline.evaluating.labelers import labelers, set_labelers
from promptlabel.pipeline.evaluating.scored import Difference, Scored, ScoredOne, ScoredSets
from promptlabel.pipeline.fitting.tables import known_label, label_gold
from promptlabel.pipeline.workspace import Workspace
from promptlabel.rules.loading import Task

Indices = npt.NDArray[np.int64]
Judged = TypeVar("Judged", ScoredOne, ScoredSets)


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

    A tie of t labels at the top counts 1/t right, and saying nothing is a tie of all labels. Where several labels may
    apply, accuracy is the share of whole sets that are right, and saying nothing of a label is a tie of yes and no.

    Raises:
        InputError: for a version or a labeler that there is not.
    """
    frozen = eval_version(workspace, task, version)
    traces = [case.trace for case in frozen.cases]
    wanted = [*names, *([baseline] if baseline and baseline not in names else [])] if names else []
    gold = gold_of(task, frozen)
    if task.spec.kind == "several":
        sets = [
            ScoredSets.of(task, frozen, gold, one) for one in set_labelers(workspace, task, wanted, traces)
        ]
        return _report(task, frozen, sets, baseline)
    found = [ScoredOne.of(task, frozen, gold, one) for one in labelers(workspace, task, wanted, traces)]
    return _report(task, frozen, found, baseline)


def _report(task: Task, version: EvalVersion, judged: Sequence[Judged], baseline: str | None) -> ScoreReport:
    ranked = sorted(judged, key=lambda one: -one.figures.score.accuracy.estimate)
    against = _baseline(ranked, baseline)
    others = [one for one in ranked if against and one.figures.name != against.figures.name]
    return ScoreReport(
        task=task.name,
        version=version.version,
        cases=len(version.cases),
        baseline=against.figures.name if against else None,
        labelers=tuple(one.figures for one in ranked),
        differences=tuple(one.lead_over(against) for one in others if against),
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
    """The label index of every case, ``[n]``; where several labels may apply 1 for each that does, ``[n, L]``.

    Raises:
        InputError: for a version without cases, and for each label of it that the task does not have.
    """
    if not version.cases:
        fail(Fault(f"version {version.version} has no cases left: all were forgotten", key=task.name))
    odd = sorted({case.label for case in version.cases if known_label(task, case.label) is None})
    if odd:
        fail(Fault(f"version {version.version} holds labels the task lacks: {', '.join(odd)}", key=task.name))
    if task.spec.kind == "several":
        given = {case.trace.trace_id: case.label for case in version.cases}
        return label_gold(task, list(given), given)
    return np.array([task.labels.index(case.label) for case in version.cases], dtype=np.int64)


def _baseline(ranked: Sequence[Judged], name: str | None) -> Judged | None:
    if name is None:
        return ranked[0] if ranked else None
    shown = name.rsplit("/", 1)[-1]
    found = next((one for one in ranked if one.figures.name in (name, shown)), None)
    return found or fail(
        f"the baseline '{name}' is not among the labelers: {', '.join(one.figures.name for one in ranked)}"
    )
