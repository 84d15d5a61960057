"""Tasks of every kind from the rule file to what comes out: several labels, ordered labels, pairs of outputs."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from topics_project import START, TEXTS, TOPICS, gold, project

from promptlabel.errors import InputError
from promptlabel.pipeline.authoring.analyze import analyze
from promptlabel.pipeline.authoring.explain import explain
from promptlabel.pipeline.authoring.preview import preview
from promptlabel.pipeline.authoring.workbench import Bench, Draft
from promptlabel.pipeline.evaluating.audit import audit
from promptlabel.pipeline.evaluating.freeze import freeze
from promptlabel.pipeline.exporting.export import TrainingWish, export
from promptlabel.pipeline.fitting.fit import fit
from promptlabel.pipeline.fitting.judging import judge_of
from promptlabel.pipeline.reporting.report import report
from promptlabel.pipeline.reviewing.queue import build_queue
from promptlabel.pipeline.voting.vote import vote
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.records import Trace
from promptlabel.traces.fields import Fields
from promptlabel.traces.plain import gold_of, trace_of


def rows_of(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


# --- several labels


def votes_on(workspace: Workspace, trace_id: str) -> dict[str, tuple[str | None, dict | None]]:
    found = workspace.store.votes("topics", trace_ids=[trace_id])
    return {rule.rule: (vote.label, vote.distribution) for rule, vote in found}


def test_a_vote_is_a_set_and_says_what_it_is_silent_about(topics):
    workspace, _ = topics
    said = votes_on(workspace, "t001")
    assert said["all_of_them"] == ("refund, shipping", {"refund": 1.0, "shipping": 1.0, "bug": 0.0})
    assert said["words"] == ("refund, shipping", {"refund": 1.0, "shipping": 1.0})
    assert said["long"] == ("shipping", {"shipping": 1.0, "bug": 0.0})
    assert said["asks_refund"][0] == "refund"
    assert said["asks_refund"][1] == pytest.approx({"refund": 0.9})
    assert votes_on(workspace, "t000")["words"] == ("none", {"refund": 0.0, "shipping": 0.0, "bug": 0.0})


def test_each_label_has_a_model_of_its_own(topics):
    workspace, truth = topics
    (task,) = workspace.tasks
    found = fit(workspace, task)
    assert set(found.report["labels"]) == {"refund", "shipping", "bug"}
    posteriors = rows_of(export(workspace, "posteriors").path)
    assert [row["label"] for row in posteriors] == [truth[row["trace_id"]] for row in posteriors]
    assert posteriors[1]["probs"]["refund"] > 0.5
    assert posteriors[1]["probs"]["bug"] < 0.5
    assert 0 < posteriors[1]["confidence"] <= 1


def test_sets_go_through_queue_audit_freeze_and_report(topics):
    workspace, truth = topics
    (task,) = workspace.tasks
    fit(workspace, task)
    items = build_queue(workspace, task).items
    assert items
    assert any("refund" in item.reason or "bug" in item.reason for item in items)
    written = {
        name: ", ".join(reversed(truth[name].split(", "))) for name in (item.trace_id for item in items)
    }
    gold(workspace, "topics", written)
    found = audit(workspace, task)
    assert found.accuracy["estimate"] == 1.0
    assert set(found.balance) <= set(TEXTS)
    frozen = freeze(workspace, task)
    assert frozen.cases > 0
    assert frozen.counts["label"].keys() <= TEXTS.keys()
    fit(workspace, task)
    judge = judge_of(workspace, task)
    judged = judge.judge(judge.decisions)
    assert judged.refitted == len(items)
    assert judged.right.mean() > 0.9
    figures = report(workspace).figures
    assert figures.tasks[0].audit.n > 0
    training = rows_of(export(workspace, "training").path)
    assert {row["label"] for row in training} <= TEXTS.keys()


def test_analysis_counts_what_is_said_of_each_label(topics):
    workspace, truth = topics
    (task,) = workspace.tasks
    gold(workspace, "topics", {name: truth[name] for name in list(truth)[:40]})
    rows = {row.rule: row for row in analyze(workspace, task).rules}
    assert rows["all_of_them"].coverage == 1.0
    assert rows["all_of_them"].accuracy == 1.0
    assert rows["asks_refund"].coverage == pytest.approx(1 / 3)
    assert rows["long"].coverage == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("given", "label"), [(["bug", "refund"], "bug, refund"), ([], "none"), ("refund", "refund")]
)
def test_gold_may_list_labels(given, label: str):
    fields = Fields(
        {
            "trace_id": "t",
            "task": "topics",
            "label": given,
            "reviewer": "ann",
            "timestamp": "2026-01-01T00:00:00Z",
        }
    )
    assert gold_of(fields).label == label
    assert not fields.wrong


def test_two_outputs_are_read_and_anything_else_is_told():
    fields = Fields({"trace_id": "t", "input": "x", "outputs": ["a", "b"]})
    assert trace_of(fields).outputs == ("a", "b")
    for wrong in (["a"], "a", ["a", 1], ["a", "b", "c"]):
        fields = Fields({"trace_id": "t", "input": "x", "outputs": wrong})
        trace_of(fields)
        assert fields.wrong


def test_examples_of_sets_are_tested_in_any_order(topics):
    workspace, _ = topics
    for name, number in (("words", 1), ("all_of_them", 2)):
        found = preview(workspace, name, count=4).examples
        assert [example.passed for example in found] == [True] * number
        assert found[0].expected == "refund, shipping"


def test_sets_are_exported_for_training(topics, tmp_path: Path):
    workspace, truth = topics
    (task,) = workspace.tasks
    gold(workspace, "topics", {"t001": "shipping, refund"})
    fit(workspace, task)
    folder = Path(export(workspace, "hf").path)
    read = duckdb.connect().sql(f"select trace_id, labels, probs from '{folder}/topics/train.parquet'")
    rows = {name: (labels, probs) for name, labels, probs in read.fetchall()}
    assert rows["t001"] == ([0, 1], [1.0, 1.0, 0.0])
    assert rows["t003"][0] == [2]
    assert rows["t000"][0] == []
    chats = {row["metadata"]["trace_id"]: row["messages"] for row in rows_of(export(workspace, "sft").path)}
    assert "all of these labels that apply" in chats["t001"][0]["content"]
    assert {name: chat[-1]["content"] for name, chat in chats.items()} == truth
    (decided,) = rows_of(export(workspace, "gold").path)
    assert decided["label"] == "refund, shipping"


def test_conversations_of_a_label_are_those_whose_set_has_it(topics, tmp_path: Path):
    workspace, _ = topics
    fit(workspace, workspace.tasks[0])
    workspace.store.add_traces(
        [Trace("said", START, input="refund me, the parcel 9 never came", output="sorry")]
    )
    vote(workspace)
    fit(workspace, workspace.tasks[0])
    for label, kept in (("shipping", 1), ("bug", 0)):
        assert export(workspace, "sft", wish=TrainingWish(keep=label)).rows == kept


def test_the_order_in_which_people_list_labels_is_no_conflict(topics):
    workspace, _ = topics
    gold(workspace, "topics", {"t001": "shipping, refund"}, "ann")
    gold(workspace, "topics", {"t001": "refund, shipping"}, "ben")
    (decided,) = rows_of(export(workspace, "gold").path)
    assert (decided["label"], decided["reviewer"]) == ("refund, shipping", "ann, ben")


def test_a_draft_about_sets_is_tried_on_the_bench(topics):
    workspace, truth = topics
    gold(workspace, "topics", truth)
    bench = Bench(workspace.project, lambda: nullcontext(workspace))
    text = "keyword: {refund: [refund], bug: [broken], none: [thanks]}\n"
    trial = bench.try_out(Draft("topics", "new.yaml", text), 8)
    rows = {row.trace_id: row for row in trial.rows}
    assert {name: (row.vote, row.gold, row.right) for name, row in rows.items() if name < "t004"} == {
        "t000": ("none", "none", True),
        "t001": ("refund", "refund, shipping", True),
        "t002": (None, "shipping", None),
        "t003": ("bug", "bug", True),
    }
    assert (trial.agreeing, trial.judged, trial.confusion) == (6, 6, {})
    assert [(one.label, one.applies_right, one.denied_right, one.silent) for one in trial.by_label] == [
        ("refund", 2, 2, 4),
        ("shipping", 0, 2, 6),
        ("bug", 2, 2, 4),
    ]
    assert rows["t001"].others["words"] == "refund, shipping"


def test_a_rule_about_one_label_is_not_wrong_about_the_others(topics):
    workspace, truth = topics
    gold(workspace, "topics", truth | {"t001": "shipping, refund", "t005": "shipping"})
    found = preview(workspace, "asks_refund", count=8)
    rows = {row.trace_id: row for row in found.traces}
    said = {name: (row.vote, row.gold, row.right, list(row.disagrees)) for name, row in rows.items()}
    assert said["t001"] == ("refund", "refund, shipping", True, [])
    assert said["t005"] == ("refund", "shipping", False, [])
    assert said["t002"] == ("none", "shipping", True, [])
    assert rows["t002"].speaks_of == ["refund"]
    (tally,) = found.labels
    assert (tally.applies_right, tally.applies_wrong, tally.denied_right) == (1, 1, 6)


def test_a_rule_about_sets_is_explained_label_by_label(topics):
    workspace, truth = topics
    gold(workspace, "topics", truth | {"t002": "refund"})
    (found,) = explain(workspace, "words").models
    said = {one.label: (one.votes, one.judged, one.precision) for one in found.labels}
    assert said == {"refund": (30, 30, 1.0), "shipping": (60, 60, 59 / 60), "bug": (30, 30, 1.0)}
    (wrong,) = found.wrong
    assert (wrong.trace_id, wrong.vote, wrong.gold) == (
        "t002",
        "shipping: applies",
        "shipping: does not apply",
    )
    assert found.wrong_total == 1
    assert found.figures.rule == "words"


def test_a_set_cannot_be_asked_of_single_answers(tmp_path: Path):
    rules = {"task.yaml": TOPICS, "all.yaml": 'prompt: "{{ trace.input }}"\ndecode: logprobs\n'}
    with open_workspace(project(tmp_path, "topics", rules)) as workspace:
        workspace.store.add_traces([Trace("t", START, input="x")])
        with pytest.raises(InputError, match="answers: "):
            vote(workspace)


# --- ordered labels

STARS = {
    "task.yaml": 'task: stars\nkind: ordered\nlabels: ["1", "2", "3", "4", "5"]\n',
    "heuristics.py": """\
