"""What `--json` prints: one object, whatever the number of tasks."""

from __future__ import annotations

import json
from dataclasses import replace

from promptlabel.errors import Fault, InputError, StoreHeldError
from promptlabel.pipeline.reviewing.queue import QueueItem, QueueReport
from promptlabel.routing.backlog import Backlog
from promptlabel.terminal.showing import show, show_error


def report(task: str) -> QueueReport:
    item = QueueItem(f"{task}-1", "audit", 0.5, 0.1, "drawn at random")
    return QueueReport(task, (item,), {"audit": 1}, 0)


def test_one_tasks_result_is_the_object_itself(capsys):
    show("queue", [report("tone")], as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["task"] == "tone"
    assert shown["items"][0].keys() == {"trace_id", "lane", "score", "probability", "reason"}


def test_several_tasks_lists_are_joined_and_each_is_under_its_name(capsys):
    show("queue", [report("tone"), report("topic")], as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert [item["trace_id"] for item in shown["items"]] == ["tone-1", "topic-1"]
    assert shown["tasks"]["topic"]["lanes"] == {"audit": 1}


def test_people_see_lane_and_reason(capsys):
    show("queue", [report("tone")], as_json=False)
    shown = capsys.readouterr().out
    assert "audit" in shown
    assert "drawn at random" in shown


def test_people_and_programs_are_told_of_a_queue_that_grows(capsys):
    grows = replace(report("tone"), backlog=Backlog.of(50, 0.05, 1_000, 20))
    show("queue", [grows], as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "50.0 traces a day come in, 20.0 are decided; `routing: {share: 0.02}`" in shown
    show("queue", [replace(report("tone"), backlog=Backlog.of(50, 0.05, 1_000, 0))], as_json=False)
    assert "none was decided lately" in capsys.readouterr().out
    show("queue", [grows], as_json=True)
    assert json.loads(capsys.readouterr().out)["backlog"] == {
        "waiting": 50, "queued_per_day": 50, "decided_per_day": 20, "grows": True, "sustainable_share": 0.02
    }  # fmt: skip


def test_every_fault_is_printed_where_it_is(capsys):
    error = InputError([Fault("unknown label", "a.yaml", 3, 5, "answers"), Fault("no such file", "b.yaml")])
    show_error(error, as_json=True)
    out, err = capsys.readouterr()
    assert [fault["line"] for fault in json.loads(out)["faults"]] == [3, None]
    assert "a.yaml:3:5: answers: unknown label" in err
    assert "2 faults" in err


def test_the_holder_of_the_store_is_named(capsys):
    show_error(StoreHeldError("store.duckdb", 4711), as_json=False)
    assert "4711" in capsys.readouterr().err
