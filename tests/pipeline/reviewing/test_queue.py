from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from promptlabel.errors import PromptlabelError
from promptlabel.pipeline.reviewing.queue import QueueReport, build_queue
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Gold, RegisteredRule, ReviewAction, ReviewEvent, Trace, Vote, digest
from promptlabel.rules.loading import Task
from promptlabel.rules.spec import TaskSpec
from promptlabel.settings import Project, Routing, Settings
from promptlabel.store.contract import PosteriorTable
from promptlabel.store.opening import open_store

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
LABELS = {"good": "", "bad": ""}
TASK = Task(TaskSpec(task="quality", labels=LABELS), (), ())
PROMPT = RegisteredRule("quality", "asks", "prompt", "judge", digest("asks"), digest("judge"))
CODE = RegisteredRule("quality", "copied", "heuristic", "code", digest("copied"), "")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """200 traces; 100-119 are uncertain, 50-59 in conflict, 110 and 111 have the same content."""
    project = Project(tmp_path, Settings(routing=Routing(share=0.1, audit=0.2)))
    with open_store(project) as store:
        store.add_traces([trace(number) for number in range(200)])
        store.register_rules("quality", [PROMPT, CODE])
        store.add_votes([vote(PROMPT, number, "good") for number in range(200)])
        store.add_votes([vote(CODE, number, "bad" if 50 <= number < 60 else "good") for number in range(200)])
        fit(Workspace(project, store), 200)
        yield Workspace(project, store, (TASK,))


def trace(number: int) -> Trace:
    text = "the same" if number in (110, 111) else f"question {number}"
    return Trace(f"t{number:03}", START + timedelta(minutes=number), input=text, output="an answer")


def vote(rule: RegisteredRule, number: int, label: str) -> Vote:
    name = f"t{number:03}"
    return Vote(
        digest([rule.rule, name]), name, "quality", rule.rule_hash, rule.model_hash, "vote", label, 1.0
    )


def fit(workspace: Workspace, n: int) -> None:
    good = np.array([0.5 + 0.001 * i if 100 <= i < 120 else 0.97 for i in range(n)])
    ids = tuple(f"t{i:03}" for i in range(n))
    table = PosteriorTable("quality", tuple(LABELS), ids, np.stack([good, 1 - good], axis=1), START, "em", {})
    workspace.store.save_posteriors(table)


def add(workspace: Workspace, traces: list[Trace]) -> None:
    workspace.store.add_traces(traces)


def add_votes(workspace: Workspace, numbers: range) -> None:
    workspace.store.add_votes([vote(PROMPT, number, "good") for number in numbers])


def doubted(workspace: Workspace, names: set[str]) -> None:
    ids = tuple(trace.trace_id for trace in workspace.store.traces())
    good = np.array([0.5 if name in names else 0.97 for name in ids])
    probs = np.stack([good, 1 - good], axis=1)
    workspace.store.save_posteriors(PosteriorTable("quality", tuple(LABELS), ids, probs, START, "em", {}))


def review(workspace: Workspace, trace_id: str, action: ReviewAction = "label", number: int = 0) -> None:
    label = "good" if action == "label" else None
    name = f"{trace_id} {action} {number}"
    workspace.store.add_review(ReviewEvent(name, trace_id, "quality", "anna", action, START, label))


def lanes_of(report: QueueReport) -> dict[str, set[str]]:
    return {lane: {item.trace_id for item in report.items if item.lane == lane} for lane in report.lanes}


def test_each_lane_picks_what_it_is_for_within_the_budget(workspace: Workspace) -> None:
    report = build_queue(workspace, TASK)
    lanes = lanes_of(report)
    assert len(report.items) == 20
    assert lanes["uncertain"] <= {f"t{number}" for number in range(100, 120)}
    assert lanes["conflict"] <= {f"t0{number}" for number in range(50, 60)}
    assert lanes["audit"]
    assert sum(report.lanes.values()) == 20


def test_every_item_says_why_it_is_there_and_how_likely_it_was(workspace: Workspace) -> None:
    by_lane = {item.lane: item for item in build_queue(workspace, TASK).items}
    assert by_lane["uncertain"].reason.startswith("The rules leave it open: good ")
    assert by_lane["conflict"].reason == (
        "Independent sources disagree: prompts of judge say good (100 % of 1); heuristics say bad (100 % of 1)."
    )
    assert "at random, as 2 % of all" in by_lane["audit"].reason
    assert all(0 < item.probability <= 1 for item in by_lane.values())


