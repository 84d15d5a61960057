"""Who says what of traces: the posterior, majority vote, a rule, a model, a file of predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from promptlabel.errors import Fault, PromptlabelError, fail, nearest
from promptlabel.evals.predictions import Prediction, read_predictions, rows_inside
from promptlabel.label_sets import ASK_ONE, set_members
from promptlabel.labelmodel import LabelModel
from promptlabel.llm.client import Client
from promptlabel.pipeline.authoring.trying import try_rule
from promptlabel.pipeline.files import harmless_text
from promptlabel.pipeline.fitting.judging import Judge, SetJudge, judge_of
from promptlabel.pipeline.fitting.tables import marks, vote_table
from promptlabel.pipeline.voting.asking import connect_models
from promptlabel.pipeline.voting.readiness import require_ready
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import RegisteredRule, Trace, Vote
from promptlabel.rules.heuristic import CodeRule
from promptlabel.rules.loading import Task
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import RuleSpec
from promptlabel.traces.files import rows

Floats = npt.NDArray[np.float64]

POSTERIOR: Final = "posterior"
MAJORITY: Final = "majority"
MODEL: Final = "model:"
_PROMPT: Final = """\
{{ guidelines }}
ASK:
{% for name, text in labels.items() %}- {{ name }}{% if text %}: {{ text }}{% endif %}
{% endfor %}
{{ trace.transcript }}
"""
PROMPT: Final = _PROMPT.replace("ASK", f"{ASK_ONE} and nothing else")
SET_PROMPT: Final = _PROMPT.replace("ASK", "Answer with all of these labels that apply, or with none")

Said: TypeAlias = Mapping[str, float]
"""The probability of each label; where several may apply, of each that is spoken of the probability that it does."""


@dataclass(frozen=True, slots=True)
class Sayings:
    """What a labeler says by trace; traces of which it says nothing are left out."""

    name: str
    by_trace: Mapping[str, Said]
    hard: bool


def sayings(
    workspace: Workspace, task: Task, names: Sequence[str], traces: Sequence[Trace]
) -> Iterator[Sayings]:
    """What each named labeler says; without names all that need no call: posterior, majority, rules that voted.

    Raises:
        InputError: for a name that is no rule, model or file, or a file that cannot be read.
    """
    for name in names or _at_hand(workspace, task, traces):
        yield from _named(workspace, task, name)(traces)


def _at_hand(workspace: Workspace, task: Task, traces: Sequence[Trace]) -> list[str]:
    """The posterior and majority vote, where there are any, and the rules that have voted on some of the traces."""
    ids = [trace.trace_id for trace in traces]
    voted = {rule.rule for rule, _ in workspace.store.votes(task.name, trace_ids=ids)}
    fitted = [POSTERIOR] if workspace.store.posteriors(task.name) is not None else []
    return [*fitted, *([MAJORITY] if voted else []), *sorted(voted)]


_Source = Callable[[Sequence[Trace]], Iterable[Sayings]]


def _named(workspace: Workspace, task: Task, name: str) -> _Source:
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


def _posterior(workspace: Workspace, task: Task, traces: Sequence[Trace]) -> Sayings:
    """The last fit's; of traces it has learnt from, that of fits without them."""
    judge = judge_of(workspace, task)
    if judge is None:
        raise PromptlabelError(f"task {task.name} has no posterior yet: run `promptlabel fit` first")
    names = [trace.trace_id for trace in traces]
    return _soft(
        POSTERIOR, task, judge.shares(names) if isinstance(judge, SetJudge) else _judged(judge, names)
    )


def _judged(judge: Judge, names: Sequence[str]) -> dict[str, Floats]:
    wanted = set(names)
    taught = judge.judge([one for one in judge.decisions if one.trace_id in wanted])
    known = dict(zip(judge.fitted.trace_ids, judge.fitted.probs, strict=True))
    known |= dict(zip((one.trace_id for one in taught.decisions), taught.probs, strict=True))
    return {name: known[name] for name in names if name in known}


def _majority(workspace: Workspace, task: Task, traces: Sequence[Trace]) -> Sayings:
    if task.spec.kind == "several":
        return _majority_of_sets(workspace, task, {trace.trace_id for trace in traces})
    table = vote_table(workspace, task)
    row_of = {name: row for row, name in enumerate(table.trace_ids)}
    names = [trace.trace_id for trace in traces if trace.trace_id in row_of]
    if not names or not table.rules:
        return _soft(MAJORITY, task, {})
    votes = table.votes[[row_of[name] for name in names]]
    even = [1 / len(task.labels)] * len(task.labels)
    probs = (
        LabelModel(len(task.labels), method="majority", class_balance=even).fit(votes).predict_proba(votes)
    )
    return _soft(MAJORITY, task, dict(zip(names, probs, strict=True)))


def _majority_of_sets(workspace: Workspace, task: Task, wanted: set[str]) -> Sayings:
    """Of each label the share of the rules that speak of it who say that it applies."""
    votes = workspace.store.label_votes(task.name, task.labels)
    rows = [row for row, name in enumerate(votes.trace_ids) if name in wanted]
    said = marks(votes.applies[rows])
    yes, no = (said == 1).sum(axis=1), (said == 0).sum(axis=1)
    shares = np.where(yes + no, yes / np.maximum(yes + no, 1), np.nan)
    return _soft(MAJORITY, task, dict(zip((votes.trace_ids[row] for row in rows), shares, strict=True)))