from promptlabel import heuristic

LABELS = "12345"


def rating(trace, off):
    return LABELS[max(0, min(4, int(trace.input[0]) - 1 + off(int(trace.trace_id))))]


@heuristic
def near(trace):
    return rating(trace, lambda number: number % 3 == 0)


@heuristic
def far(trace):
    return rating(trace, lambda number: 4 * (number % 3 == 1))


@heuristic
def right(trace):
    return rating(trace, lambda number: 0)
""",
}


def test_a_near_miss_costs_less_than_a_far_one(tmp_path: Path):
    with open_workspace(project(tmp_path, "stars", STARS)) as workspace:
        stars = np.random.default_rng(0).integers(1, 6, 150).tolist()
        workspace.store.add_traces(
            Trace(f"{place:03}", START + timedelta(hours=place), input=f"{star} stars, number {place}")
            for place, star in enumerate(stars)
        )
        vote(workspace)
        (task,) = workspace.tasks
        gold(workspace, "stars", {f"{place:03}": str(stars[place]) for place in range(60)})
        rows = {row.rule: row.ordered for row in analyze(workspace, task).rules}
        assert rows["right"].distance == 0
        assert rows["right"].kappa == 1
        assert 0 < rows["near"].distance < rows["far"].distance
        assert rows["near"].kappa > rows["far"].kappa
        found = fit(workspace, task)
        assert found.report["calibration"]["mean_distance"] < 0.1
        assert found.report["calibration"]["quadratic_kappa"] > 0.9


# --- pairs

PAIRS = {
    "task.yaml": "task: better\nkind: pairwise\n",
    "which.yaml": """\
