"""`suggest`: rules without a model, proposed from gold and from the votes there are; files to read, never active.

Statistics find phrases and thresholds on half of the labels; a configured model is asked of each phrase whether it
means what the statistics say, which keeps out phrases that are right by accident; the other half of the labels says
what each proposal is worth. Proposals are declarative, so that nothing that a model says is ever run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import yaml

from promptlabel.errors import Fault, fail, nearest
from promptlabel.label_sets import NONE
from promptlabel.pipeline.authoring.material import Material, materials_of
from promptlabel.pipeline.authoring.trying import try_aside
from promptlabel.pipeline.voting.sending import Sent
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN, Trace
from promptlabel.rules.choices import Shots
from promptlabel.rules.declarative import DeclarativeRule
from promptlabel.rules.loading import Task
from promptlabel.rules.prompt import PromptRule
from promptlabel.rules.spec import DeclarativeSpec, RuleSpec
from promptlabel.votes.mining import Candidate, Measured, measured

FOLDER: Final = "proposals"

ASIDE: Final = "suggestions for "
"""Prefix of the task name under which answers about phrases are kept, out of the way of votes."""

_NEITHER: Final = "neither"
_UNCLEAR: Final = "unclear"
_QUESTION: Final = """\
{%- for label, meaning in labels.items() %}{{ label }}: {{ meaning or label }}
{% endfor -%}
Which of these do the words "{{ trace.input }}" speak for, or neither?"""
_SET_QUESTION: Final = """\
{%- for label, meaning in labels.items() %}{{ label }}: {{ meaning or label }}
{% endfor -%}
none: nothing of the above
Which of these do the words "{{ trace.input }}" speak for? Words that could be said with any of them are unclear."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed rule, where it was written, and what it is worth.

    Attributes:
        label: what it votes for; where several labels may apply, the one label that it says applies, or ``none``,
            which denies them all.
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

    Where several labels may apply, each rule speaks of one label, or says that none applies, and is judged on that.

    Args:
        workspace: the project.
        task: the task.
        model: the configured model that is asked about phrases.
        most: phrases it is asked about for each label.

    Raises:
        InputError: no model of that name; too few labels, and too few votes to stand for them.
    """
    _require_model(workspace, model)
    materials, source = materials_of(workspace, task)
    found = [_Found(material, one) for material in materials for one in material.candidates(most)]
    confirmed, refused, sent = _confirmed(workspace, task, found, model)
    thresholds = (draft for material in materials for draft in _threshold_drafts(material))
    folder = _Folder(workspace.project.root / FOLDER / task.name, task, source)
    proposals = [folder.written(draft, refused) for draft in (*_keyword_drafts(confirmed), *thresholds)]
    labelled = int(np.any([material.labels >= 0 for material in materials], axis=0).sum())
    spent = (sent.calls, sent.usd, sent.stopped, sent.message)
    return SuggestReport(task.name, source, labelled, proposals, *spent)


def _require_model(workspace: Workspace, model: str) -> None:
    known = workspace.project.settings.models
    if model not in known:
        fail(Fault(f"no model is named '{model}' in promptlabel.yaml{nearest(model, known)}", key="--model"))


# --- the model's part


@dataclass(frozen=True, slots=True)
class _Found:
    """A phrase, and in which material it speaks for what."""

    material: Material
    phrase: Candidate

    @property
    def says(self) -> str:
        """What a rule of the phrase would say."""
        return str(self.material.says[self.phrase.label])


def _confirmed(
    workspace: Workspace, task: Task, found: Sequence[_Found], model: str
) -> tuple[list[_Found], list[_Found], Sent]:
    """The phrases that the model finds to mean what they speak for, those it does not, and what was sent."""
    if not found:
        return [], [], Sent()
    asked = [
        Trace(f"phrase: {text}", input=text) for text in dict.fromkeys(one.phrase.phrase for one in found)
    ]
    votes, sent = try_aside(
        workspace, task, PromptRule("suggest", _asked(task, model), task.spec), asked, ASIDE
    )
    said = {vote.trace_id: vote.label for vote in votes}
    yes = [one for one in found if said.get(f"phrase: {one.phrase.phrase}") == one.says]
    return yes, [one for one in found if one not in yes], sent


def _asked(task: Task, model: str) -> RuleSpec:
    answers = {label: label for label in task.labels}
    if task.spec.kind == "several":
        answers |= {NONE: NONE, _UNCLEAR: "abstain"}
        return RuleSpec(prompt=_SET_QUESTION, model=model, answers=answers, shots=Shots("none"))
    answers |= {_NEITHER: "abstain"}
    return RuleSpec(prompt=_QUESTION, model=model, answers=answers, shots=Shots("none"))


# --- drafts, measured and written


@dataclass(frozen=True, slots=True)
class _Draft:
    """A rule that may be proposed: what it says, and the class of its material that this is."""

    name: str
    says: str
    label: int
    material: Material
    spec: DeclarativeSpec


def _keyword_drafts(confirmed: Sequence[_Found]) -> Iterator[_Draft]:
    of_one: dict[str, list[_Found]] = {}
    for one in confirmed:
        of_one.setdefault(one.says, []).append(one)
    for says, own in of_one.items():
        material, label = own[0].material, own[0].phrase.label
        chosen = material.rule_of([one.phrase for one in own])
        if chosen:
            keys = {"description": f"Words that speak for {says}.", "keyword": {says: chosen}}
            spec = DeclarativeSpec.model_validate(keys)
            yield _Draft(f"words_for_{_slug(says)}", says, label, material, spec)


def _threshold_drafts(material: Material) -> Iterator[_Draft]:
    for stump in material.stumps():
        says = str(material.says[stump.label])
        condition = f"{stump.name} {'>=' if stump.above else '<='} {stump.threshold:g}"
        way = "sql" if "(" in stump.name else "signal"
        keys = {"description": f"{condition} speaks for {says}.", way: {says: condition}}
        spec = DeclarativeSpec.model_validate(keys)
        yield _Draft(f"{_slug(stump.name)}_for_{_slug(says)}", says, stump.label, material, spec)


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").lower() or "label"


@dataclass(frozen=True, slots=True)
class _Folder:
    """Where a task's proposals go, and against what they were measured."""

    path: Path
    task: Task
    source: str

    def written(self, draft: _Draft, refused: Sequence[_Found]) -> Proposal:
        """The draft as a file, and what it is worth."""
        said, disputed = self._votes(draft), draft.material.disputed
        worth = measured(said, draft.material.labels, draft.material.judging)
        path = self.path / f"{draft.name}.yaml"
        self.path.mkdir(parents=True, exist_ok=True)
        path.write_text(self._text(draft, worth), encoding="utf-8")
        return Proposal(
            name=draft.name,
            path=str(path),
            label=draft.says,
            way=draft.spec.way,
            conditions=[text for texts in draft.spec.conditions.values() for text in texts],
            votes=worth.votes,
            coverage=worth.coverage,
            judged=worth.judged,
            accuracy=worth.accuracy,
            low=worth.low,
            high=worth.high,
            on_disputed=float((said[disputed] >= 0).mean()) if disputed.any() else None,
            refused=[
                one.phrase.phrase for one in refused if one.says == draft.says and draft.spec.way == "keyword"
            ],
        )

    def _votes(self, draft: _Draft) -> npt.NDArray[np.int64]:
        rule = DeclarativeRule(draft.name, draft.spec, self.task.spec)
        said = rule.labels_of(draft.material.corpus.traces)
        spoke = [isinstance(one, str | Mapping) for one in said]
        return np.where(spoke, draft.label, ABSTAIN).astype(np.int64)

    def _text(self, draft: _Draft, worth: Measured) -> str:
        """The file: what was measured as a comment, then the rule."""
        against = "gold" if self.source == "gold" else "what most rules say"
        right = (
            f"right on {worth.right} of {worth.judged} ({worth.low:.0%} to {worth.high:.0%}) against {against}, unseen"
            if worth.judged
            else f"none of its votes could be judged against {against}"
        )
        lines = [
            f"# Proposed, not active. It votes on {worth.coverage:.1%} of the traces; {right}.",
            f"# To use it, read it and move it to rules/{self.task.name}/.",
        ]
        keys = draft.spec.model_dump(exclude_defaults=True, mode="json")
        return "\n".join(lines) + "\n" + yaml.safe_dump(keys, sort_keys=False, allow_unicode=True, width=100)
