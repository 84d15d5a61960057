"""The rows of our own export kinds, streamed from the store, and their Parquet columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from promptlabel.evals.feedback import Opinion
from promptlabel.pipeline.files import Columns, struct
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Posterior, TaskKind
from promptlabel.review.adjudication import blind_labels, decide
from promptlabel.rules.loading import Task
from promptlabel.store.contract import PosteriorTable

Row: TypeAlias = Mapping[str, Any]
RowSource: TypeAlias = Callable[[Workspace, Task], Iterator[Row]]

TRAINING: Final = "training"


def vote_rows(workspace: Workspace, task: Task) -> Iterator[Row]:
    """The task's current votes of every status."""
    for rule, vote in workspace.store.votes(task.name):
        yield {
            "trace_id": vote.trace_id,
            "task": task.name,
            "rule": rule.rule,
            "model": rule.model,
            "label": vote.label,
            "status": vote.status,
            "confidence": vote.confidence,
            "distribution": vote.distribution,
        }


def posterior_rows(workspace: Workspace, task: Task) -> Iterator[Row]:
    """The posteriors of the task's last fit."""
    for posterior in posteriors(workspace.store.posteriors(task.name), task.spec.kind):
        yield {
            "trace_id": posterior.trace_id,
            "task": task.name,
            "label": posterior.label,
            "confidence": posterior.confidence,
            "probs": posterior.probs,
        }


def queue_rows(workspace: Workspace, task: Task) -> Iterator[Row]:
    """What waits for review, in order of presentation."""
    for pick in workspace.store.queue(task.name, undecided=True):
        yield {
            "trace_id": pick.trace_id,
            "task": task.name,
            "lane": pick.lane,
            "score": pick.score,
            "probability": pick.probability,
            "reason": pick.reason,
        }


def gold_rows(workspace: Workspace, task: Task) -> Iterator[Row]:
    """The label that people agree on, a row a trace."""
    for decision in decide(workspace.store.reviews(task.name), workspace.store.gold(task.name)):
        yield {
            "trace_id": decision.trace_id,
            "task": task.name,
            "label": task.spec.named(decision.label),
            "reviewer": ", ".join(decision.reviewers),
            "timestamp": decision.at,
            "blind": decision.blind,
            "lane": decision.lane,
            "probability": decision.probability,
        }


def opinions(workspace: Workspace, task: Task) -> Iterator[Opinion]:
    """What the task's rules voted, and the last label that each reviewer gave before seeing a vote."""
    store = workspace.store
    for rule, vote in store.votes(task.name):
        if vote.label is not None:
            whose = f"{rule.rule}/{rule.model}"
            yield Opinion(
                vote.trace_id,
                task.name,
                vote.label,
                "LLM" if rule.kind == "prompt" else "CODE",
                whose if vote.sample == 0 else f"{whose}/{vote.sample}",
                vote.confidence,
                vote.rationale,
                metadata={"rule": rule.rule, "model": rule.model},
            )
    for label in blind_labels(store.reviews(task.name), store.gold(task.name)):
        said = {"lane": label.lane, "probability": label.probability}
        known = {key: value for key, value in said.items() if value is not None}
        yield Opinion(
            label.trace_id,
            task.name,
            task.spec.named(label.label),
            "HUMAN",
            label.reviewer,
            at=label.timestamp,
            metadata=known,
        )


def posteriors(table: PosteriorTable | None, kind: TaskKind = "one") -> Iterator[Posterior]:
    """The rows of a fit as records; none before the first fit."""
    if table is None:
        return
    for trace_id, probs in zip(table.trace_ids, table.probs, strict=True):
        yield Posterior(trace_id, table.task, dict(zip(table.labels, probs.tolist(), strict=True)), kind)


ROW_SOURCES: Final[Mapping[str, RowSource]] = {
    "votes": vote_rows,
    "posteriors": posterior_rows,
    "queue": queue_rows,
    "gold": gold_rows,
}


def columns(kind: str, tasks: tuple[Task, ...]) -> Columns:
    """The Parquet columns of a kind of rows; label probabilities are an object with every label of the tasks."""
    probs = struct({label: "DOUBLE" for task in tasks for label in task.labels})
    key = {"trace_id": "VARCHAR", "task": "VARCHAR"}
    return key | _COLUMNS[kind] | dict.fromkeys(_PROBABILITIES.get(kind, ()), probs)


_PROBABILITIES: Final = {"training": ("probs",), "votes": ("distribution",), "posteriors": ("probs",)}
_MESSAGES: Final = struct({"role": "VARCHAR", "content": "VARCHAR", "timestamp": "TIMESTAMPTZ"}) + "[]"
_COLUMNS: Final[Mapping[str, dict[str, str]]] = {
    "training": {
        "label": "VARCHAR",
        "weight": "DOUBLE",
        "source": "VARCHAR",
        "as_of": "TIMESTAMPTZ",
        "provenance": "VARCHAR[]",
        "predicted_at": "TIMESTAMPTZ",
        "features": "MAP(VARCHAR, DOUBLE)",
        "propensity": "DOUBLE",
        "input": "VARCHAR",
        "output": "VARCHAR",
        "outputs": "VARCHAR[]",
        "messages": _MESSAGES,
    },
    "votes": {
        "rule": "VARCHAR",
        "model": "VARCHAR",
        "label": "VARCHAR",
        "status": "VARCHAR",
        "confidence": "DOUBLE",
    },
    "posteriors": {"label": "VARCHAR", "confidence": "DOUBLE"},
    "queue": {"lane": "VARCHAR", "score": "DOUBLE", "probability": "DOUBLE", "reason": "VARCHAR"},
    "gold": {
        "label": "VARCHAR",
        "reviewer": "VARCHAR",
        "timestamp": "TIMESTAMPTZ",
        "blind": "BOOLEAN",
        "lane": "VARCHAR",
        "probability": "DOUBLE",
    },
}
