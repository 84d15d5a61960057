"""The worked example: its rules are sound, its script is honest, and its heuristics do what they say."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from promptlabel.records import Gold, Trace
from promptlabel.rules.loading import Task, load_tasks
from promptlabel.settings import Project, Settings
from promptlabel.strict_yaml import load_yaml
from promptlabel.traces.reading import read_files
from promptlabel.traces.signals import compute_signals

ROOT = Path(__file__).parents[2]
CUT = datetime(2018, 9, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def task() -> Task:
    [task] = load_tasks(Project(ROOT, Settings()), ["engagement"])
    return task


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("chitchat_dataset", reason="the demo extra is not installed")
    out = tmp_path_factory.mktemp("chitchat")
    subprocess.run([sys.executable, ROOT / "scripts" / "chitchat.py", out], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def traces(folder: Path) -> dict[str, Trace]:
    return {
        record.trace_id: record
        for record in read_files([folder / "traces.jsonl"])
        if isinstance(record, Trace)
    }


@pytest.fixture(scope="module")
def gold(folder: Path) -> list[Gold]:
    return [gold for gold in read_files([folder / "gold.jsonl"]) if isinstance(gold, Gold)]


class TestTheScript:
    def test_every_conversation_is_a_trace(self, traces: dict[str, Trace]) -> None:
        assert len(traces) == 7168
        assert {role for trace in traces.values() for role in (m.role for m in trace.messages)} == {"a", "b"}
        assert all(trace.messages[0].role == "a" for trace in traces.values())

    def test_nothing_of_a_rating_is_in_a_trace(self, traces: dict[str, Trace]) -> None:
        assert {key for trace in traces.values() for key in trace.metadata} == {"prompt"}

    def test_gold_comes_when_the_conversation_has_ended(
        self, traces: dict[str, Trace], gold: list[Gold]
    ) -> None:
        assert all(traces[g.trace_id].messages[-1].timestamp == g.timestamp for g in gold)

    def test_only_ratings_that_say_something_are_gold(self, gold: list[Gold]) -> None:
        labels = [g.label for g in gold]
        assert (len(labels), labels.count("engaged")) == (2511, 2046)

    def test_about_a_third_of_the_gold_is_held_back(
        self, task: Task, traces: dict[str, Trace], gold: list[Gold]
    ) -> None:
        assert task.spec.holdout_after == CUT
        late = sum(moment >= CUT for g in gold if (moment := traces[g.trace_id].timestamp))
        assert 0.28 < late / len(gold) < 0.34


class TestTheRules:
    def test_there_are_prompts_in_both_forms_each_with_balanced_examples(self, task: Task) -> None:
        endings = {path.suffix for path in (ROOT / "rules/engagement").iterdir()}
        assert {".yaml", ".jinja"} <= endings
        assert len(task.prompts) >= 4
        for rule in task.prompts:
            votes = [example.vote for example in rule.spec.examples]
            assert votes.count("bored") == votes.count("engaged") == 2

    def test_prompts_stay_short(self, task: Task, traces: dict[str, Trace]) -> None:
        longest = max(traces.values(), key=lambda trace: len(trace.transcript))
        for rule in task.prompts:
            question = rule.question(longest, decode="logprobs", few_shot=True)
            assert len(question.prompt) < 1600
            assert sum(len(shot.prompt) for shot in question.shots) < 1600

    def test_examples_are_not_taken_from_the_conversations(
        self, task: Task, traces: dict[str, Trace]
    ) -> None:
        written = {m.content for trace in traces.values() for m in trace.messages if len(m.content) > 40}
        shown = {
            m.content for rule in task.prompts for example in rule.spec.examples for m in example.messages
        }
        assert not shown & written

    def test_the_configuration_is_sound(self) -> None:
        document = load_yaml((ROOT / "promptlabel.yaml").read_text(), "promptlabel.yaml")
        assert Settings.model_validate(document.data).budget.calls


@pytest.fixture(scope="module")
def votes(task: Task, traces: dict[str, Trace], gold: list[Gold]) -> dict[str, dict[str, str | None]]:
    """Rule -> trace id -> vote, on the gold before the date and on each tenth conversation of all."""
    early = {g.trace_id for g in gold if (moment := traces[g.trace_id].timestamp) and moment < CUT}
    seen = [
        replace(traces[name], signals=compute_signals(traces[name], ()))
        for name in early | {*list(traces)[::10]}
    ]
    return {rule.name: {trace.trace_id: rule.label(trace) for trace in seen} for rule in task.heuristics}


class TestTheHeuristics:
    def test_all_vote_or_abstain(self, votes: dict[str, dict[str, str | None]]) -> None:
        assert len(votes) >= 8
        assert {vote for of_rule in votes.values() for vote in of_rule.values()} == {"bored", "engaged", None}

    def test_each_does_on_the_earlier_gold_what_its_description_says(
        self, task: Task, votes: dict[str, dict[str, str | None]], traces: dict[str, Trace], gold: list[Gold]
    ) -> None:
        early = {
            g.trace_id: g.label for g in gold if (moment := traces[g.trace_id].timestamp) and moment < CUT
        }
        for rule in task.heuristics:
            right = [vote == early[name] for name, vote in votes[rule.name].items() if vote and name in early]
            claim = f"({len(right) / len(early):.0%}, {sum(right) / len(right):.2f})"
            assert rule.description.endswith(claim), f"{rule.name}: {claim}"
