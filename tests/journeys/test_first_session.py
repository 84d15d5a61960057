"""From an empty folder to a report, by the command line alone, with a model that follows a script."""

from __future__ import annotations

import json
import os
import subprocess
from itertools import product
from pathlib import Path

import duckdb
import pytest

RULES = {"asks_again", "solved", "thanks", "complains", "copied"}


def read(done: subprocess.CompletedProcess[str]) -> dict:
    return json.loads(done.stdout)


def test_a_new_project_is_in_order(project, promptlabel):
    report = read(promptlabel("check", "--json", cwd=project))
    assert report == {"tasks": ["answer_quality"], "rules": 5, "renamed": []}


def test_ingesting_again_adds_nothing(project, promptlabel):
    report = read(promptlabel("ingest", "sample.jsonl", "--json", cwd=project))
    assert report["traces"] == {"added": 0, "present": 12}
    assert report["events"] == {"added": 0, "present": 3}
    assert report["gold"] == {"added": 0, "present": 6}


def test_preview_shows_prompt_answer_vote_and_gold_and_runs_the_examples(project, promptlabel):
    report = read(promptlabel("preview", "asks_again", "-n", "6", "--json", cwd=project))
    assert report["rule"] == "asks_again"
    assert len(report["traces"]) == 6
    row = report["traces"][0]
    assert {"trace_id", "prompt", "hash", "answer", "vote", "gold"} <= row.keys()
    assert "still looking for help" in row["prompt"]
    assert [example["passed"] for example in report["examples"]] == [True] * 4


def test_what_preview_asked_is_not_asked_again(project, promptlabel):
    promptlabel("preview", "asks_again", "-n", "6", "--json", cwd=project)
    plan = read(promptlabel("plan", "--rule", "asks_again", "--json", cwd=project))
    assert plan["calls"] == 6
    vote = read(promptlabel("vote", "--rule", "asks_again", "--json", cwd=project))
    assert (vote["calls"], vote["votes"]) == (6, 6)


def test_the_whole_loop(project, promptlabel):
    plan = read(promptlabel("plan", "--json", cwd=project))
    vote = read(promptlabel("vote", "--json", cwd=project))
    assert vote["calls"] == plan["calls"] == 24
    assert vote["votes"] + vote["abstains"] == 12 * 5
    assert (vote["malformed"], vote["errors"], vote["dead_letters"], vote["stopped"]) == (0, 0, 0, None)

    again = read(promptlabel("vote", "--json", cwd=project))
    assert (again["calls"], again["votes"], again["abstains"]) == (0, 0, 0)

    rows = read(promptlabel("analyze", "--json", cwd=project))["rules"]
    assert {row["rule"] for row in rows} == RULES
    assert next(row for row in rows if row["rule"] == "thanks")["accuracy"] == 1.0

    fit = read(promptlabel("fit", "--json", cwd=project))
    assert fit["chosen"]
    assert sum(fit["shares"].values()) == pytest.approx(1.0)

    queue = read(promptlabel("queue", "--json", cwd=project))["items"]
    assert "audit" in {item["lane"] for item in queue}
    assert all(0 < item["probability"] <= 1 and item["reason"] for item in queue)

    audit = read(promptlabel("audit", "--json", cwd=project))
    assert audit["accuracy"].keys() >= {"estimate", "low", "high"}

    frozen = read(promptlabel("freeze", "--json", cwd=project))
    assert frozen["cases"] == 6
    assert (project / frozen["path"] / "cases.jsonl").exists()

    report = read(promptlabel("report", "--json", cwd=project))
    assert (project / report["path"]).stat().st_size > 10_000
    assert read(promptlabel("doctor", "--json", cwd=project))["checks"]


def test_exports_can_be_read(project, promptlabel, tmp_path):
    promptlabel("run", "--json", cwd=project)
    for kind, ending in product(("training", "votes", "posteriors", "queue", "gold"), ("jsonl", "parquet")):
        out = tmp_path / f"{kind}.{ending}"
        report = read(promptlabel("export", "--to", kind, "--out", out, "--json", cwd=project))
        count = duckdb.connect().execute(f"select count(*) from '{out}'").fetchone()[0]
        assert count == report["rows"] > 0


def test_the_store_has_one_row_a_current_vote(project, promptlabel):
    promptlabel("vote", cwd=project)
    with duckdb.connect(str(project / ".promptlabel/store.duckdb"), read_only=True) as store:
        rows = store.execute(
            "select trace_id, task, rule, model, label, status, confidence from votes"
        ).fetchall()
    assert len(rows) == len({row[:4] for row in rows}) == 60
    assert {row[2] for row in rows} == RULES