def _rule(workspace: Workspace, task: Task, name: str, traces: Sequence[Trace]) -> Iterator[Sayings]:
    """A rule's votes, one labeler for each of its models; those that are missing are cast now."""
    rule = next(found for found in task.rules if found.name == name)
    registered = [one for one in task.registered(workspace.project.settings.models) if one.rule == name]
    stored = {one.model: _stored(workspace, task, one, traces) for one in registered}
    missing = [trace for trace in traces if any(trace.trace_id not in votes for votes in stored.values())]
    cast = _tried(workspace, task, rule, missing) if missing else {}
    for model, votes in stored.items():
        shown = name if len(registered) == 1 else f"{name} ({model})"
        yield _hard(shown, cast.get(model, {}) | votes)


def _stored(
    workspace: Workspace, task: Task, rule: RegisteredRule, traces: Sequence[Trace]
) -> dict[str, Said | None]:
    """Trace id -> what the rule has voted, None where it abstained."""
    ids = [trace.trace_id for trace in traces]
    found = workspace.store.votes(task.name, rule=rule.rule, trace_ids=ids)
    return {
        vote.trace_id: _said(task, vote)
        for one, vote in found
        if one == rule and vote.status in ("vote", "abstain")
    }


def _said(task: Task, vote: Vote) -> Said | None:
    """The vote's label; where several may apply, what it says of each."""
    if vote.label is None:
        return None
    if task.spec.kind != "several":
        return {vote.label: 1.0}
    return vote.distribution or dict.fromkeys(set_members(vote.label), 1.0)


def _model(workspace: Workspace, task: Task, model: str, traces: Sequence[Trace]) -> Sayings:
    """A configured model that is told the task's labels and guidelines, and nothing of the rules."""
    models = workspace.project.settings.models
    if model not in models:
        fail(f"there is no model '{model}'{nearest(model, models)}")
    clients = connect_models(workspace.project, [model])
    require_ready(clients.values(), workspace.project.settings.budget)
    rule = PromptRule(f"{MODEL}{model}", _question(task, model, clients[model]), task.spec)
    return _hard(f"{MODEL}{model}", _tried(workspace, task, rule, traces).get(model, {}))


def _question(task: Task, model: str, client: Client) -> RuleSpec:
    if task.spec.kind != "several":
        return RuleSpec(prompt=PROMPT, model=model)
    able = next((decode for decode in client.decodes if decode != "logprobs"), None)
    return RuleSpec(prompt=SET_PROMPT, model=model, decode=able)


def _tried(
    workspace: Workspace, task: Task, rule: PromptRule | CodeRule, traces: Sequence[Trace]
) -> dict[str, dict[str, Said | None]]:
    """Model -> trace id -> what it said; answers paid for before cost nothing, and the budget holds.

    Raises:
        PromptlabelError: the run was stopped before every trace had its answer.
    """
    tried = try_rule(workspace, task, rule, traces)
    if tried.sent.stopped:
        raise PromptlabelError(f"stopped: {tried.sent.stopped}: {tried.sent.message}")
    said: dict[str, dict[str, Said | None]] = {}
    for one in tried.votes:
        said.setdefault(one.model, {})[one.vote.trace_id] = _said(task, one.vote)
    return said


def _file(task: Task, path: Path, traces: Sequence[Trace]) -> Sayings:
    is_set = task.spec.kind == "several"
    found = read_predictions(_rows(path), task.labels, str(path), is_set=is_set)
    known = {trace.trace_id: found[trace.trace_id] for trace in traces if trace.trace_id in found}
    if not known:
        fail(Fault("none of its ids is a case of the version", file=str(path)))
    if all(one.probs for one in known.values()):
        return Sayings(path.name, {name: one.probs or {} for name, one in known.items()}, hard=False)
    return _hard(path.name, {name: _foretold(task, one) for name, one in known.items()})


def _foretold(task: Task, prediction: Prediction) -> Said | None:
    """What a prediction says; a set names the labels that apply, and so that the others do not."""
    if prediction.label is None:
        return None
    if task.spec.kind != "several":
        return {prediction.label: 1.0}
    members = set_members(prediction.label)
    return prediction.probs or {label: float(label in members) for label in task.labels}


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


def _soft(name: str, task: Task, known: Mapping[str, Floats]) -> Sayings:
    """Probabilities by trace, in the order of the task's labels; NaN where nothing is said of a label."""
    rows = ((trace_id, zip(task.labels, row.tolist(), strict=True)) for trace_id, row in known.items())
    said = {trace_id: {label: value for label, value in row if value == value} for trace_id, row in rows}
    return Sayings(name, said, hard=False)


def _hard(name: str, known: Mapping[str, Said | None]) -> Sayings:
    return Sayings(name, {trace_id: said for trace_id, said in known.items() if said is not None}, hard=True)
