"""`suggest`: rules without a model, proposed from gold and from the votes there are; files to read, never active.

Statistics find phrases and thresholds on half of the labels; a configured model is asked of each phrase whether it
means what the statistics say, which keeps out phrases that are right by accident; the other half of the labels says
what each proposal is worth. Proposals are declarative, so that nothing that a model says is ever run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import yaml

from promptlabel.errors import Fault, fail, nearest
from promptlabel.pipeline.authoring.trying import try_aside
from promptlabel.pipeline.fitting.gold import teaching_gold
from promptlabel.pipeline.fitting.tables import require_single, traces_of, vote_table
from promptlabel.pipeline.voting.sending import Sent
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN, Trace
from promptlabel.redaction import REDACTED, redacted
from promptlabel.rules.choices import Shots
from promptlabel.rules.declarative import DeclarativeRule
from promptlabel.rules.loading import Task
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import DeclarativeSpec, RuleSpec
from promptlabel.store.contract import VoteTable
from promptlabel.votes.mining import Candidate, Measured, Stump, halves, measured, phrases, stumps, together

FOLDER: Final = "proposals"
LEAST_LABELS: Final = 20
MOST_TRACES: Final = 5000

ASIDE: Final = "suggestions for "
"""Prefix of the task name under which answers about phrases are kept, out of the way of votes."""

_NEITHER: Final = "neither"
_QUESTION: Final = """\
{%- for label, meaning in labels.items() %}{{ label }}: {{ meaning or label }}
{% endfor -%}
Which of these do the words "{{ trace.input }}" speak for, or neither?"""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed rule, where it was written, and what it is worth.

    Attributes:
        accuracy, low, high: on labels it was not chosen on, with a 95 % interval; None where none was judged.
        coverage: share of all traces it votes on.
        on_disputed: share of the traces on which the task's rules disagree that it votes on; None without any.
        refused: phrases that the statistics found and the model did not confirm.
    """

    name: str
    path: str
    label: str
    way: str
    conditions: Sequence[str]
    votes: int
    coverage: float
    judged: int
    accuracy: float | None
    low: float
    high: float
    on_disputed: float | None
    refused: Sequence[str]


@dataclass(frozen=True, slots=True)
class SuggestReport:
    """The proposals for a task, the labels they are made of (``gold`` or the rules' ``majority``), and what was spent."""

    task: str
    source: str
    labelled: int
    proposals: Sequence[Proposal]
    calls: int
    usd: float
    stopped: str | None
    message: str


def suggest(workspace: Workspace, task: Task, *, model: str = "default", most: int = 12) -> SuggestReport:
    """Proposals for the task, at most one of phrases and one of a threshold for each label, written as files.

    Args:
        workspace: the project.
        task: the task.
        model: the configured model that is asked about phrases.
        most: phrases it is asked about for each label.

    Raises:
        InputError: no model of that name; too few labels, and too few votes to stand for them.
    """
    _require_model(workspace, model)
    material = _Material.of(workspace, task)
    confirmed, refused, sent = _confirmed(workspace, task, material.candidates(most), model)
    drafts = [*_keyword_drafts(task, material, confirmed), *_threshold_drafts(task, material)]
    folder = workspace.project.root / FOLDER / task.name
    proposals = [_written(folder, task, material, draft, refused) for draft in drafts]
    spent = (sent.calls, sent.usd, sent.stopped, sent.message)
    return SuggestReport(task.name, material.source, int((material.labels >= 0).sum()), proposals, *spent)


def _require_model(workspace: Workspace, model: str) -> None:
    known = workspace.project.settings.models
    if model not in known:
        fail(Fault(f"no model is named '{model}' in promptlabel.yaml{nearest(model, known)}", key="--model"))


# --- what there is to learn from