def test_a_comment_changes_nothing_and_a_word_asks_that_rule_again(project, promptlabel):
    promptlabel("vote", cwd=project)
    rule = project / "rules/answer_quality/asks_again.yaml"
    rule.write_text("# a remark\n" + rule.read_text())
    assert read(promptlabel("vote", "--json", cwd=project))["votes"] == 0
    rule.write_text(rule.read_text().replace("still looking for help?", "still looking for our help?"))
    assert read(promptlabel("vote", "--json", cwd=project))["calls"] == 12


def test_a_renamed_rule_keeps_its_votes(project, promptlabel):
    promptlabel("vote", cwd=project)
    rules = project / "rules/answer_quality"
    (rules / "asks_again.yaml").rename(rules / "comes_back.yaml")
    assert read(promptlabel("check", "--json", cwd=project))["renamed"] == [
        {"task": "answer_quality", "old": "asks_again", "new": "comes_back"}
    ]
    assert read(promptlabel("vote", "--json", cwd=project))["calls"] == 0


def test_one_more_trace_is_one_more_trace_to_pay_for(project, promptlabel, tmp_path):
    promptlabel("vote", cwd=project)
    more = tmp_path / "more.jsonl"
    more.write_text('{"trace_id": "late", "input": "Why is it slow?", "output": "Sorry."}\n')
    promptlabel("ingest", more, cwd=project)
    assert read(promptlabel("vote", "--json", cwd=project))["calls"] == 2


def test_the_budget_is_a_hard_stop_that_can_be_raised(project, promptlabel):
    configuration = project / "promptlabel.yaml"
    configuration.write_text(configuration.read_text().replace("calls: 10000", "calls: 7"))
    stopped = promptlabel("vote", "--json", cwd=project, check=False)
    assert stopped.returncode == 1
    assert (read(stopped)["calls"], read(stopped)["stopped"]) == (7, "budget")
    configuration.write_text(configuration.read_text().replace("calls: 7", "calls: 100"))
    assert read(promptlabel("vote", "--json", cwd=project))["calls"] == 17


def test_malformed_answers_wait_as_dead_letters_and_are_asked_again(project, promptlabel):
    script = project / "script.yaml"
    script.write_text("- {match: parcel, text: perhaps}\n" + script.read_text())
    first = promptlabel("vote", "--json", cwd=project, check=False)
    assert first.returncode == 1
    assert read(first)["malformed"] == read(first)["dead_letters"] > 0
    script.write_text("\n".join(script.read_text().splitlines()[1:]))
    again = read(promptlabel("retry", "--json", cwd=project))
    assert (again["dead_letters"], again["votes"]) == (0, read(first)["malformed"])


def test_faults_come_all_at_once_with_file_and_line(project, promptlabel):
    rules = project / "rules/answer_quality"
    (rules / "asks_again.yaml").write_text(
        "prompt: '{{ trace.outptu }}'\nanswers: {a: goood}\nmodle: default\n"
    )
    (rules / "broken.yaml").write_text("prompt: [unclosed\n")
    done = promptlabel("check", "--json", cwd=project, check=False)
    assert done.returncode == 2
    faults = json.loads(done.stdout)["faults"]
    assert len(faults) >= 4
    assert {Path(fault["file"]).name for fault in faults} == {"asks_again.yaml", "broken.yaml"}
    assert all(fault["line"] for fault in faults)
    assert "did you mean" in done.stderr


def test_every_verb_does_all_tasks_or_the_one_named(project, promptlabel):
    second = project / "rules" / "politeness"
    second.mkdir()
    (second / "task.yaml").write_text("task: politeness\nlabels: {polite: '', rude: ''}\n")
    (second / "heuristics.py").write_text(
        "from promptlabel import heuristic\n\n\n@heuristic\ndef please(trace):\n"
        "    return 'polite' if 'thank' in trace.transcript.lower() else 'rude'\n"
    )
    promptlabel("vote", cwd=project)
    rows = read(promptlabel("analyze", "--json", cwd=project))["rules"]
    assert {row["task"] for row in rows} == {"answer_quality", "politeness"}
    fitted = read(promptlabel("fit", "--json", cwd=project))
    assert fitted["tasks"].keys() == {"answer_quality", "politeness"}
    only = read(promptlabel("fit", "--task", "politeness", "--json", cwd=project))
    assert only["task"] == "politeness"
    unknown = promptlabel("fit", "--task", "politness", cwd=project, check=False)
    assert unknown.returncode == 2
    assert "did you mean 'politeness'" in unknown.stderr


def test_a_held_store_names_its_holder(project, promptlabel):
    with duckdb.connect(str(project / ".promptlabel/store.duckdb")):
        refused = promptlabel("vote", cwd=project, check=False)
    assert refused.returncode == 1
    assert f"process {os.getpid()}" in refused.stderr
