"""What proposals are learnt from: a task's traces, what is true of some, and halves to find and to judge on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from promptlabel.errors import Fault, fail
from promptlabel.label_sets import NONE
from promptlabel.pipeline.fitting.gold import teaching_gold
from promptlabel.pipeline.fitting.tables import known_label, label_gold, marks, traces_of, vote_table
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN, Trace
from promptlabel.redaction import REDACTED, redacted
from promptlabel.rules.loading import Task
from promptlabel.store.contract import VoteTable
from promptlabel.votes.mining import Candidate, Stump, halves, phrases, stumps, together

LEAST_LABELS: Final = 20
MOST_TRACES: Final = 5000


@dataclass(frozen=True)
class Corpus:
    """The traces that the task is about, and what they say."""

    traces: Sequence[Trace]
    texts: Sequence[str]

    @classmethod
    def of(cls, workspace: Workspace, task: Task) -> Corpus:
        """The task's traces, keys and passwords taken out of what they say."""
        traces = list(traces_of(workspace, task))
        return cls(traces, [redacted(trace.transcript) for trace in traces])

    @cached_property
    def numbers(self) -> dict[str, npt.NDArray[np.float64]]:
        """Behavioural signals and lengths, NaN where there is none."""
        names = sorted({name for trace in self.traces for name in trace.signals if name.isidentifier()})
        found = {name: np.array([trace.signals.get(name, np.nan) for trace in self.traces]) for name in names}
        for field in ("input", "output"):
            texts = [getattr(trace, field) for trace in self.traces]
            lengths = [np.nan if text is None else float(len(text)) for text in texts]
            found[f"length({field})"] = np.array(lengths)
        return found


