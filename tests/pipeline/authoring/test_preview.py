"""Preview: beside gold, other rules and git; the examples as unit tests; again at every save."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from promptlabel.pipeline.voting.watching import saves

RULES = Path("rules/answer_quality")
GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]


def read(done: subprocess.CompletedProcess[str]) -> dict:
    return json.loads(done.stdout)


def preview(promptlabel, project: Path, rule: str, *options: str) -> dict:
    return read(promptlabel("preview", rule, "-n", "6", "--json", *options, cwd=project))


def commit(project: Path) -> None:
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run([*GIT, *arguments], cwd=project, check=True)


def test_other_rules_are_shown_where_they_disagree(promptlabel, project):
    promptlabel("vote", cwd=project)
    (project / RULES / "always.yaml").write_text("sql: {good: 'true'}\n")
    rows = preview(promptlabel, project, "always")["traces"]
    second = next(row for row in rows if row["trace_id"] == "sample-02")
    assert second["others"]["complains"] == "bad"
    assert "complains" in second["disagrees"]
    assert "asks_again (default)" in second["disagrees"]
    assert all(set(row["disagrees"]) <= row["others"].keys() for row in rows)


@pytest.mark.skipif(shutil.which("git") is None, reason="no git is installed")
def test_a_rule_is_compared_with_its_committed_version(promptlabel, project):
    path = project / RULES / "short.yaml"
    path.write_text("sql: {bad: 'length(output) < 20'}\n")
    commit(project)
    unchanged = preview(promptlabel, project, "short", "--diff")["diff"]
    assert (unchanged["lines"], unchanged["changed"]) == ([], 0)
    path.write_text("sql: {good: 'true'}\n")
    report = preview(promptlabel, project, "short", "--diff")
    assert report["diff"]["changed"] == 6
    assert "+sql: {good: 'true'}" in report["diff"]["lines"]
    assert {row["before"] for row in report["traces"]} <= {"bad", "abstain"}
    text = promptlabel("preview", "short", "-n", "6", "--diff", cwd=project).stdout
    assert "6 of 6 votes differ" in text


@pytest.mark.skipif(shutil.which("git") is None, reason="no git is installed")
def test_a_heuristic_in_python_is_compared_with_its_committed_version(promptlabel, project):
    path = project / RULES / "heuristics.py"
    path.write_text(path.read_text() + "\n\n@heuristic\ndef always(trace):\n    return 'bad'\n")
    commit(project)
    path.write_text(path.read_text().replace("return 'bad'", "return 'good'"))
    report = preview(promptlabel, project, "always", "--diff")
    assert report["diff"]["changed"] == len(report["traces"])
    assert [line for line in report["diff"]["lines"] if line[0] in "+-"][2:] == [
        "-    return 'bad'",
        "+    return 'good'",
    ]
    assert {(row["before"], row["vote"]) for row in report["traces"]} == {("bad", "good")}


@pytest.mark.skipif(shutil.which("git") is None, reason="no git is installed")
def test_without_a_commit_the_reason_is_said(promptlabel, project):
    refused = promptlabel("preview", "solved", "--diff", cwd=project, check=False)
    assert refused.returncode == 2
    assert "no committed version" in refused.stderr


def test_examples_run_as_unit_tests(promptlabel, project):
    (project / "script.yaml").write_text(
        "- {match: '(?i)sorry|still|not what i asked', text: '{\"answer\":\"not solved\"}', times: 1}\n"
        "- {match: 'problem solved', answer: solved}\n"
        "- {match: '(?i)great|perfect', answer: satisfied}\n- {answer: still looking}\n"
    )
    (project / RULES / "short.yaml").write_text(
        "sql: {bad: 'length(output) < 9'}\nexamples:\n- {output: no, vote: bad}\n- {output: longer text, vote: bad}\n"
    )
    done = promptlabel("check", "--run", "--json", cwd=project, check=False)
    report = read(done)
    assert done.returncode == 1
    runs = {run["rule"]: [example["passed"] for example in run["examples"]] for run in report["runs"]}
    assert runs["short"] == [True, False]
    assert runs["asks_again"].count(True) >= 3
    assert report["failed"] >= 1
    assert report["tasks"] == ["answer_quality"]


def test_a_trace_that_does_not_meet_when_is_not_asked_about(promptlabel, project):
    path = project / RULES / "asks_again.yaml"
    path.write_text(path.read_text() + "when: trace.trace_id in ['sample-01', 'sample-02']\n")
    plan = read(promptlabel("plan", "--rule", "asks_again", "--json", cwd=project))
    assert plan["calls"] == 2
    vote = read(promptlabel("vote", "--rule", "asks_again", "--json", cwd=project))
    assert (vote["calls"], vote["votes"], vote["abstains"]) == (2, 2, 10)


def test_a_comment_changes_nothing_and_a_word_asks_that_rule_alone(promptlabel, project):
    promptlabel("vote", cwd=project)
    path = project / RULES / "asks_again.yaml"
    path.write_text("# a comment\n" + path.read_text())
    assert read(promptlabel("plan", "--json", cwd=project))["calls"] == 0
    path.write_text(path.read_text().replace("satisfied or", "content or"))
    rows = read(promptlabel("plan", "--json", cwd=project))["rules"]
    assert {row["rule"]: row["calls"] for row in rows} == {"asks_again": 12, "solved": 0}


def test_the_same_rule_as_jinja_keeps_its_votes(promptlabel, project):
    promptlabel("vote", cwd=project)
    path = project / RULES / "asks_again.yaml"
    front, _, rest = path.read_text().partition("prompt: |\n")
    prompt, _, after = rest.partition("answers:")
    dedented = "".join(line[2:] + "\n" for line in prompt.splitlines())
    path.with_suffix(".jinja").write_text(f"---\n{front}answers:{after}---\n{dedented}")
    path.unlink()
    assert read(promptlabel("plan", "--json", cwd=project))["calls"] == 0
    assert read(promptlabel("vote", "--json", cwd=project))["votes"] == 0


def test_a_save_is_noticed_once(tmp_path: Path):
    path = tmp_path / "rule.yaml"
    path.write_text("a")
    pauses = iter(["", "longer", "", "x"])

    def sleep(_: float) -> None:
        text = next(pauses, None)
        if text is None:
            raise KeyboardInterrupt
        if text:
            path.write_text(text)

    noticed = saves(lambda: [tmp_path], sleep)
    assert next(noticed) is None
    assert path.read_text() == "longer"
    assert next(noticed) is None
    assert path.read_text() == "x"
    with pytest.raises(KeyboardInterrupt):
        next(noticed)


def test_secrets_in_a_trace_stay_out_of_prompts_and_exports(promptlabel, project):
    key = "sk-proj-abcDEF1234567890abcDEF123"
    trace = {"trace_id": "leak", "input": f"My key is {key}", "output": "Noted."}
    (project / "leak.jsonl").write_text(json.dumps(trace) + "\n")
    promptlabel("ingest", "leak.jsonl", cwd=project)
    done = promptlabel("preview", "solved", "-n", "13", "--json", cwd=project)
    assert key not in done.stdout
    assert "[secret removed]" in done.stdout
    promptlabel("vote", cwd=project)
    promptlabel("fit", cwd=project)
    for kind, ending in (("training", ".jsonl"), ("votes", ".jsonl"), ("labelstudio", ".json")):
        promptlabel("export", "--to", kind, "--out", f"{kind}{ending}", cwd=project)
        assert key not in (project / f"{kind}{ending}").read_text(), kind
    assert "[secret removed]" in (project / "training.jsonl").read_text()
