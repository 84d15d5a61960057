"""The figures of the guards, from what the store holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from promptlabel.evals.periods import month
from promptlabel.flywheel.amplification import (
    Amplification,
    Labelled,
    Persistence,
    amplification,
    persistence,
)
from promptlabel.flywheel.feedback import SILENT, Feedback, feedback_figures
from promptlabel.flywheel.guards import ExportFigures, GuardFigures, SignalFeedback
from promptlabel.pipeline.exporting.lineage import known_exports
from promptlabel.pipeline.exporting.trained import trained_ids
from promptlabel.pipeline.fitting.tables import vote_table
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Trace
from promptlabel.review.adjudication import Decision, decide
from promptlabel.routing.lanes import AUDIT
from promptlabel.rules.loading import Task
from promptlabel.store.contract import PosteriorTable, VoteTable
from promptlabel.training.propensity import logged_context, pruned
from promptlabel.training.provenance import ExportRecord

ASKED_AGAIN: Final = ("rephrased_turns", "rerequest_changed")
"""Signals above zero where somebody asked again."""
FEWEST_AUDITED: Final = 20
_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the figures need of a trace, so that all of them fit into memory."""

    name: str
    category: str
    month: str
    user: str | None
    asked_again: bool
    context: Mapping[str, str | float]

    @classmethod
    def of(cls, trace: Trace) -> Seen:
        """What they need of this trace."""
        return cls(
            name=trace.trace_id,
            category=trace.category or "none",
            month=month(trace),
            user=trace.user_id or trace.session_id,
            asked_again=any((trace.signal(name) or 0) > 0 for name in ASKED_AGAIN),
            context=logged_context(trace),
        )


def guard_figures(workspace: Workspace, task: Task, traces: Sequence[Seen]) -> GuardFigures:
    """Everything the report shows of a task's guards; rates of labels where each trace has one."""
    store = workspace.store
    decided = {one.trace_id: one for one in decide(store.reviews(task.name), store.gold(task.name))}
    audited = {name: one for name, one in decided.items() if _is_random(one)}
    fitted = None if task.spec.kind == "several" else store.posteriors(task.name)
    return GuardFigures(
        exports=tuple(_export(one) for one in known_exports(workspace) if task.name in one.tasks),
        feedback=tuple(_feedback(vote_table(workspace, task), traces, audited)) if fitted else (),
        amplification=_amplification(traces, fitted, audited, task) if fitted else None,
        persistence=_persistence(workspace, task, traces),
    )


def _is_random(decision: Decision) -> bool:
    """Whether chance alone chose the trace: the audit lane of the queue."""
    return decision.lane == AUDIT


def _export(record: ExportRecord) -> ExportFigures:
    return ExportFigures(
        export=record.name,
        at=record.at,
        rows=record.rows,
        human_share=record.human_share,
        refused=record.refused,
        set_aside=record.set_aside,
        figures=record.figures,
    )


def _feedback(
    table: VoteTable, traces: Sequence[Seen], audited: Mapping[str, Decision]
) -> Iterator[SignalFeedback]:
    """For every rule on signals, and the label it gives most often, its share beside the audited one."""
    rows = [place for place, name in enumerate(table.trace_ids) if name in audited]
    if len(rows) < FEWEST_AUDITED:
        return
    by_id = {trace.name: trace.context for trace in traces}
    context = pruned([by_id[name] for name in table.trace_ids])
    given = [audited[table.trace_ids[row]].label for row in rows]
    for rule, votes in zip(table.rules, table.votes.T, strict=True):
        told = votes >= 0
        if rule.kind != "signal" or not told.any():
            continue
        most = int(np.bincount(votes[told]).argmax())
        said = np.where(told, votes == most, SILENT).astype(np.int8)
        good = np.array([label == table.labels[most] for label in given], dtype=bool)
        figures = feedback_figures(Feedback(said, context, np.array(rows, dtype=np.int64), good))
        yield SignalFeedback(rule.rule, table.labels[most], figures)


def _amplification(
    traces: Sequence[Seen], fitted: PosteriorTable, audited: Mapping[str, Decision], task: Task
) -> Amplification:
    likeliest = fitted.probs.argmax(axis=1).tolist()
    label_of = {name: fitted.labels[k] for name, k in zip(fitted.trace_ids, likeliest, strict=True)}
    known = [trace for trace in traces if trace.name in label_of]
    given = [audited.get(trace.name) for trace in known]
    return amplification(
        Labelled(
            categories=[trace.category for trace in known],
            cycles=[trace.month for trace in known],
            predicted=[label_of[trace.name] for trace in known],
            audited=[decision.label if decision else None for decision in given],
        ),
        task.labels,
    )


def _persistence(workspace: Workspace, task: Task, traces: Sequence[Seen]) -> Persistence | None:
    """Of the traces whose user is known; of a session where there is no user."""
    trained = trained_ids(workspace, task.name)
    known = [trace for trace in traces if trace.user]
    return persistence(
        [str(trace.user) for trace in known],
        np.array([trace.asked_again for trace in known], dtype=bool),
        np.array([trace.name in trained for trace in known], dtype=bool),
        np.random.default_rng(_SEED),
    )
