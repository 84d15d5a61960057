"""`simulate`: what training a model on its own labels would do on the project's own traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from promptlabel.errors import Fault, fail
from promptlabel.flywheel.cycles import CYCLES, ArmFigures, Plan, simulate, smallest, tfidf
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
    """All arms on one task.

    Attributes:
        truth: what stood for the true labels: what people decided, or where that is too little the posterior.
        runs: how many splits the intervals are over.
    """

    task: str
    truth: Truth
    traces: int
    start: int
    human: float
    cycles: int
    runs: int
    arms: tuple[ArmFigures, ...]


def simulate_cycles(
    workspace: Workspace, task: Task, *, human: float, cycles: int = CYCLES, runs: int = 5
) -> Simulation:
    """Replace, accumulate, accumulate with people, and people under the guard, on the task's labelled traces.

    Args:
        workspace: the project.
        task: whose labels.
        human: share of each cycle's traffic that people review.
        cycles: how many.
        runs: splits of the traces, one a seed.

    Raises:
        InputError: where too few traces are labelled, or with several labels each.
    """
    if task.spec.kind == "several":
        fail(Fault("simulate takes tasks of one label a trace, not of several", key=task.name))
    truth, labels = _labelled(workspace, task, cycles)
    names = sorted(
        labels, key=dict(zip(labels, permanent_numbers(list(labels), "simulate"), strict=True)).__getitem__
    )
    traces = list(workspace.store.traces(names[:LARGEST]))
    index = {label: place for place, label in enumerate(task.labels)}
    plan = Plan(_start(len(traces), cycles), human, cycles)
    known = np.array([index[labels[trace.trace_id]] for trace in traces], dtype=np.int64)
    arms = simulate(tfidf([trace.transcript for trace in traces]), known, plan, range(runs))
    return Simulation(task.name, truth, len(traces), plan.start, human, cycles, runs, tuple(arms))


def _labelled(workspace: Workspace, task: Task, cycles: int) -> tuple[Truth, dict[str, str]]:
    """Trace id -> label, by people where they decided enough, else by the label model."""
    store, needed = workspace.store, smallest(Plan(FEWEST_AT_START, cycles=cycles))
    decided = {
        one.trace_id: one.label
        for one in decide(store.reviews(task.name), store.gold(task.name))
        if one.label in task.labels
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
    likeliest = fitted.probs.argmax(axis=1).tolist()
    return "posterior", {
        name: fitted.labels[k]
        for name, k in zip(fitted.trace_ids, likeliest, strict=True)
        if fitted.labels[k] in task.labels
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