def test_the_queue_is_stored_in_order_with_the_parts_of_every_score(workspace: Workspace) -> None:
    report = build_queue(workspace, TASK)
    picks = workspace.store.queue("quality")
    assert [pick.trace_id for pick in picks] == [item.trace_id for item in report.items]
    assert set(picks[0].parts) == {
        "least_confidence", "margin", "entropy", "vote_entropy", "committee", "conflict", "category", "novelty",
        "drift", "new", "audit", "label_change", "label_change_per_second", "seconds",
    }  # fmt: skip


def test_a_second_run_gives_the_same_queue(workspace: Workspace) -> None:
    assert build_queue(workspace, TASK) == build_queue(workspace, TASK)


def test_new_traces_leave_the_audit_picks_as_they_were(workspace: Workspace) -> None:
    before = lanes_of(build_queue(workspace, TASK))["audit"]
    workspace.store.add_traces([trace(number) for number in range(200, 300)])
    fit(workspace, 300)
    after = lanes_of(build_queue(workspace, TASK))["audit"]
    assert {trace_id for trace_id in after if trace_id < "t200"} == before


def test_reviewed_traces_are_not_queued_again_unless_the_review_was_undone(workspace: Workspace) -> None:
    first = [item.trace_id for item in build_queue(workspace, TASK).items]
    review(workspace, first[0])
    review(workspace, first[1])
    review(workspace, first[1], "undo")
    review(workspace, first[2], "skip")
    review(workspace, first[3], "flag")
    report = build_queue(workspace, TASK)
    assert report.reviewed == 2
    assert sorted(item.trace_id for item in report.items) == sorted(set(first) - {first[0], first[3]})


def test_traces_that_came_with_gold_are_not_queued(workspace: Workspace) -> None:
    gold = [f"t{number}" for number in range(105, 120)]
    workspace.store.add_gold([Gold(trace_id, "quality", "good", "ben", START) for trace_id in gold])
    report = build_queue(workspace, TASK)
    assert not {item.trace_id for item in report.items} & set(gold)
    assert report.reviewed == 0


def test_gold_ingested_for_queued_traces_decides_them_and_keeps_them_in_history(workspace: Workspace) -> None:
    first = [item.trace_id for item in build_queue(workspace, TASK).items]
    workspace.store.add_gold([Gold(trace_id, "quality", "good", "ben", START) for trace_id in first[:10]])
    for _ in range(2):
        report = build_queue(workspace, TASK)
        assert sorted(item.trace_id for item in report.items) == sorted(first[10:])
        assert report.reviewed == 10
        assert sorted(pick.trace_id for pick in workspace.store.queue("quality")) == sorted(first)


def test_equal_content_is_asked_once(workspace: Workspace) -> None:
    wider = replace(workspace, project=Project(workspace.project.root, Settings(routing=Routing(share=0.2))))
    scored = {item.trace_id for item in build_queue(wider, TASK).items if item.lane != "audit"}
    assert len(scored & {"t110", "t111"}) == 1
    review(wider, (scored & {"t110", "t111"}).pop())
    again = {item.trace_id for item in build_queue(wider, TASK).items if item.lane != "audit"}
    assert not again & {"t110", "t111"}


def test_nearly_equal_content_is_asked_once(workspace: Workspace) -> None:
    texts = [f"please cancel my subscription to the newspaper{end}" for end in ("", " now", ", thanks")]
    add(workspace, [Trace(f"t{200 + i}", START, input=text, output="done") for i, text in enumerate(texts)])
    doubted(workspace, {"t200", "t201", "t202"})
    scored = {item.trace_id for item in build_queue(workspace, TASK).items if item.lane != "audit"}
    assert len(scored & {"t200", "t201", "t202"}) == 1


