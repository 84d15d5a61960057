"""`score`, `gate` and `certify` on a real store: whoever labels is held against frozen gold, in pairs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import accuracy_score, precision_score, recall_score

from promptlabel.cli import commands
from promptlabel.errors import InputError, PromptlabelError
from promptlabel.pipeline.evaluating.certify import TOO_FEW, certify
from promptlabel.pipeline.evaluating.freeze import freeze
from promptlabel.pipeline.evaluating.gate import Floor, gate
from promptlabel.pipeline.evaluating.score import score
from promptlabel.pipeline.exporting.export import export
from promptlabel.pipeline.fitting.fit import fit
from promptlabel.records import Gold

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def frozen(tone):
    """A fit, and a version of a hundred cases."""
    fit(tone.workspace, tone.task, method="em")
    tone.bring_gold(list(tone.truth)[:100])
    freeze(tone.workspace, tone.task, now=NOW)
    return tone


def predictions(tone, wrong: int, name: str = "candidate.jsonl") -> str:
    """A file that is wrong on the first cases."""
    other = {"good": "bad", "bad": "good"}
    labels = [
        (trace, other[label] if place < wrong else label)
        for place, (trace, label) in enumerate(list(tone.truth.items())[:100])
    ]
    path = tone.root / name
    path.write_text(
        "".join(json.dumps({"trace_id": trace, "label": label}) + "\n" for trace, label in labels)
    )
    return str(path)


def test_all_that_need_no_call_are_scored_best_first(frozen) -> None:
    found = score(frozen.workspace, frozen.task)
    assert {one.name for one in found.labelers} == {"posterior", "majority", "thanks", "shouts", "swears"}
    accuracies = [one.score.accuracy.estimate for one in found.labelers]
    assert accuracies == sorted(accuracies, reverse=True)
    assert (found.version, found.cases, found.baseline) == ("2026.11.1", 100, found.labelers[0].name)
    assert {one.second for one in found.differences} == {found.baseline}


def test_figures_are_scikit_learns(frozen) -> None:
    (one,) = score(frozen.workspace, frozen.task, ["swears"]).labelers
    table = frozen.workspace.store.vote_table("tone", frozen.task.labels)
    column = [rule.rule for rule in table.rules].index("swears")
    names = list(frozen.truth)[:100]
    votes = [frozen.task.labels[table.votes[table.trace_ids.index(name), column]] for name in names]
    gold = [frozen.truth[name] for name in names]
    assert one.score.accuracy.estimate == pytest.approx(accuracy_score(gold, votes))
    assert one.recall["bad"].estimate == pytest.approx(recall_score(gold, votes, pos_label="bad"))
    assert one.precision["bad"].estimate == pytest.approx(precision_score(gold, votes, pos_label="bad"))
    assert one.gap is not None
    assert {category.name for category in one.gap.categories} == {"chat", "code"}


def test_a_file_is_compared_on_the_same_cases(frozen) -> None:
    better, worse = predictions(frozen, 5, "better.jsonl"), predictions(frozen, 25, "worse.jsonl")
    found = score(frozen.workspace, frozen.task, [better, worse])
    assert [one.name for one in found.labelers] == ["better.jsonl", "worse.jsonl"]
    (difference,) = found.differences
    assert difference.difference.estimate == pytest.approx(-0.2)
    assert difference.difference.high < 0


def test_what_an_export_holds_is_read_back_as_predictions(frozen) -> None:
    for kind in ("jsonl", "csv", "phoenix"):
        path = export(frozen.workspace, kind).path
        (one,) = score(frozen.workspace, frozen.task, [path]).labelers
        assert (one.score.accuracy.estimate, one.score.coverage) == (1.0, 1.0)


def test_a_configured_model_is_asked_and_paid_once(frozen) -> None:
    root = frozen.root
    frozen.workspace.store.close()
    (root / "replies.yaml").write_text("- answer: good\n")
    (root / "promptlabel.yaml").write_text("models: {kind: {provider: scripted, model: replies.yaml}}\n")
    results = [
        CliRunner().invoke(commands, ["score", "model:kind", "--project", str(root), "--json"]) for _ in "ab"
    ]
    (one,) = json.loads(results[0].stdout)["labelers"]
    good = np.mean([label == "good" for label in list(frozen.truth.values())[:100]])
    assert one["score"]["accuracy"]["estimate"] == pytest.approx(good)
    assert results[0].stdout == results[1].stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [("swear", "did you mean 'swears'"), ("model:x", "no model 'x'"), ("nothing.jsonl", "is no labeler")],
)
def test_an_unknown_labeler_is_refused(frozen, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        score(frozen.workspace, frozen.task, [name])


def test_unknown_versions_and_missing_fits_say_what_to_do(tone) -> None:
    with pytest.raises(InputError, match="promptlabel freeze"):
        score(tone.workspace, tone.task)
    tone.bring_gold(list(tone.truth)[:50])
    freeze(tone.workspace, tone.task, now=NOW)
    with pytest.raises(InputError, match=r"2026\.11\.9.*did you mean '2026\.11\.1'"):
        score(tone.workspace, tone.task, version="2026.11.9")
    with pytest.raises(PromptlabelError, match="promptlabel fit"):
        score(tone.workspace, tone.task, ["posterior"])


def test_the_gate_fails_beyond_noise_alone(frozen) -> None:
    path = predictions(frozen, 20)

    def passes(*floors: str) -> bool:
        return gate(frozen.workspace, frozen.task, path, [Floor.parse(one) for one in floors]).passed

    assert passes("0.75")
    assert passes("0.85")
    assert not passes("0.95")
    assert not passes("0.75", "recall:bad=0.99")
    assert passes("category:chat=0.7", "precision:good=0.6")


def test_the_gate_compares_with_another_labeler(frozen) -> None:
    worse, better = predictions(frozen, 25, "worse.jsonl"), predictions(frozen, 5, "better.jsonl")
    found = gate(frozen.workspace, frozen.task, worse, [], against=better)
    assert (found.passed, found.exit_code) == (False, 1)
    assert found.checks[0].reason.startswith("worse beyond noise than better.jsonl: -20.0 points")
    assert gate(frozen.workspace, frozen.task, better, [], against=worse).passed


@pytest.mark.parametrize(("least", "code"), [("0.7", 0), ("0.99", 1), ("high", 2)])
def test_the_gate_exits_as_continuous_integration_wants(frozen, least: str, code: int) -> None:
    path, root = predictions(frozen, 20), frozen.root
    frozen.workspace.store.close()
    arguments = ["gate", path, "--eval", "2026.11.1", "--min", least, "--project", str(root)]
    try:
        result = CliRunner().invoke(commands, arguments)
        found = (
            result.exit_code if result.exception is None or isinstance(result.exception, SystemExit) else 2
        )
    finally:
        Path(path).unlink()
    assert found == code


@pytest.mark.parametrize("text", ["", "x", "1.5", "recall:bad=", "accuracy=-1"])
def test_a_floor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="write a share"):
        Floor.parse(text)


def test_an_unknown_figure_is_refused(frozen) -> None:
    with pytest.raises(InputError, match="known: accuracy"):
        gate(frozen.workspace, frozen.task, "swears", [Floor.parse("recall:x=0.5")])
    with pytest.raises(InputError, match="nothing to check"):
        gate(frozen.workspace, frozen.task, "swears", [])


def test_certify_asks_for_several_reviewers(frozen) -> None:
    found = certify(frozen.workspace, frozen.task, ("swears",))
    assert (found.items, found.message) == (0, TOO_FEW)


def test_certify_tests_against_each_reviewer(frozen) -> None:
    rng = np.random.default_rng(0)
    other = {"good": "bad", "bad": "good"}
    gold = [
        Gold(name, "tone", label if rng.random() < 0.9 else other[label], reviewer, NOW)
        for name, label in list(frozen.truth.items())[:100]
        for reviewer in ("ann", "cas", "dan")
    ]
    frozen.workspace.store.add_gold(gold)
    found = certify(frozen.workspace, frozen.task, (predictions(frozen, 5), "shouts"))
    good, poor = found.verdicts["candidate.jsonl"], found.verdicts["shouts"]
    assert (found.items, good.passed, poor.passed) == (100, True, False)
    assert {one.reviewer for one in good.people} == {"ann", "bob", "cas", "dan"}
    assert any("says nothing of" in sentence for sentence in poor.assumptions)