@dataclass(frozen=True)
class _Material:
    """Traces, what they say, labels of some (-1 elsewhere), and the halves to find and to judge on."""

    traces: Sequence[Trace]
    texts: Sequence[str]
    labels: npt.NDArray[np.int64]
    source: str
    finding: npt.NDArray[np.bool_]
    judging: npt.NDArray[np.bool_]
    table: VoteTable
    n_classes: int

    @classmethod
    def of(cls, workspace: Workspace, task: Task) -> _Material:
        """The task's material; with too little gold, what most of its rules say stands for it."""
        require_single(task, "suggest")
        traces = list(traces_of(workspace, task))
        table = vote_table(workspace, task)
        labels, source = _gold_labels(workspace, task, traces), "gold"
        if (labels >= 0).sum() < LEAST_LABELS:
            labels, source = _majority(table, len(task.labels)), "majority"
        if (labels >= 0).sum() < LEAST_LABELS or len(np.unique(labels[labels >= 0])) < 2:
            fail(
                Fault(
                    f"too little to learn from: {LEAST_LABELS} traces of two labels or more are needed; "
                    "bring gold, review some traces, or run: promptlabel vote",
                    key=task.name,
                )
            )
        texts = [redacted(trace.transcript) for trace in traces]
        finding, judging = halves(labels)
        return cls(traces, texts, labels, source, finding, judging, table, len(task.labels))

    def candidates(self, most: int) -> list[Candidate]:
        """Phrases that speak for a label on the finding half."""
        rows = np.flatnonzero(self.finding)[:MOST_TRACES]
        found = phrases([self.texts[row] for row in rows], self.labels[rows], self.n_classes, most)
        return [one for one in found if REDACTED not in one.phrase]

    def rule_of(self, candidates: Sequence[Candidate]) -> list[str]:
        """The phrases of one label that make a rule."""
        rows = np.flatnonzero(self.finding)[:MOST_TRACES]
        return together(candidates, self.labels[rows])

    def stumps(self) -> list[Stump]:
        """Thresholds that speak for a label on the finding half."""
        rows = np.flatnonzero(self.finding)
        numbers = {name: values[rows] for name, values in self._numbers().items()}
        return stumps(numbers, self.labels[rows], self.n_classes)

    def _numbers(self) -> dict[str, npt.NDArray[np.float64]]:
        """Behavioural signals and lengths, NaN where there is none."""
        names = sorted({name for trace in self.traces for name in trace.signals if name.isidentifier()})
        found = {name: np.array([trace.signals.get(name, np.nan) for trace in self.traces]) for name in names}
        for field in ("input", "output"):
            texts = [getattr(trace, field) for trace in self.traces]
            lengths = [np.nan if text is None else float(len(text)) for text in texts]
            found[f"length({field})"] = np.array(lengths)
        return found

    @property
    def disputed(self) -> npt.NDArray[np.bool_]:
        """Traces on which rules vote for different labels."""
        votes = self.table.votes
        if votes.shape[1] < 2:
            return np.zeros(len(votes), dtype=bool)
        lowest = np.where(votes < 0, np.iinfo(votes.dtype).max, votes).min(axis=1)
        return np.asarray((votes.max(axis=1) >= 0) & (lowest < votes.max(axis=1)))


def _gold_labels(workspace: Workspace, task: Task, traces: Sequence[Trace]) -> npt.NDArray[np.int64]:
    index = {label: place for place, label in enumerate(task.labels)}
    gold = {one.trace_id: index.get(one.label, ABSTAIN) for one in teaching_gold(workspace, task)}
    return np.array([gold.get(trace.trace_id, ABSTAIN) for trace in traces], dtype=np.int64)


def _majority(table: VoteTable, n_classes: int) -> npt.NDArray[np.int64]:
    """What most rules say of each trace, -1 without votes and where two labels tie."""
    counts = np.stack([(table.votes == label).sum(axis=1) for label in range(n_classes)], axis=1)
    best = counts.max(axis=1)
    tied = (counts == best[:, np.newaxis]).sum(axis=1) > 1
    return np.where((best == 0) | tied, ABSTAIN, counts.argmax(axis=1)).astype(np.int64)


# --- the model's part