def test_a_rare_category_is_reviewed_whatever_the_posterior_says(workspace: Workspace) -> None:
    add(workspace, [replace(trace(200 + i), category="visa" if i > 90 else "other") for i in range(100)])
    fit(workspace, 300)
    rare = [item for item in build_queue(workspace, TASK).items if item.lane == "rare"]
    assert rare
    assert {item.trace_id for item in rare} <= {f"t{291 + i}" for i in range(9)}
    assert rare[0].reason == 'Category "visa" is rare (9 traces) and hardly reviewed (0 so far).'


def test_a_category_that_people_correct_is_reviewed_more(workspace: Workspace) -> None:
    add(workspace, [replace(trace(200 + i), category="ab"[i % 2]) for i in range(200)])
    fit(workspace, 400)
    gold = [Gold(f"t{200 + i}", "quality", "bad" if i % 4 == 1 else "good", "ben", START) for i in range(40)]
    add_votes(workspace, range(200, 400))
    workspace.store.add_gold(gold)
    failing = [item for item in build_queue(workspace, TASK).items if item.lane == "rare"]
    assert failing
    assert all(int(item.trace_id[1:]) % 2 == 1 for item in failing)
    assert failing[0].reason.startswith(
        'The rules fail in category "b": people decided against most of them on 10'
    )


def test_what_recent_traffic_says_for_the_first_time_is_reviewed(workspace: Workspace) -> None:
    later = START + timedelta(days=90)
    new = [replace(trace(200 + i), timestamp=later, input=f"visa embassy {i}") for i in range(20)]
    old = [replace(trace(220 + i), timestamp=later) for i in range(80)]
    add(workspace, [*new, *old])
    fit(workspace, 300)
    found = [item for item in build_queue(workspace, TASK).items if item.lane == "new"]
    assert found
    assert {item.trace_id for item in found} <= {f"t{200 + i}" for i in range(20)}
    assert found[0].reason == 'Unlike earlier traffic: it says "visa", "embassy".'


def test_what_nobody_reviewed_the_like_of_is_reviewed(workspace: Workspace) -> None:
    add(workspace, [replace(trace(200 + i), input=f"visa embassy {i}") for i in range(100)])
    fit(workspace, 300)
    gold = [Gold(f"t{number:03}", "quality", "good", "ben", START) for number in range(40)]
    workspace.store.add_gold(gold)
    found = [item for item in build_queue(workspace, TASK).items if item.lane == "new"]
    assert found
    assert all(item.trace_id >= "t200" for item in found)
    assert found[0].reason == 'Unlike what was reviewed before: it says "visa", "embassy".'


def test_a_queue_that_grows_faster_than_it_drains_says_what_would_be_sustainable(
    workspace: Workspace,
) -> None:
    first = [item.trace_id for item in build_queue(workspace, TASK).items]
    assert not build_queue(workspace, TASK, now=START).backlog.grows
    review(workspace, first[0])
    review(workspace, first[1], "skip")
    backlog = build_queue(workspace, TASK, now=START + timedelta(hours=5)).backlog
    assert backlog.grows
    assert backlog.waiting == len(first) - 1
    assert backlog.queued_per_day == pytest.approx(20)
    assert backlog.decided_per_day == 1
    assert backlog.sustainable_share == pytest.approx(1 / 200)


def test_a_pace_that_keeps_up_raises_no_alarm(workspace: Workspace) -> None:
    for number in range(25):
        review(workspace, f"t{number:03}")
    backlog = build_queue(workspace, TASK, now=START + timedelta(hours=5)).backlog
    assert backlog.waiting > 0
    assert not backlog.grows


def test_traces_newer_than_the_fit_are_in_no_lane_but_the_random_one(workspace: Workspace) -> None:
    workspace.store.add_traces([trace(number) for number in range(200, 300)])
    lanes = lanes_of(build_queue(workspace, TASK))
    assert all(trace_id < "t200" for trace_id in lanes["uncertain"] | lanes["conflict"])


def test_without_a_fit_the_user_is_told_what_to_run(workspace: Workspace) -> None:
    other = Task(TaskSpec(task="other", labels=LABELS), (), ())
    with pytest.raises(PromptlabelError, match="run `promptlabel fit` first"):
        build_queue(workspace, other)


def test_where_every_trace_came_with_gold_the_queue_is_empty(tone) -> None:
    tone.bring_gold(list(tone.truth))
    assert tone.fit_and_queue("em").items == ()
