"""`report` on a real store: the figures are those of the verbs, from an empty project to a whole loop."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import pytest

from promptlabel.pipeline.authoring.analyze import analyze
from promptlabel.pipeline.evaluating.audit import audit
from promptlabel.pipeline.evaluating.freeze import freeze
from promptlabel.pipeline.exporting.export import export
from promptlabel.pipeline.reporting.report import HARDER, report

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_a_project_that_has_only_voted_has_a_report(tone) -> None:
    found = report(tone.workspace, now=NOW)
    assert found.path == str(tone.root / "report.html")
    assert found.rows == 400
    (task,) = found.figures.tasks
    assert (task.comparison, task.model, task.gap, task.audit.n) == (None, None, None, 0)
    assert len(task.rules) == 3


def test_figures_are_those_of_the_verbs(tone) -> None:
    tone.review_all(tone.fit_and_queue(), "audit")
    freeze(tone.workspace, tone.task, now=NOW)
    (task,) = report(tone.workspace, now=NOW).figures.tasks
    audited, rules = audit(tone.workspace, tone.task), analyze(tone.workspace, tone.task).rules
    assert task.audit.accuracy is not None
    assert task.audit.accuracy.record().items() >= audited.accuracy.items()
    assert [(row.rule, row.coverage) for row in task.rules] == [(row.rule, row.coverage) for row in rules]
    assert task.evals.versions[-1].cases == audited.n
    assert task.evals.freshness is not None
    assert sum(month.production for month in task.evals.months) == pytest.approx(1)
    assert sum(month.cases for month in task.evals.months) == pytest.approx(1)


def test_posterior_majority_and_best_rule_stand_on_the_same_gold(tone) -> None:
    tone.fit_and_queue()
    names = list(tone.truth)[:80]
    tone.bring_gold(names)
    (task,) = report(tone.workspace, now=NOW).figures.tasks
    assert task.comparison is not None
    posterior, majority, best = task.comparison.scores
    assert posterior.n == majority.n == best.n == 80
    assert "never saw" in task.comparison.basis
    fitted = tone.workspace.store.posteriors("tone")
    labels = dict(zip(fitted.trace_ids, fitted.probs.argmax(axis=1), strict=True))
    right = np.mean([fitted.labels[labels[name]] == tone.truth[name] for name in names])
    assert posterior.accuracy.estimate == pytest.approx(right)
    assert task.gap is not None
    assert {category.name for category in task.gap.categories} == {"chat", "code"}


def test_gold_the_fit_has_seen_is_judged_in_folds_and_the_report_says_so(tone) -> None:
    tone.bring_gold(list(tone.truth)[:60])
    tone.fit_and_queue("em")
    (task,) = report(tone.workspace, now=NOW).figures.tasks
    assert task.comparison is not None
    assert task.comparison.basis == "60 human labels each judged by a fit without it (five folds)"


def test_gold_picked_for_being_uncertain_is_called_harder(tone) -> None:
    tone.review_all(tone.fit_and_queue())
    (task,) = report(tone.workspace, now=NOW).figures.tasks
    assert task.comparison is not None
    assert HARDER in task.comparison.basis
    assert "weighted by its chance of being picked" in (tone.root / "report.html").read_text()


def test_the_same_store_gives_the_same_page(tone) -> None:
    tone.review_all(tone.fit_and_queue(), "audit")
    freeze(tone.workspace, tone.task, now=NOW)
    first, second = (report(tone.workspace, tone.root / name, now=NOW) for name in ("a.html", "b.html"))
    assert (tone.root / "a.html").read_bytes() == (tone.root / "b.html").read_bytes()
    assert orjson.dumps(first.figures) == orjson.dumps(second.figures)


def test_a_new_fit_is_a_new_cycle_and_a_second_report_of_one_is_not(tone) -> None:
    tone.review_all(tone.fit_and_queue(), "audit")
    for _ in range(2):
        (task,) = report(tone.workspace, now=NOW).figures.tasks
    assert (len(task.cycles.known), task.cycles.before) == (1, None)
    fitted = tone.workspace.store.posteriors("tone")
    tone.workspace.store.save_posteriors(replace(fitted, fitted_at=fitted.fitted_at + timedelta(days=7)))
    (task,) = report(tone.workspace, now=NOW).figures.tasks
    assert len(task.cycles.known) == 2
    assert {row.now.name for row in task.cycles.rows} >= {"audit", "accuracy", "gap", "cost", "waiting"}
    assert all(row.before for row in task.cycles.rows)


def test_what_exports_and_freezes_refused_and_trained_on_is_shown(tone) -> None:
    tone.review_all(tone.fit_and_queue())
    freeze(tone.workspace, tone.task, now=NOW)
    export(tone.workspace, "training")
    (task,) = report(tone.workspace, now=NOW).figures.tasks
    assert {one.verb for one in task.refused} == {"export"}
    assert sum(one.traces for one in task.refused) >= task.evals.versions[-1].cases
    assert task.evals.versions[-1].lag is not None
    assert task.edges.cases or task.edges.missing
    assert task.flow is not None
    assert task.seconds is not None


def test_reviewers_stand_in_the_report_once_somebody_has_reviewed(tone) -> None:
    assert "right on known ones" not in Path(report(tone.workspace, now=NOW).path).read_text()
    queue = tone.fit_and_queue()
    tone.review_all(queue, "audit")
    found = report(tone.workspace, now=NOW)
    (row,) = found.figures.tasks[0].people.reviewers
    assert (row.reviewer, row.counts.labelled) == ("ann", queue.lanes["audit"])
    page = Path(found.path).read_text()
    assert "right on known ones" in page
    assert "No trace was labelled blind by two" in page
