"""Explain and suggest on a voted project: true figures, files that are valid and inactive, a model that only confirms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from topics_project import START, TOPICS, gold, project

from promptlabel.errors import InputError
from promptlabel.pipeline.authoring.check import check
from promptlabel.pipeline.authoring.explain import explain
from promptlabel.pipeline.authoring.material import LEAST_LABELS
from promptlabel.pipeline.authoring.suggest import FOLDER, suggest
from promptlabel.pipeline.voting.vote import vote
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.records import Gold, Trace
from promptlabel.terminal.showing import show


@pytest.fixture
def asked(tone) -> Iterator[tuple[Workspace, dict[str, str], Path]]:
    """The voted project, its truth, and a scripted model that knows what 'thanks' and 'damn' mean."""
    root, truth = tone.root, tone.truth
    tone.workspace.store.close()
    (root / "promptlabel.yaml").write_text("models: {default: {provider: scripted, model: script.yaml}}\n")
    (root / "script.yaml").write_text(
        "- {match: 'words \"thanks\"', answer: good}\n- {match: 'words \"damn\"', answer: bad}\n- {answer: neither}\n"
    )
    with open_workspace(root) as workspace:
        yield workspace, truth, root


def bring_gold(workspace: Workspace, truth: dict[str, str], number: int) -> None:
    at = datetime(2026, 10, 1, tzinfo=UTC)
    workspace.store.add_gold([Gold(name, "tone", truth[name], "bob", at) for name in list(truth)[:number]])


def test_a_rule_is_explained_by_its_own_votes(tone):
    tone.bring_gold(list(tone.truth)[:200])
    (one,) = explain(tone.workspace, "thanks").models
    names = list(tone.truth)
    table = tone.workspace.store.vote_table("tone", tone.task.labels)
    column = next(place for place, rule in enumerate(table.rules) if rule.rule == "thanks")
    said = dict(zip(table.trace_ids, table.votes[:, column].tolist(), strict=True))
    wrong = [name for name in names[:200] if said[name] == 0 and tone.truth[name] == "bad"]
    assert one.wrong_total == len(wrong)
    assert {shown.trace_id for shown in one.wrong} <= set(wrong)
    assert all((shown.vote, shown.gold) == ("good", "bad") for shown in one.wrong)
    judged = sum(said[name] == 0 for name in names[:200])
    assert one.labels[0].judged == judged
    assert one.labels[0].precision == pytest.approx(1 - len(wrong) / judged)
    assert one.suggestions


def test_a_rule_alone_on_its_traces_is_shown_there(tone):
    table = tone.workspace.store.vote_table("tone", tone.task.labels)
    lonely = int(((table.votes >= 0).sum(axis=1) == 1).sum())
    (one,) = explain(tone.workspace, "swears").models
    assert one.alone_total == lonely > 0


def test_an_unknown_rule_is_corrected(tone):
    with pytest.raises(InputError, match="did you mean 'swears'"):
        explain(tone.workspace, "swear")


def test_proposals_are_measured_valid_and_inactive(asked):
    workspace, truth, root = asked
    bring_gold(workspace, truth, 300)
    report = suggest(workspace, workspace.tasks[0])
    assert (report.source, report.labelled) == ("gold", 300)
    words = {one.label: one for one in report.proposals if one.way == "keyword"}
    assert words["good"].conditions == ["thanks"]
    assert words["bad"].conditions == ["damn"]
    assert check(root).rules == 3
    rules = root / "rules" / "tone"
    for one in report.proposals:
        path = Path(one.path)
        assert path.parent == root / FOLDER / "tone"
        (rules / path.name).write_text(path.read_text())
    assert check(root).rules == 3 + len(report.proposals)


def test_both_reports_are_told_in_words(asked, capsys):
    workspace, truth, _ = asked
    bring_gold(workspace, truth, 300)
    show("suggest", suggest(workspace, workspace.tasks[0]), as_json=False)
    show("explain", explain(workspace, "swears"), as_json=False)
    text = capsys.readouterr().out
    assert "keyword: thanks" in text
    assert "None is active" in text
    assert "where it is wrong, the surest first" in text


def test_what_is_reported_is_counted_on_labels_that_were_not_used(asked):
    workspace, truth, _ = asked
    bring_gold(workspace, truth, 300)
    report = suggest(workspace, workspace.tasks[0])
    names = list(truth)[:300]
    thanks = next(one for one in report.proposals if one.conditions == ["thanks"])
    holding = {trace.trace_id for trace in workspace.store.traces() if "thanks" in trace.transcript.split()}
    assert thanks.votes == len(holding)
    assert thanks.coverage == pytest.approx(len(holding) / 400)
    assert 0 < thanks.judged < len(holding & set(names))


def test_what_the_model_does_not_confirm_is_not_proposed(asked):
    workspace, truth, root = asked
    bring_gold(workspace, truth, 300)
    (root / "script.yaml").write_text("- {answer: neither}\n")
    report = suggest(workspace, workspace.tasks[0])
    assert [one for one in report.proposals if one.way == "keyword"] == []


def test_asking_again_costs_nothing(asked):
    workspace, truth, _ = asked
    bring_gold(workspace, truth, 300)
    assert suggest(workspace, workspace.tasks[0]).calls > 0
    assert suggest(workspace, workspace.tasks[0]).calls == 0


def test_without_gold_the_rules_majority_stands_for_it(asked):
    workspace, _, _ = asked
    report = suggest(workspace, workspace.tasks[0])
    assert report.source == "majority"
    assert report.labelled >= LEAST_LABELS
    text = Path(report.proposals[0].path).read_text()
    assert "against what most rules say" in text


# --- several labels


LABELS = ("refund", "shipping", "bug")
WORDS = {"refund": "refund", "shipping": "parcel", "bug": "broken", "none": "thanks"}


@pytest.fixture
def asked_sets(tmp_path: Path) -> Iterator[tuple[Workspace, dict[str, str], Path]]:
    """A task where several labels may apply, 200 traces that say so, and a model that knows a word of each."""
    script = "".join(f"- {{match: 'words \"{word}\"', answer: {label}}}\n" for label, word in WORDS.items())
    rules = {
        "task.yaml": TOPICS,
        "words.yaml": "keyword: {refund: refund, shipping: parcel, bug: broken, none: thanks}\n",
    }
    rng = np.random.default_rng(0)
    sets = [[label for label in LABELS if rng.random() < 0.4] for _ in range(200)]
    traces = [
        Trace(f"t{place:03}", START, input=" ".join([*said_of(labels), *map(str, rng.integers(100, 999, 4))]))
        for place, labels in enumerate(sets)
    ]
    with open_workspace(project(tmp_path, "topics", rules, script + "- {answer: unclear}\n")) as workspace:
        workspace.store.add_traces(traces)
        truth = {one.trace_id: ", ".join(own) or "none" for one, own in zip(traces, sets, strict=True)}
        yield workspace, truth, tmp_path


def said_of(labels: list[str]) -> list[str]:
    return [WORDS[label] for label in labels] or [WORDS["none"]]


def test_each_label_of_a_set_and_none_get_rules_of_their_own(asked_sets):
    workspace, truth, root = asked_sets
    known = {name: ", ".join(reversed(label.split(", "))) for name, label in list(truth.items())[:150]}
    gold(workspace, "topics", known)
    report = suggest(workspace, workspace.tasks[0])
    assert (report.source, report.labelled) == ("gold", 150)
    words = {one.label: one for one in report.proposals if one.way == "keyword"}
    assert {label: one.conditions for label, one in words.items()} == {
        label: [word] for label, word in WORDS.items()
    }
    for label, one in words.items():
        assert one.coverage == pytest.approx(np.mean([label in said.split(", ") for said in truth.values()]))
        assert (one.accuracy, one.votes) == (1.0, round(200 * one.coverage))
        assert 0 < one.judged < sum(label in said for said in known.values())
    for one in report.proposals:
        (root / "rules" / "topics" / Path(one.path).name).write_text(Path(one.path).read_text())
    assert check(root).rules == 1 + len(report.proposals)


def test_without_gold_what_most_rules_say_of_each_label_stands_for_it(asked_sets):
    workspace, _, _ = asked_sets
    with pytest.raises(InputError, match="too little to learn from"):
        suggest(workspace, workspace.tasks[0])
    vote(workspace)
    report = suggest(workspace, workspace.tasks[0])
    assert report.source == "majority"
    # A keyword rule says of no single label that it does not apply, so that all is known of empty sets alone.
    assert {one.label for one in report.proposals if one.way == "keyword"} == set(WORDS)


def test_a_proposal_about_one_label_is_judged_on_that_label_alone(asked_sets):
    workspace, truth, _ = asked_sets
    wrong = {name: "bug" if place % 5 == 0 else label for place, (name, label) in enumerate(truth.items())}
    gold(workspace, "topics", wrong)
    found = suggest(workspace, workspace.tasks[0]).proposals
    words = {one.label: one for one in found if one.way == "keyword"}
    assert 0.65 < words["shipping"].accuracy < 0.95
    assert words["bug"].accuracy == 1.0


def test_too_little_to_learn_from_is_said(promptlabel, project):
    refused = promptlabel("suggest", cwd=project, check=False)
    assert refused.returncode == 2
    assert "20 traces of two labels" in refused.stderr


def test_both_verbs_print_json(promptlabel, project):
    promptlabel("vote", cwd=project)
    report = json.loads(promptlabel("explain", "solved", "--json", cwd=project).stdout)
    assert report["models"][0]["figures"]["votes"] == 12
    assert "promptlabel" not in promptlabel("explain", "complains", cwd=project).stderr
    assert np.isclose(report["models"][0]["labels"][0]["precision"], 0.5)
