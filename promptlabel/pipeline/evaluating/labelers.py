"""Whoever may be judged on frozen cases: the posterior, majority vote, a rule, a model, a file of predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from promptlabel.errors import Fault, PromptlabelError, fail, nearest
from promptlabel.evals.predictions import Prediction, read_predictions, rows_inside
from promptlabel.evals.scoring import one_hot
from promptlabel.labelmodel import LabelModel
from promptlabel.pipeline.authoring.trying import try_rule
from promptlabel.pipeline.files import harmless_text
from promptlabel.pipeline.fitting.judging import judge_of
from promptlabel.pipeline.fitting.tables import require_single, vote_table
from promptlabel.pipeline.voting.asking import connect_models
from promptlabel.pipeline.voting.readiness import require_ready
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN, RegisteredRule, Trace
from promptlabel.rules.heuristic import CodeRule
from promptlabel.rules.loading import Task
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import RuleSpec
from promptlabel.traces.files import rows

Floats = npt.NDArray[np.float64]
Votes = npt.NDArray[np.int64]

POSTERIOR: Final = "posterior"
MAJORITY: Final = "majority"
MODEL: Final = "model:"
PROMPT: Final = """\
{{ guidelines }}
Answer with one of these labels and nothing else:
{% for name, text in labels.items() %}- {{ name }}{% if text %}: {{ text }}{% endif %}
{% endfor %}
{{ trace.transcript }}
"""


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


def labelers(
    workspace: Workspace, task: Task, names: Sequence[str], traces: Sequence[Trace]
) -> Iterator[Labeler]:
    """The named labelers on the traces; without names all that need no call: posterior, majority, rules that voted.

    Raises:
        InputError: for a name that is no rule, model or file, or a file that cannot be read.
    """
    require_single(task, "judging labelers")
    for name in names or _at_hand(workspace, task, traces):
        yield from _named(workspace, task, name)(traces)


def _at_hand(workspace: Workspace, task: Task, traces: Sequence[Trace]) -> list[str]:
    """The posterior and majority vote, where there are any, and the rules that have voted on some of the traces."""
    ids = [trace.trace_id for trace in traces]
    voted = {rule.rule for rule, _ in workspace.store.votes(task.name, trace_ids=ids)}
    fitted = [POSTERIOR] if workspace.store.posteriors(task.name) is not None else []
    return [*fitted, *([MAJORITY] if voted else []), *sorted(voted)]


_Labels = Callable[[Sequence[Trace]], Iterable[Labeler]]


def _named(workspace: Workspace, task: Task, name: str) -> _Labels:
    if name == POSTERIOR:
        return lambda traces: [_posterior(workspace, task, traces)]
    if name == MAJORITY:
        return lambda traces: [_majority(workspace, task, traces)]
    if name.startswith(MODEL):
        return lambda traces: [_model(workspace, task, name.removeprefix(MODEL), traces)]
    if any(rule.name == name for rule in task.rules):
        return lambda traces: _rule(workspace, task, name, traces)
    if Path(name).is_file():
        return lambda traces: [_file(task, Path(name), traces)]
    known = [POSTERIOR, MAJORITY, *(rule.name for rule in task.rules)]
    known += [f"{MODEL}{model}" for model in workspace.project.settings.models]
    return fail(f"'{name}' is no labeler of {task.name} and no file{nearest(name, known)}")


def _posterior(workspace: Workspace, task: Task, traces: Sequence[Trace]) -> Labeler:
    """The last fit's; of traces it has learnt from, that of fits without them."""
    judge = judge_of(workspace, task)
    if judge is None:
        raise PromptlabelError(f"task {task.name} has no posterior yet: run `promptlabel fit` first")
    wanted = {trace.trace_id for trace in traces}
    taught = judge.judge([one for one in judge.decisions if one.trace_id in wanted])
    known = dict(zip((one.trace_id for one in taught.decisions), taught.probs, strict=True))
    stored = dict(zip(judge.fitted.trace_ids, judge.fitted.probs, strict=True))
    return _soft(POSTERIOR, task, traces, stored | known)


def _majority(workspace: Workspace, task: Task, traces: Sequence[Trace]) -> Labeler:
    table = vote_table(workspace, task)
    row_of = {name: row for row, name in enumerate(table.trace_ids)}
    names = [trace.trace_id for trace in traces if trace.trace_id in row_of]
    if not names or not table.rules:
        return _soft(MAJORITY, task, traces, {})
    votes = table.votes[[row_of[name] for name in names]]
    even = [1 / len(task.labels)] * len(task.labels)
    probs = (
        LabelModel(len(task.labels), method="majority", class_balance=even).fit(votes).predict_proba(votes)
    )
    return _soft(MAJORITY, task, traces, dict(zip(names, probs, strict=True)))


