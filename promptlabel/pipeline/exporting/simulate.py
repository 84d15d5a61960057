"""`simulate`: what training a model on its own labels would do on the project's own traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from promptlabel.errors import Fault, fail
from promptlabel.flywheel.cycles import CYCLES, ArmFigures, Plan, simulate, smallest, tfidf
from promptlabel.pipeline.exporting.export_rows import posteriors
from promptlabel.pipeline.fitting.tables import known_label
from promptlabel.pipeline.workspace import Workspace
from promptlabel.review.adjudication import decide
from promptlabel.routing.sampling import permanent_numbers
from promptlabel.rules.loading import Task

Truth = Literal["gold", "posterior"]

START: Final = 100
FEWEST_AT_START: Final = 20
LARGEST: Final = 4_000
"""The most traces that take part, by lot."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """All arms on one task, or where several labels may apply on one of its labels.

    Attributes:
        truth: what stood for the true labels: what people decided, or where that is too little the posterior.
        runs: how many splits the intervals are over.
        label: where several labels may apply, the one that the models learn whether to give.
    """

    task: str
    truth: Truth
    traces: int
    start: int
    human: float
    cycles: int
    runs: int
    arms: tuple[ArmFigures, ...]
    label: str | None = None


def simulate_task(
    workspace: Workspace, task: Task, *, human: float, cycles: int = CYCLES, runs: int = 5
) -> list[Simulation]:
    """What `simulate_cycles` finds of the task; where several labels may apply, of each label by itself.

    Raises:
        InputError: where too few traces are labelled.
    """
    labels: Sequence[str | None] = task.labels if task.spec.kind == "several" else (None,)
    return [
        simulate_cycles(workspace, task, human=human, cycles=cycles, runs=runs, label=label)
        for label in labels
    ]


def simulate_cycles(
    workspace: Workspace,
    task: Task,
    *,
    human: float,
    cycles: int = CYCLES,
    runs: int = 5,
    label: str | None = None,
) -> Simulation:
    """Replace, accumulate, accumulate with people, and people under the guard, on the task's labelled traces.

    Args:
        workspace: the project.
        task: whose labels.
        human: share of each cycle's traffic that people review.
        cycles: how many.
        runs: splits of the traces, one a seed.
        label: where several labels may apply, which one a model of its own learns whether to give.

    Raises:
        InputError: where too few traces are labelled.
    """
    truth, labels = _labelled(workspace, task, cycles)
    names = sorted(
        labels, key=dict(zip(labels, permanent_numbers(list(labels), "simulate"), strict=True)).__getitem__
    )
    traces = list(workspace.store.traces(names[:LARGEST]))
    plan = Plan(_start(len(traces), cycles), human, cycles)
    known = _classes(task, [labels[trace.trace_id] for trace in traces], label)
    arms = simulate(tfidf([trace.transcript for trace in traces]), known, plan, range(runs))
    return Simulation(task.name, truth, len(traces), plan.start, human, cycles, runs, tuple(arms), label)


def _classes(task: Task, given: Sequence[str], label: str | None) -> npt.NDArray[np.int64]:
    """The index of each label, or 1 for each set that holds the one label and 0 for the others."""
    if label is not None:
        return np.array([label in task.spec.members(one) for one in given], dtype=np.int64)
    index = {name: place for place, name in enumerate(task.labels)}
    return np.array([index[one] for one in given], dtype=np.int64)


def _labelled(workspace: Workspace, task: Task, cycles: int) -> tuple[Truth, dict[str, str]]:
    """Trace id -> label, by people where they decided enough, else by the label model."""
    store, needed = workspace.store, smallest(Plan(FEWEST_AT_START, cycles=cycles))
    decided = {
        one.trace_id: one.label
        for one in decide(store.reviews(task.name), store.gold(task.name))
        if known_label(task, one.label) is not None
    }
    if len(decided) >= needed:
        return "gold", decided
    fitted = store.posteriors(task.name)
    if fitted is None or len(fitted.trace_ids) < needed:
        fail(
            Fault(
                f"{len(decided):,} traces are decided, {needed:,} would do; "
                "or run `promptlabel fit`, whose labels can stand in",
                key=task.name,
            )
        )
    likeliest = {one.trace_id: one.label for one in posteriors(fitted, task.spec.kind)}
    return "posterior", {
        name: label for name, label in likeliest.items() if known_label(task, label) is not None
    }


def _start(traces: int, cycles: int) -> int:
    """The labels to begin with: as many as leave enough for the cycles."""
    return next(
        (
            start
            for start in range(START, FEWEST_AT_START, -1)
            if smallest(Plan(start, cycles=cycles)) <= traces
        ),
        FEWEST_AT_START,
    )
