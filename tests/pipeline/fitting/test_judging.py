"""No fit is judged on gold that it has seen."""

from __future__ import annotations

import numpy as np
import pytest

from promptlabel.labelmodel import LabelModel
from promptlabel.pipeline.evaluating.freeze import freeze
from promptlabel.pipeline.fitting.judging import Judged, judge_of


def judge_everything(tone) -> Judged:
    judge = judge_of(tone.workspace, tone.task)
    return judge.judge(judge.decisions)


def test_gold_brought_after_the_fit_meets_the_stored_posteriors(tone) -> None:
    tone.fit_and_queue()
    names = list(tone.truth)[:40]
    tone.bring_gold(names)
    found = judge_everything(tone)
    assert found.refitted == 0
    assert [decision.trace_id for decision in found.decisions] == names
    fitted = tone.workspace.store.posteriors("tone")
    assert np.array_equal(found.probs, fitted.probs[[fitted.trace_ids.index(name) for name in names]])


def test_taught_gold_stays_taught_when_it_is_frozen_later(tone) -> None:
    names = list(tone.truth)[:60]
    tone.bring_gold(names)
    tone.fit_and_queue("em")
    freeze(tone.workspace, tone.task)
    assert judge_of(tone.workspace, tone.task).taught == set(names)
    assert judge_everything(tone).refitted == 60


def test_no_fit_is_told_the_labels_it_is_judged_on(tone, monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(tone.truth)[:60]
    tone.bring_gold(names)
    tone.fit_and_queue("em")
    told = []

    class Watched(LabelModel):
        def fit(self, votes, gold=None, **evidence):
            told.append(np.flatnonzero(gold >= 0))
            return super().fit(votes, gold=gold, **evidence)

    monkeypatch.setattr("promptlabel.pipeline.fitting.fit.LabelModel", Watched)
    found = judge_everything(tone)
    assert [len(rows) for rows in told] == [48] * 5
    hidden = [set(found.rows) - set(rows) for rows in told]
    assert set.union(*hidden) == set(found.rows)
    assert found.probs.sum(axis=1) == pytest.approx(np.ones(60))


def test_only_what_is_asked_for_is_judged(tone) -> None:
    tone.bring_gold(list(tone.truth)[:10])
    tone.fit_and_queue("em")
    tone.bring_gold(list(tone.truth)[10:30])
    judge = judge_of(tone.workspace, tone.task)
    unseen = [decision for decision in judge.decisions if decision.trace_id not in judge.taught]
    found = judge.judge(unseen)
    assert (found.refitted, len(found.right), "_cross_fitted" in vars(judge)) == (0, 20, False)


def test_before_a_fit_there_is_no_judge(tone) -> None:
    assert judge_of(tone.workspace, tone.task) is None