def _confirmed(
    workspace: Workspace, task: Task, candidates: Sequence[Candidate], model: str
) -> tuple[list[Candidate], list[Candidate], Sent]:
    """The candidates that the model finds to mean their label, those it does not, and what was sent."""
    if not candidates:
        return [], [], Sent()
    answers = {**{label: label for label in task.labels}, _NEITHER: "abstain"}
    spec = RuleSpec(prompt=_QUESTION, model=model, answers=answers, shots=Shots("none"))
    asked = [Trace(f"phrase: {one.phrase}", input=one.phrase) for one in candidates]
    votes, sent = try_aside(workspace, task, PromptRule("suggest", spec, task.spec), asked, ASIDE)
    said = {vote.trace_id: vote.label for vote in votes}
    yes = [
        one
        for one, trace in zip(candidates, asked, strict=True)
        if said.get(trace.trace_id) == task.labels[one.label]
    ]
    return yes, [one for one in candidates if one not in yes], sent


# --- drafts, measured and written


@dataclass(frozen=True, slots=True)
class _Draft:
    name: str
    label: int
    spec: DeclarativeSpec


def _keyword_drafts(task: Task, material: _Material, confirmed: Sequence[Candidate]) -> Iterator[_Draft]:
    for label, name in enumerate(task.labels):
        chosen = material.rule_of([one for one in confirmed if one.label == label])
        if chosen:
            description = f"Words that speak for {name}."
            keys = {"description": description, "keyword": {name: chosen}}
            yield _Draft(f"words_for_{_slug(name)}", label, DeclarativeSpec.model_validate(keys))


def _threshold_drafts(task: Task, material: _Material) -> Iterator[_Draft]:
    for stump in material.stumps():
        name = task.labels[stump.label]
        condition = f"{stump.name} {'>=' if stump.above else '<='} {stump.threshold:g}"
        way = "sql" if "(" in stump.name else "signal"
        keys = {"description": f"{condition} speaks for {name}.", way: {name: condition}}
        yield _Draft(
            f"{_slug(stump.name)}_for_{_slug(name)}", stump.label, DeclarativeSpec.model_validate(keys)
        )


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").lower() or "label"


def _written(
    folder: Path, task: Task, material: _Material, draft: _Draft, refused: Sequence[Candidate]
) -> Proposal:
    said = _votes(draft, task, material)
    worth = measured(said, material.labels, material.judging)
    disputed = material.disputed
    path = folder / f"{draft.name}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(draft, worth, material.source, task), encoding="utf-8")
    return Proposal(
        name=draft.name,
        path=str(path),
        label=task.labels[draft.label],
        way=draft.spec.way,
        conditions=[text for texts in draft.spec.conditions.values() for text in texts],
        votes=worth.votes,
        coverage=worth.coverage,
        judged=worth.judged,
        accuracy=worth.accuracy,
        low=worth.low,
        high=worth.high,
        on_disputed=float((said[disputed] >= 0).mean()) if disputed.any() else None,
        refused=[one.phrase for one in refused if one.label == draft.label and draft.spec.way == "keyword"],
    )


def _votes(draft: _Draft, task: Task, material: _Material) -> npt.NDArray[np.int64]:
    rule = DeclarativeRule(draft.name, draft.spec, task.spec)
    said = rule.labels_of(material.traces)
    return np.array([draft.label if isinstance(label, str) else ABSTAIN for label in said], dtype=np.int64)


def _text(draft: _Draft, worth: Measured, source: str, task: Task) -> str:
    """The file: what was measured as a comment, then the rule."""
    against = "gold" if source == "gold" else "what most rules say"
    right = (
        f"right on {worth.right} of {worth.judged} ({worth.low:.0%} to {worth.high:.0%}) against {against}, unseen"
        if worth.judged
        else f"none of its votes could be judged against {against}"
    )
    lines = [
        f"# Proposed, not active. It votes on {worth.coverage:.1%} of the traces; {right}.",
        f"# To use it, read it and move it to rules/{task.name}/.",
    ]
    keys = draft.spec.model_dump(exclude_defaults=True, mode="json")
    return "\n".join(lines) + "\n" + yaml.safe_dump(keys, sort_keys=False, allow_unicode=True, width=100)
