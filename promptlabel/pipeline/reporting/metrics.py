"""What a monitoring system wants to know of a project: counts and money, in Prometheus' text format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from promptlabel.rules.loading import Task
from promptlabel.store.contract import Store


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name and meaning, and its values by labels."""

    name: str
    kind: Literal["counter", "gauge"]
    meaning: str
    values: Sequence[tuple[Mapping[str, str], float]]


def metrics(store: Store, tasks: Sequence[Task]) -> Iterator[Metric]:
    """The project's metrics now."""
    spent = store.spent()
    yield Metric("traces", "gauge", "Stored traces.", [({}, store.count_traces())])
    yield Metric("spent_usd_total", "counter", "Dollars ever spent on models.", [({}, spent.usd)])
    yield Metric("model_calls_total", "counter", "Requests ever sent to models.", [({}, spent.calls)])
    yield Metric("votes", "gauge", "Current votes.", list(_votes(store, tasks)))
    waiting = [({"task": task.name}, len(store.queue(task.name, undecided=True))) for task in tasks]
    yield Metric("queue_undecided", "gauge", "Queued traces that nobody has decided.", waiting)
    yield Metric("review_events_total", "counter", "What reviewers did.", list(_reviews(store, tasks)))


def exposition(found: Iterable[Metric]) -> str:
    """The metrics in Prometheus' text format, version 0.0.4."""
    return "".join(line + "\n" for metric in found for line in _lines(metric))


def _votes(store: Store, tasks: Sequence[Task]) -> Iterator[tuple[Mapping[str, str], float]]:
    for task in tasks:
        for (rule, model), statuses in store.count_votes(task.name).items():
            for status, count in statuses.items():
                yield {"task": task.name, "rule": rule, "model": model, "status": status}, count


def _reviews(store: Store, tasks: Sequence[Task]) -> Iterator[tuple[Mapping[str, str], float]]:
    for task in tasks:
        for action, count in Counter(event.action for event in store.reviews(task.name)).items():
            yield {"task": task.name, "action": action}, count


def _lines(metric: Metric) -> Iterator[str]:
    name = f"promptlabel_{metric.name}"
    yield f"# HELP {name} {metric.meaning}"
    yield f"# TYPE {name} {metric.kind}"
    for labels, value in metric.values:
        shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{f'{{{shown}}}' if shown else ''} {value:.17g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