@dataclass(frozen=True)
class Material:
    """What may be said of the traces, what is true of some, and the halves to find and to judge on.

    Attributes:
        says: what a rule that finds each class says, None where no rule could; ``[C]``.
        labels: the class of each trace, -1 where it is not known, ``[n]``.
        disputed: whether the task's rules contradict one another there, ``[n]``.
    """

    corpus: Corpus
    says: Sequence[str | None]
    labels: npt.NDArray[np.int64]
    disputed: npt.NDArray[np.bool_]

    @property
    def suffices(self) -> bool:
        """Whether there are labels enough, of two classes or more."""
        known = self.labels[self.labels >= 0]
        return len(known) >= LEAST_LABELS and len(np.unique(known)) > 1

    @cached_property
    def _halves(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        return halves(self.labels)

    @property
    def judging(self) -> npt.NDArray[np.bool_]:
        """The rows that proposals are judged on."""
        return self._halves[1]

    def candidates(self, most: int) -> list[Candidate]:
        """Phrases that speak for something that can be said, on the finding half."""
        rows = np.flatnonzero(self._halves[0])[:MOST_TRACES]
        found = phrases([self.corpus.texts[row] for row in rows], self.labels[rows], len(self.says), most)
        return [one for one in found if self.says[one.label] is not None and REDACTED not in one.phrase]

    def rule_of(self, candidates: Sequence[Candidate]) -> list[str]:
        """The phrases of one class that make a rule."""
        rows = np.flatnonzero(self._halves[0])[:MOST_TRACES]
        return together(candidates, self.labels[rows])

    def stumps(self) -> list[Stump]:
        """Thresholds that speak for something that can be said, on the finding half."""
        rows = np.flatnonzero(self._halves[0])
        numbers = {name: values[rows] for name, values in self.corpus.numbers.items()}
        found = stumps(numbers, self.labels[rows], len(self.says))
        return [one for one in found if self.says[one.label] is not None]


def materials_of(workspace: Workspace, task: Task) -> tuple[list[Material], str]:
    """What the task offers to learn from, and whether that is gold or, with too little of it, what most rules say.

    Where several labels may apply, each label is a question of its own, and so is whether none applies.

    Raises:
        InputError: there is too little of both.
    """
    corpus = Corpus.of(workspace, task)
    known = _known_sets if task.spec.kind == "several" else _known_labels
    gold, majority = known(workspace, task, corpus)
    for source, found in (("gold", gold), ("majority", majority)):
        enough = [one for one in found if one.suffices]
        if enough:
            return enough, source
    return fail(
        Fault(
            f"too little to learn from: {LEAST_LABELS} traces of two labels or more are needed; "
            "bring gold, review some traces, or run: promptlabel vote",
            key=task.name,
        )
    )


def _known_labels(workspace: Workspace, task: Task, corpus: Corpus) -> tuple[list[Material], list[Material]]:
    """Of a task of one label a trace, the labels that people gave, and those that most rules say."""
    table = vote_table(workspace, task)
    index = {label: place for place, label in enumerate(task.labels)}
    gold = {one.trace_id: index.get(one.label, ABSTAIN) for one in teaching_gold(workspace, task)}
    given = np.array([gold.get(trace.trace_id, ABSTAIN) for trace in corpus.traces], dtype=np.int64)
    most, disputed = _majority(table, len(task.labels)), _disputed(table)
    return (
        [Material(corpus, task.labels, given, disputed)],
        [Material(corpus, task.labels, most, disputed)],
    )


def _majority(table: VoteTable, n_classes: int) -> npt.NDArray[np.int64]:
    """What most rules say of each trace, -1 without votes and where two labels tie."""
    counts = np.stack([(table.votes == label).sum(axis=1) for label in range(n_classes)], axis=1)
    best = counts.max(axis=1)
    tied = (counts == best[:, np.newaxis]).sum(axis=1) > 1
    return np.where((best == 0) | tied, ABSTAIN, counts.argmax(axis=1)).astype(np.int64)


def _disputed(table: VoteTable) -> npt.NDArray[np.bool_]:
    """Traces on which rules vote for different labels."""
    votes = table.votes
    if votes.shape[1] < 2:
        return np.zeros(len(votes), dtype=bool)
    lowest = np.where(votes < 0, np.iinfo(votes.dtype).max, votes).min(axis=1)
    return np.asarray((votes.max(axis=1) >= 0) & (lowest < votes.max(axis=1)))


def _known_sets(workspace: Workspace, task: Task, corpus: Corpus) -> tuple[list[Material], list[Material]]:
    """Where several labels may apply, the sets that people gave, and what most rules say of each label."""
    names = [trace.trace_id for trace in corpus.traces]
    given = {one.trace_id: one.label for one in teaching_gold(workspace, task)}
    known = {name: label for name, label in given.items() if known_label(task, label) is not None}
    votes = workspace.store.label_votes(task.name, task.labels)
    row_of = {name: row for row, name in enumerate(votes.trace_ids)}
    said = marks(votes.applies[[row_of[name] for name in names]])
    yes, no = (said == 1).sum(axis=1), (said == 0).sum(axis=1)
    most = np.where(yes == no, ABSTAIN, yes > no).astype(np.int64)
    disputed = np.asarray((yes > 0) & (no > 0))
    return (
        _of_sets(task, corpus, label_gold(task, names, known), disputed),
        _of_sets(task, corpus, most, disputed),
    )


def _of_sets(
    task: Task, corpus: Corpus, known: npt.NDArray[np.int64], disputed: npt.NDArray[np.bool_]
) -> list[Material]:
    """Whether each label applies, and whether none does, of labels ``[n, L]`` as they are known."""
    empty = np.where((known == 1).any(axis=1), 0, np.where((known == 0).all(axis=1), 1, ABSTAIN))
    return [
        *(
            Material(corpus, (None, label), known[:, place], disputed[:, place])
            for place, label in enumerate(task.labels)
        ),
        Material(corpus, (None, NONE), empty, np.asarray(disputed.any(axis=1))),
    ]
