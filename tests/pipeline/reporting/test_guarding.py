"""The guards' figures on a real store, and the section of the report that shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import orjson
import pytest

from promptlabel.flywheel.guards import GuardFigures
from promptlabel.flywheel.report import _environment
from promptlabel.pipeline.exporting.export import export
from promptlabel.pipeline.reporting.guarding import Seen, guard_figures
from promptlabel.records import Gold, RegisteredRule, Trace, Vote, digest

SIGNAL = RegisteredRule("tone", "rated", "signal", "code", digest("rated"), "")


@dataclass
class Shown:
    guards: GuardFigures
    task: str = "tone"


@pytest.fixture
def guarded(tone: Any) -> Any:
    """Fitted, exported twice, a third audited at random; a signal that speaks of good ones three times as often."""
    store, names = tone.workspace.store, list(tone.truth)
    tone.fit_and_queue("em")
    export(tone.workspace, "training", tone.root / "exports" / "one.jsonl")
    export(tone.workspace, "training", tone.root / "exports" / "two.jsonl")
    store.register_rules("tone", [*store.registered_rules("tone"), SIGNAL])
    rng = np.random.default_rng(3)
    speaks = [rng.random() < (0.5 if tone.truth[name] == "good" else 0.15) for name in names]
    store.add_votes(
        [
            Vote(digest(name), name, "tone", SIGNAL.rule_hash, "", "vote", tone.truth[name], 1.0)
            for name, spoke in zip(names, speaks, strict=True) if spoke
        ]
    )  # fmt: skip
    at = store.posteriors("tone").fitted_at
    drawn = [name for name in names if rng.random() < 1 / 3]
    store.add_gold([Gold(name, "tone", tone.truth[name], "bob", at, lane="audit") for name in drawn])
    return tone


def figures_of(project) -> GuardFigures:
    store = project.workspace.store
    return guard_figures(project.workspace, project.task, list(map(Seen.of, store.traces())))


def shown(figures: GuardFigures) -> str:
    environment = _environment()
    template = (
        '{% import "charts.html.jinja" as chart with context %}{% include "sections/guards.html.jinja" %}'
    )
    return environment.from_string(template).render(task=Shown(figures), report=None)


def test_every_figure_is_there(guarded: Any) -> None:
    figures = figures_of(guarded)
    assert [one.export.partition("@")[0] for one in figures.exports] == [
        "exports/one.jsonl",
        "exports/two.jsonl",
    ]
    (feedback,) = figures.feedback
    truth = sum(label == feedback.label for label in guarded.truth.values()) / len(guarded.truth)
    assert (feedback.rule, feedback.label) == ("rated", "good")
    assert truth in feedback.figures.honest
    assert truth not in feedback.figures.naive
    assert feedback.figures.warning
    assert {cell.category for cell in figures.amplification.cells} == {"chat", "code"}
    assert not figures.is_empty
    assert orjson.loads(orjson.dumps(figures))["exports"][0]["rows"] > 0


def test_the_section_shows_them(guarded: Any) -> None:
    page = shown(figures_of(guarded))
    for part in (
        "exports/one.jsonl@",
        "rated: good",
        "only the audited figure is honest",
        "drift from what people say",
    ):
        assert part in page


def test_users_who_ask_again_are_counted(guarded: Any) -> None:
    store = guarded.workspace.store
    at = store.posteriors("tone").fitted_at
    users = ["eva"] * 6 + ["max", "ida", "leo"]
    store.add_traces(
        Trace(f"u{i}", at + timedelta(minutes=i), input=f"x{i}", output="ok", user_id=user)
        for i, user in enumerate(users)
    )
    store.add_signals([("u0", {"rephrased_turns": 1.0})])
    figures = figures_of(guarded)
    assert figures.persistence.users == 0.25
    assert figures.persistence.traces.estimate == pytest.approx(6 / 9)
    assert "Users who ask again are 25.0 % of 4 users" in shown(figures)


def test_of_an_empty_project_it_says_that_nothing_can_be_told(tone: Any) -> None:
    figures = figures_of(tone)
    assert figures.is_empty
    assert "too little audited, to tell" in shown(figures)
