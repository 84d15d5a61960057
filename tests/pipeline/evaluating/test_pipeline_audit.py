"""`audit` on a real store: which decisions count, and that a fit is never judged on gold it learnt from."""

from __future__ import annotations

import numpy as np
import pytest

from promptlabel.evals.audit import ACTIVE, NONE, PPI, WEIGHTED, WILSON
from promptlabel.pipeline.evaluating.audit import NO_FIT, NO_GOLD, AuditReport, audit
from promptlabel.pipeline.fitting.fit import fit
from promptlabel.pipeline.reviewing.queue import QueueReport, build_queue


def true_accuracy(tone) -> float:
    fitted = tone.workspace.store.posteriors("tone")
    labels = [fitted.labels[k] for k in fitted.probs.argmax(axis=1)]
    return float(
        np.mean([tone.truth[name] == label for name, label in zip(fitted.trace_ids, labels, strict=True)])
    )


def test_before_a_fit_and_before_gold_it_says_what_to_do(tone) -> None:
    nothing = audit(tone.workspace, tone.task)
    assert (nothing.n, nothing.method, nothing.message) == (0, NONE, NO_FIT)
    tone.fit_and_queue()
    unreviewed = audit(tone.workspace, tone.task)
    assert (unreviewed.n, unreviewed.message) == (0, NO_GOLD)
    assert unreviewed.accuracy == {"estimate": None, "low": None, "high": None}
    assert unreviewed.picked > 0


def test_the_audit_lane_alone_gives_a_plain_proportion(tone) -> None:
    queue = tone.fit_and_queue()
    decided = tone.review_all(queue, "audit")
    found = audit(tone.workspace, tone.task)
    assert (found.method, found.n, found.refitted) == (PPI if decided >= 50 else WILSON, decided, 0)
    assert found.accuracy["low"] < true_accuracy(tone) < found.accuracy["high"]
    bad = np.mean([label == "bad" for label in tone.truth.values()])
    assert bad in found.balance["bad"]


def test_half_reviewed_lanes_do_not_count(tone) -> None:
    queue = tone.fit_and_queue()
    decided = tone.review_all(queue, "audit")
    uncertain = next(item for item in queue.items if item.lane == "uncertain")
    tone.review(uncertain.trace_id, uncertain.lane, uncertain.probability)
    found = audit(tone.workspace, tone.task)
    assert (found.method in (PPI, WILSON), found.n) == (True, decided)


def test_a_whole_queue_counts_with_its_probabilities(tone) -> None:
    queue = tone.fit_and_queue()
    assert tone.review_all(queue) == len(queue.items)
    found = audit(tone.workspace, tone.task)
    assert (found.method in (ACTIVE, WEIGHTED), found.n) == (True, len(queue.items))
    assert found.accuracy["low"] < true_accuracy(tone) < found.accuracy["high"]


def test_gold_brought_for_the_queue_counts_like_a_review(tone) -> None:
    queue: QueueReport = tone.fit_and_queue()
    audited = [item.trace_id for item in queue.items if item.lane == "audit"]
    others = [name for name in tone.truth if name not in {item.trace_id for item in queue.items}][:50]
    tone.bring_gold([*audited, *others])
    found = audit(tone.workspace, tone.task)
    assert (found.method in (PPI, WILSON), found.n) == (True, len(audited))


def test_a_decision_made_after_seeing_votes_does_not_count(tone) -> None:
    queue = tone.fit_and_queue()
    audited = [item for item in queue.items if item.lane == "audit"]
    tone.review(audited[0].trace_id, "audit", audited[0].probability, blind=False)
    assert audit(tone.workspace, tone.task).n == 0
    tone.review(audited[1].trace_id, "audit", audited[1].probability)
    assert audit(tone.workspace, tone.task).n == 1


def test_gold_that_the_fit_learnt_from_is_judged_by_fits_without_it(tone) -> None:
    queue = tone.fit_and_queue()
    decided = tone.review_all(queue, "audit")
    before = audit(tone.workspace, tone.task)
    fit(tone.workspace, tone.task, method="em")
    after = audit(tone.workspace, tone.task)
    assert (before.refitted, after.refitted) == (0, decided)
    assert after.n == before.n
    assert after.accuracy["estimate"] == pytest.approx(true_accuracy(tone), abs=0.15)


def test_the_mean_posterior_is_shown_beside_and_categories_have_their_own_rates(tone) -> None:
    tone.review_all(tone.fit_and_queue())
    found = audit(tone.workspace, tone.task)
    fitted = tone.workspace.store.posteriors("tone")
    assert found.posterior == pytest.approx(float(fitted.probs.max(axis=1).mean()), abs=0.01)
    assert set(found.categories) == {"chat", "code"}
    assert all(rate is not None and rate.n > 10 for rate in found.categories.values())


def test_a_draw_waits_first_in_the_queue_and_narrows_the_interval(tone) -> None:
    tone.review_all(tone.fit_and_queue(), "audit")
    before = audit(tone.workspace, tone.task)
    assert before.more is not None
    assert 0 < before.more.active < 400
    drawn = audit(tone.workspace, tone.task, reviews=120)
    assert drawn.waiting == drawn.drawn > 80
    assert (drawn.method, drawn.n) == (before.method, before.n)
    waiting = tone.workspace.store.queue("tone", undecided=True)[: drawn.drawn]
    for pick in waiting:
        tone.review(pick.trace_id, pick.lane, pick.probability)
    after = audit(tone.workspace, tone.task)
    assert (after.method, after.waiting, after.n) == (ACTIVE, 0, before.n + drawn.drawn)
    assert after.accuracy["low"] < true_accuracy(tone) < after.accuracy["high"]
    assert width(after) < 0.8 * width(before)


def test_half_a_draw_is_a_smaller_draw(tone) -> None:
    tone.review_all(tone.fit_and_queue(), "audit")
    drawn = audit(tone.workspace, tone.task, reviews=200)
    waiting = tone.workspace.store.queue("tone", undecided=True)[: drawn.drawn]
    for pick in waiting[: len(waiting) * 2 // 3]:
        tone.review(pick.trace_id, pick.lane, pick.probability)
    found = audit(tone.workspace, tone.task)
    assert (found.method, found.waiting) == (ACTIVE, len(waiting) - len(waiting) * 2 // 3)
    assert found.accuracy["estimate"] == pytest.approx(true_accuracy(tone), abs=0.08)


def test_a_new_queue_keeps_what_was_drawn(tone) -> None:
    tone.review_all(tone.fit_and_queue(), "audit")
    drawn = audit(tone.workspace, tone.task, reviews=60)
    before = {pick.trace_id for pick in tone.workspace.store.queue("tone", undecided=True)[: drawn.drawn]}
    build_queue(tone.workspace, tone.task)
    assert before <= {pick.trace_id for pick in tone.workspace.store.queue("tone", undecided=True)}


def width(report: AuditReport) -> float:
    return float(report.accuracy["high"] or 0) - float(report.accuracy["low"] or 0)