prompt: |
  {{ trace.input }}
  A: {{ trace.first }}
  B: {{ trace.second }}
  Which is better?
answers: {A: first, B: second}
decode: logprobs
fence: none
""",
    "said.yaml": """\
prompt: |
  Say which. A: {{ trace.first }}
  B: {{ trace.second }}
answers: {A: first, B: second}
decode: json
fence: none
""",
    "longer.yaml": 'sql: {first: "length(first) > length(second)", second: "length(second) > length(first)"}\n',
}
PAIR_SCRIPT = """\
- {match: "(?s)Say which. A: good.*B: bad", answer: A}
- {match: "Say which", answer: A}
- {match: "(?s)A: good.*B: bad", distribution: {A: 0.96, B: 0.04}}
- {match: "(?s)A: bad.*B: good", distribution: {A: 0.6, B: 0.4}}
- {match: "Which", distribution: {A: 0.9, B: 0.1}}
"""


@pytest.fixture
def pairs(tmp_path: Path):
    with open_workspace(project(tmp_path, "better", PAIRS, PAIR_SCRIPT)) as workspace:
        outputs = [("good answer", "bad one"), ("bad", "good answer"), ("so so", "also so")]
        workspace.store.add_traces(
            Trace(
                f"p{place:02}",
                START + timedelta(hours=place),
                input=f"question {place}",
                outputs=outputs[place % 3],
            )
            for place in range(45)
        )
        workspace.store.add_traces([Trace("alone", START, input="no pair", output="one output")])
        assert vote(workspace).exit_code == 0
        yield workspace


def test_every_pair_is_asked_in_both_orders_and_the_liking_for_a_place_cancels(pairs: Workspace):
    by_trace = {name: [] for name in ("p00", "p01", "p02", "alone")}
    for rule, cast in pairs.store.votes("better", rule="which", trace_ids=list(by_trace)):
        assert rule.model == "default"
        by_trace[cast.trace_id].append((cast.sample, cast.label, cast.confidence))
    assert [sample for sample, *_ in by_trace["p00"]] == [0, 1]
    first, second = np.sqrt(0.96 * 0.4), np.sqrt(0.04 * 0.6)
    assert {label for _, label, _ in by_trace["p00"]} == {"first"}
    assert by_trace["p00"][0][2] == pytest.approx(first / (first + second))
    assert {label for _, label, _ in by_trace["p01"]} == {"second"}
    assert {label for _, label, _ in by_trace["p02"]} == {None}  # it says A both times: as good as each other
    assert {label for _, label, _ in by_trace["alone"]} == {None}


def test_a_plain_answer_that_flips_with_the_order_abstains(pairs: Workspace):
    said = {cast.trace_id: cast.label for _, cast in pairs.store.votes("better", rule="said")}
    assert set(said.values()) == {None}


def test_the_bias_is_measured_by_rule_and_model(pairs: Workspace):
    (task,) = pairs.tasks
    rows = {row.rule: row.position for row in analyze(pairs, task).rules}
    assert rows["longer"] is None
    assert rows["said"].flips == 1
    assert rows["said"].first_share == 1
    assert rows["said"].log_odds is None
    assert rows["which"].pairs == 45
    assert rows["which"].flips == 1.0
    assert rows["which"].log_odds == pytest.approx(
        np.mean([(np.log(0.96 / 0.04) + np.log(0.6 / 0.4)) / 2] * 30 + [np.log(9)] * 15)
    )


def test_preference_pairs_come_out(pairs: Workspace, tmp_path: Path):
    (task,) = pairs.tasks
    fit(pairs, task)
    gold(pairs, "better", {"p02": "second"})
    made = export(pairs, "preferences", tmp_path / "pairs.jsonl", wish=TrainingWish(least_confidence=0.6))
    rows = {row["trace_id"]: row for row in rows_of(made.path)}
    assert (rows["p00"]["prompt"], rows["p00"]["chosen"], rows["p00"]["rejected"]) == (
        "question 0",
        "good answer",
        "bad one",
    )
    assert rows["p01"]["chosen"] == "good answer"
    assert rows["p02"]["chosen"] == "also so"
    assert rows["p02"]["source"] == "gold"
    assert all(row["confidence"] >= 0.6 for row in rows.values())
    assert Counter(one.reason for one in made.refused)
    assert not any(row["trace_id"] == "alone" for row in rows.values())


def test_only_pairs_are_queued(pairs: Workspace):
    (task,) = pairs.tasks
    fit(pairs, task)
    names = {item.trace_id for item in build_queue(pairs, task).items}
    assert names
    assert "alone" not in names


def test_preferences_need_a_pairwise_task(topics, tmp_path: Path):
    with pytest.raises(InputError, match="kind: pairwise"):
        export(topics[0], "preferences", tmp_path / "pairs.jsonl")


def test_preview_shows_a_pair_once_with_both_answers(pairs: Workspace):
    found = preview(pairs, "which", count=6)
    assert len({row.trace_id for row in found.traces}) == len(found.traces)
    shown = next(row for row in found.traces if row.trace_id == "p00")
    assert (shown.answer, shown.swapped, shown.vote) == ("A", "A", "first")


# --- one meaning in both forms

FORMS = {
    "several": (
        "kind: several\nlabels: [refund, shipping]\n",
        'answers: {"both": [refund, shipping], "neither": none}\n',
    ),
    "ordered": ("kind: ordered\nlabels: [low, high]\n", "answers: {l: low, h: high}\n"),
    "pairwise": ("kind: pairwise\n", "answers: {A: first, B: second}\n"),
}


@pytest.mark.parametrize("kind", FORMS)
def test_yaml_and_jinja_mean_the_same(kind: str, tmp_path: Path):
    task, keys = FORMS[kind]
    prompt = "A: {{ trace.first }}\nB: {{ trace.second }} {{ trace.input }}"
    block = "".join(f"  {line}\n" for line in prompt.splitlines())
    answers = {"several": "both", "ordered": "h", "pairwise": "A"}[kind]
    script = f"[{{match: '', answer: {answers}}}]"
    folder = project(
        tmp_path,
        "t",
        {
            "task.yaml": f"task: t\n{task}",
            "one.yaml": f"prompt: |\n{block}{keys}decode: json\n",
            "two.jinja": f"---\n{keys}decode: json\n---\n{prompt}\n",
        },
        script,
    )
    with open_workspace(folder) as workspace:
        (loaded,) = workspace.tasks
        one, two = loaded.prompts
        assert one.rule_hash == two.rule_hash
        workspace.store.add_traces([Trace("x", START, input="i", outputs=("o", "p"))])
        vote(workspace)
        said = {rule.rule: (cast.status, cast.label) for rule, cast in workspace.store.votes("t")}
        assert said["one"] == said["two"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: several\nlabels: [a, none]\n", "none is called 'none'"),
        ("kind: several\nlabels: ['a, b', c]\n", "holds a comma"),
        ("kind: pairwise\nlabels: [a, b, c, d]\n", "at most a tie"),
        ("kind: sorted\nlabels: [a, b]\n", "'ordered'"),
    ],
)
def test_a_faulty_kind_is_told(text: str, message: str, tmp_path: Path):
    folder = project(tmp_path, "t", {"task.yaml": f"task: t\n{text}"})
    with pytest.raises(InputError, match=message), open_workspace(folder):
        pass


def test_a_pairwise_prompt_must_show_both(tmp_path: Path):
    rules = {
        "task.yaml": "task: t\nkind: pairwise\n",
        "a.yaml": 'prompt: "{{ trace.first }}"\nexamples: [{input: x, vote: first}]\n',
        "b.yaml": 'prompt: "{{ trace.transcript }}"\nanswers: {x: [first, second], y: second}\n',
    }
    with pytest.raises(InputError) as refused, open_workspace(project(tmp_path, "t", rules)):
        pass
    told = "\n".join(map(str, refused.value.faults))
    assert "trace.second" in told
    assert "outputs: [first, second]" in told
    assert "kind `several`" in told
