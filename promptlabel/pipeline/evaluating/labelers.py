"""Whoever may be judged on frozen cases, as arrays over the cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promptlabel.pipeline.evaluating.sayings import Said, Sayings, sayings
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN, Trace
from promptlabel.rules.loading import Task

Floats = npt.NDArray[np.float64]
Votes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Labeler:
    """What one labeler says of some traces.

    Attributes:
        probs: float ``[n, K]``, rows sum to one; spread evenly where it says nothing.
        votes: int ``[n]``, its label, -1 where it says nothing.
        hard: whether it gives labels without probabilities.
    """

    name: str
    probs: Floats
    votes: Votes
    hard: bool


@dataclass(frozen=True, slots=True)
class SetLabeler:
    """What one labeler says of some traces where several labels may apply.

    Attributes:
        applies: float ``[n, L]``, the probability that each label applies, NaN where it says nothing of the label.
        hard: whether it gives labels without probabilities.
    """

    name: str
    applies: Floats
    hard: bool


def labelers(
    workspace: Workspace, task: Task, names: Sequence[str], traces: Sequence[Trace]
) -> Iterator[Labeler]:
    """The named labelers on the traces; without names all that need no call: posterior, majority, rules that voted.

    Raises:
        InputError: for a name that is no rule, model or file, or a file that cannot be read.
    """
    return (_labeler(task, traces, one) for one in sayings(workspace, task, names, traces))


def set_labelers(
    workspace: Workspace, task: Task, names: Sequence[str], traces: Sequence[Trace]
) -> Iterator[SetLabeler]:
    """The same for a task where several labels may apply.

    Raises:
        InputError: as `labelers`.
    """
    return (_set_labeler(task, traces, one) for one in sayings(workspace, task, names, traces))


def _labeler(task: Task, traces: Sequence[Trace], said: Sayings) -> Labeler:
    even = np.full(len(task.labels), 1 / len(task.labels))
    rows = [
        _row(task, said.by_trace[one.trace_id], 0.0) if one.trace_id in said.by_trace else even
        for one in traces
    ]
    probs = np.array(rows).reshape(-1, len(task.labels))
    spoke = np.array([trace.trace_id in said.by_trace for trace in traces], dtype=bool)
    return Labeler(said.name, probs, np.where(spoke, probs.argmax(axis=1), ABSTAIN), said.hard)


def _set_labeler(task: Task, traces: Sequence[Trace], said: Sayings) -> SetLabeler:
    rows = [_row(task, said.by_trace.get(trace.trace_id, {}), np.nan) for trace in traces]
    return SetLabeler(said.name, np.array(rows).reshape(-1, len(task.labels)), said.hard)


def _row(task: Task, said: Said, unsaid: float) -> Floats:
    return np.array([said.get(label, unsaid) for label in task.labels], dtype=np.float64)
