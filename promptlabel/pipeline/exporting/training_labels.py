"""The training rows of a task: its labels without those that come from the model to be trained, and the guards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt

from promptlabel.evals.duplicates import BATCH
from promptlabel.evals.freezing import Refusal
from promptlabel.evals.versions import EvalVersion
from promptlabel.pipeline.eval_sets import eval_versions
from promptlabel.pipeline.exporting.export_rows import posteriors
from promptlabel.pipeline.exporting.lineage import Lineage
from promptlabel.pipeline.exporting.training_survey import Reweighting, Survey
from promptlabel.pipeline.fitting.fit import (
    chosen_of,
    drawn_at_random,
    fit_sets,
    gold_column,
    gold_sets,
    model_of,
    texts_for,
)
from promptlabel.pipeline.fitting.judging import fitted_method
from promptlabel.pipeline.fitting.tables import spoken_table, vote_table
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import ABSTAIN, Event
from promptlabel.review.adjudication import Decision, decide
from promptlabel.rules.loading import Task
from promptlabel.store.contract import LabelVotes, PosteriorTable, VoteTable
from promptlabel.traces.asof import knowable
from promptlabel.training.export import Labels, TrainingRow, training_rows
from promptlabel.training.guard import OVER_QUOTA, EvalOverlap
from promptlabel.training.provenance import Origin

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingSource:
    """One task's labels for an export, as they are and as far as they may be trained on."""

    workspace: Workspace
    task: Task
    lineage: Lineage
    reweight: bool = False

    def rows(self, refused: list[Refusal]) -> Iterator[TrainingRow]:
        """The training rows, streamed; what may not be trained on is added to `refused`."""
        for row in self._as_of_prediction(self._within_quota()):
            if isinstance(row, Refusal):
                refused.append(row)
            elif self.reweight:
                name = row.trace.trace_id
                weight = row.weight * self._weights[name]
                yield replace(row, weight=weight, propensity=self.survey.propensity[name])
            else:
                yield row

    @cached_property
    def survey(self) -> Survey:
        """The first pass, for quotas and weights."""
        return Survey.of(self.workspace.store.traces(), self._found())

    def reweighting(self) -> Reweighting | None:
        """What became of the weights, None where none were asked for."""
        if not self.reweight:
            return None
        decided = self._decisions.values()
        return self.survey.reweighting(self.task.name, self.task.labels, decided, self._voters)

    @cached_property
    def _weights(self) -> Mapping[str, float]:
        return self.survey.weight_of()

    @cached_property
    def _overlap(self) -> EvalOverlap:
        return EvalOverlap.of(frozen_versions(self.workspace))

    def _found(self) -> Iterator[TrainingRow | Refusal]:
        traces = self.workspace.store.traces()
        return training_rows(traces, self.labels, self._overlap, self.task.spec.holdout_after)

    def _within_quota(self) -> Iterator[TrainingRow | Refusal]:
        most = self.workspace.project.settings.training.most
        full = self.survey.over_quota(most, self.task.name) if most else frozenset[str]()
        for item in self._found():
            over = isinstance(item, TrainingRow) and item.trace.trace_id in full
            yield Refusal(item.trace.trace_id, OVER_QUOTA) if over and isinstance(item, TrainingRow) else item

    def _as_of_prediction(self, items: Iterator[TrainingRow | Refusal]) -> Iterator[TrainingRow | Refusal]:
        """The items, rows with what was knowable when a model must know; events are read for many at once."""
        while batch := list(islice(items, BATCH)):
            names = [item.trace.trace_id for item in batch if isinstance(item, TrainingRow)]
            events: dict[str, list[Event]] = {}
            for event in self.workspace.store.events(names) if names else ():
                events.setdefault(event.trace_id, []).append(event)
            for item in batch:
                yield item if isinstance(item, Refusal) else self._knowable(item, events)

    def _knowable(self, row: TrainingRow, events: Mapping[str, Sequence[Event]]) -> TrainingRow:
        found = knowable(row.trace, events.get(row.trace.trace_id, ()), self.task.spec.predict_at)
        return replace(row, trace=found.trace, predicted_at=found.at, features=found.features)

    @cached_property
    def set_aside(self) -> Mapping[str, tuple[str, ...]]:
        """Rule and model -> chain, of those whose votes come from the model to be trained."""
        chains = {f"{rule.rule}/{rule.model}": self.lineage.chain(rule) for rule in self.table.rules}
        return {name: chain for name, chain in chains.items() if chain}

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The models whose votes stand behind the labels."""
        kept = {rule.model for rule, own in zip(self.table.rules, self._own, strict=True) if not own}
        return tuple(self.lineage.origin(name) for name in sorted(kept) if name in self.lineage.models)

    @cached_property
    def table(self) -> VoteTable:
        """All current votes; where several labels may apply, whether each rule has said anything of the trace."""
        if self.task.spec.kind == "several":
            return spoken_table(self._label_votes)
        return vote_table(self.workspace, self.task)

    @cached_property
    def _label_votes(self) -> LabelVotes:
        return self.workspace.store.label_votes(self.task.name, self.task.labels)

    @cached_property
    def labels(self) -> Labels:
        """What is known of the labels without the votes that were set aside."""
        fitted = self.workspace.store.posteriors(self.task.name)
        if fitted is not None and self._own.any():
            fitted = self._refitted(fitted)
        hours = self.task.spec.matures_after_hours
        return Labels(
            task=self.task.name,
            names=tuple(self.task.labels),
            posteriors={
                posterior.trace_id: posterior for posterior in posteriors(fitted, self.task.spec.kind)
            },
            fitted_at=fitted.fitted_at if fitted else None,
            decisions=self._decisions,
            voters=self._voters,
            recycled=self._recycled,
            kind=self.task.spec.kind,
            matures_after=timedelta(hours=hours) if hours else None,
        )

    @cached_property
    def _own(self) -> Mask:
        return np.array(
            [f"{rule.rule}/{rule.model}" in self.set_aside for rule in self.table.rules], dtype=bool
        )

    @cached_property
    def _decisions(self) -> dict[str, Decision]:
        store = self.workspace.store
        found = decide(store.reviews(self.task.name), store.gold(self.task.name))
        named = self.task.spec.named
        return {decision.trace_id: replace(decision, label=named(decision.label)) for decision in found}

    @cached_property
    def _voters(self) -> dict[str, tuple[str, ...]]:
        names = [
            f"{rule.rule}/{rule.model}"
            for rule, own in zip(self.table.rules, self._own, strict=True)
            if not own
        ]
        masks = self.table.votes[:, ~self._own] >= 0
        known: dict[bytes, tuple[str, ...]] = {}
        voters = {}
        for row in np.flatnonzero(masks.any(axis=1)).tolist():
            mask = masks[row]
            key = mask.tobytes()
            if key not in known:
                known[key] = tuple(name for name, voted in zip(names, mask.tolist(), strict=True) if voted)
            voters[self.table.trace_ids[row]] = known[key]
        return voters

    @cached_property
    def _recycled(self) -> dict[str, tuple[str, ...]]:
        chains = list(self.set_aside.values())
        voted = self.table.votes[:, self._own] >= 0
        rows = np.flatnonzero(voted.any(axis=1)).tolist()
        return {self.table.trace_ids[row]: chains[int(voted[row].argmax())] for row in rows}

    def _refitted(self, fitted: PosteriorTable) -> PosteriorTable:
        """The posteriors of a fit that saw none of the votes set aside, nor what people said after seeing them."""
        votes = self.table.votes[:, ~self._own]
        if not (votes >= 0).any():
            return replace(fitted, trace_ids=(), probs=fitted.probs[:0])
        if self.task.spec.kind == "several":
            return self._refitted_sets(fitted)
        gold, soft, method = self._unled_gold(), self._soft(), fitted_method(fitted)
        text = texts_for(self.workspace, self.task, method, gold)
        model = model_of(self.task, method)
        random = drawn_at_random(self.workspace, self.task, self.table.trace_ids)
        model.fit(votes, gold=gold, text=text, soft=soft, random=random)
        probs = model.predict_proba(votes, text=text, soft=soft)
        return replace(fitted, trace_ids=self.table.trace_ids, probs=probs, chosen=model.chosen)

    def _refitted_sets(self, fitted: PosteriorTable) -> PosteriorTable:
        kept = replace(self._label_votes, applies=self._label_votes.applies[:, ~self._own])
        gold = gold_sets(self.workspace, self.task, kept.trace_ids)
        gold[self._led] = ABSTAIN
        model, probs = fit_sets(self.workspace, self.task, fitted_method(fitted), kept, gold)
        return replace(fitted, trace_ids=kept.trace_ids, probs=probs, chosen=chosen_of(model))

    def _unled_gold(self) -> npt.NDArray[np.int64]:
        """Gold for the label model without decisions after which a vote that is set aside was seen."""
        return np.where(self._led, ABSTAIN, gold_column(self.workspace, self.task, self.table))

    @cached_property
    def _led(self) -> Mask:
        return np.array(
            [
                name in self._recycled and name in self._decisions and not self._decisions[name].blind
                for name in self.table.trace_ids
            ],
            dtype=bool,
        )

    def _soft(self) -> dict[int, npt.NDArray[np.float64]]:
        kept = np.flatnonzero(~self._own).tolist()
        return {
            place: self.table.soft[column] for place, column in enumerate(kept) if column in self.table.soft
        }


def frozen_versions(workspace: Workspace) -> Sequence[EvalVersion]:
    """All frozen versions of all tasks, those without rules today among them."""
    folder = workspace.project.evals
    tasks = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return tuple(version for path in tasks for version in eval_versions(workspace, path.name))