def _rule(workspace: Workspace, task: Task, name: str, traces: Sequence[Trace]) -> Iterator[Labeler]:
    """A rule's votes, one labeler for each of its models; those that are missing are cast now."""
    rule = next(found for found in task.rules if found.name == name)
    registered = [one for one in task.registered(workspace.project.settings.models) if one.rule == name]
    stored = {one.model: _stored(workspace, task, one, traces) for one in registered}
    missing = [trace for trace in traces if any(trace.trace_id not in votes for votes in stored.values())]
    cast = _tried(workspace, task, rule, missing) if missing else {}
    for model, votes in stored.items():
        shown = name if len(registered) == 1 else f"{name} ({model})"
        yield _hard(shown, task, traces, cast.get(model, {}) | votes)


def _stored(
    workspace: Workspace, task: Task, rule: RegisteredRule, traces: Sequence[Trace]
) -> dict[str, str | None]:
    """Trace id -> the label the rule has voted for, None where it abstained."""
    ids = [trace.trace_id for trace in traces]
    found = workspace.store.votes(task.name, rule=rule.rule, trace_ids=ids)
    return {
        vote.trace_id: vote.label for one, vote in found if one == rule and vote.status in ("vote", "abstain")
    }


def _model(workspace: Workspace, task: Task, model: str, traces: Sequence[Trace]) -> Labeler:
    """A configured model that is told the task's labels and guidelines, and nothing of the rules."""
    models = workspace.project.settings.models
    if model not in models:
        fail(f"there is no model '{model}'{nearest(model, models)}")
    clients = connect_models(workspace.project, [model])
    require_ready(clients.values(), workspace.project.settings.budget)
    rule = PromptRule(f"{MODEL}{model}", RuleSpec(prompt=PROMPT, model=model), task.spec)
    return _hard(f"{MODEL}{model}", task, traces, _tried(workspace, task, rule, traces).get(model, {}))


def _tried(
    workspace: Workspace, task: Task, rule: PromptRule | CodeRule, traces: Sequence[Trace]
) -> dict[str, dict[str, str | None]]:
    """Model -> trace id -> label; answers paid for before cost nothing, and the budget holds.

    Raises:
        PromptlabelError: the run was stopped before every trace had its answer.
    """
    tried = try_rule(workspace, task, rule, traces)
    if tried.sent.stopped:
        raise PromptlabelError(f"stopped: {tried.sent.stopped}: {tried.sent.message}")
    labels: dict[str, dict[str, str | None]] = {}
    for one in tried.votes:
        labels.setdefault(one.model, {})[one.vote.trace_id] = one.vote.label
    return labels


def _file(task: Task, path: Path, traces: Sequence[Trace]) -> Labeler:
    found = read_predictions(_rows(path), task.labels, str(path))
    known = [found[trace.trace_id] for trace in traces if trace.trace_id in found]
    if not known:
        fail(Fault("none of its ids is a case of the version", file=str(path)))
    if all(prediction.probs for prediction in known):
        return _soft(path.name, task, traces, {one.trace_id: _row(task, one) for one in known})
    return _hard(path.name, task, traces, {one.trace_id: one.label for one in known})


def _rows(path: Path) -> Iterator[tuple[int, object]]:
    """The rows of a file, or those inside the one object that it holds."""
    if path.suffix == ".json":
        try:
            document = orjson.loads(path.read_bytes())
        except ValueError:
            document = None
        if isinstance(document, Mapping):
            yield from enumerate(rows_inside(document), start=1)
            return
    for line, row in rows(path):
        yield line, _without_marks(row) if path.suffix == ".csv" else row


def _without_marks(row: object) -> object:
    """A row of a table that `export` wrote, its texts as they were before they were made harmless."""
    if not isinstance(row, Mapping):
        return row
    return {key: harmless_text(value) if isinstance(value, str) else value for key, value in row.items()}


def _row(task: Task, prediction: Prediction) -> Floats:
    probs = prediction.probs or {}
    return np.array([probs[label] for label in task.labels])


def _soft(name: str, task: Task, traces: Sequence[Trace], known: Mapping[str, Floats]) -> Labeler:
    even = np.full(len(task.labels), 1 / len(task.labels))
    probs = np.array([known.get(trace.trace_id, even) for trace in traces]).reshape(-1, len(task.labels))
    spoke = np.array([trace.trace_id in known for trace in traces], dtype=bool)
    return Labeler(name, probs, np.where(spoke, probs.argmax(axis=1), ABSTAIN), hard=False)


def _hard(name: str, task: Task, traces: Sequence[Trace], known: Mapping[str, str | None]) -> Labeler:
    index = {label: position for position, label in enumerate(task.labels)}
    votes = np.array(
        [index.get(known.get(trace.trace_id) or "", ABSTAIN) for trace in traces], dtype=np.int64
    )
    return Labeler(name, one_hot(votes, len(task.labels)), votes, hard=True)
