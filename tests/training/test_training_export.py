"""Training rows: soft labels, weights and sources, and nothing that may not be trained on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from promptlabel.evals.freezing import Refusal
from promptlabel.evals.versions import Case, EvalVersion
from promptlabel.records import Message, Posterior, Trace
from promptlabel.review.adjudication import Decision
from promptlabel.training.export import Labels, TrainingRow, training_rows
from promptlabel.training.guard import FROZEN, HELD_BACK, IMMATURE, LED, NO_VOTE, RECYCLED, EvalOverlap

NOW = datetime(2026, 11, 23, tzinfo=UTC)
THEN = NOW - timedelta(days=3)


def posterior(name: str) -> Posterior:
    return Posterior(name, "tone", {"good": 0.7, "bad": 0.3})


def decision(name: str, *, blind: bool = True) -> Decision:
    return Decision(name, "bad", ("ann",), blind, THEN, None, None)


TRACES = [
    Trace(name, NOW, input=f"text {name}", output="ok")
    for name in ("soft", "gold", "led", "silent", "frozen")
]
LABELS = Labels(
    task="tone",
    names=("good", "bad"),
    posteriors={trace.trace_id: posterior(trace.trace_id) for trace in TRACES},
    fitted_at=NOW,
    decisions={"gold": decision("gold"), "led": decision("led", blind=False), "frozen": decision("frozen")},
    voters=dict.fromkeys(("soft", "gold", "led", "frozen"), ("thanks/code",)),
)
OVERLAP = EvalOverlap.of(
    [EvalVersion("tone", "2026.11.1", (Case(TRACES[4], "tone", "bad", "2026.11.1", NOW, ("ann",)),), {})]
)


def rows(holdout: datetime | None = None) -> dict[str, TrainingRow | Refusal]:
    found = list(training_rows(TRACES, LABELS, OVERLAP, holdout))
    return {item.trace.trace_id if isinstance(item, TrainingRow) else item.trace_id: item for item in found}


def test_a_posterior_is_a_soft_label_as_of_its_fit() -> None:
    row = rows()["soft"]
    assert isinstance(row, TrainingRow)
    assert row.record() == {
        "trace_id": "soft",
        "task": "tone",
        "label": "good",
        "probs": {"good": 0.7, "bad": 0.3},
        "weight": 0.7,
        "source": "labelmodel",
        "as_of": NOW,
        "provenance": ["rule:thanks/code"],
        "predicted_at": None,
        "features": {},
        "propensity": None,
        "input": "text soft",
        "output": "ok",
    }


def test_a_blind_decision_is_gold_as_of_the_decision() -> None:
    row = rows()["gold"]
    assert isinstance(row, TrainingRow)
    assert (row.label, row.probs, row.weight, row.source, row.as_of) == (
        "bad",
        {"good": 0.0, "bad": 1.0},
        1.0,
        "gold",
        THEN,
    )
    assert row.provenance == ("reviewer:ann",)


def test_a_decision_made_after_seeing_votes_is_no_gold() -> None:
    row = rows()["led"]
    assert isinstance(row, TrainingRow)
    assert (row.label, row.source) == ("good", "labelmodel")


@pytest.mark.parametrize(("name", "reason"), [("silent", NO_VOTE), ("frozen", FROZEN)])
def test_what_has_no_evidence_or_is_frozen_is_refused(name: str, reason: str) -> None:
    refused = rows()[name]
    assert isinstance(refused, Refusal)
    assert refused.reason == reason


def test_gold_that_is_held_back_never_enters() -> None:
    assert {item.reason for item in rows(THEN).values() if isinstance(item, Refusal)} == {HELD_BACK}


def test_messages_are_kept() -> None:
    trace = Trace("m", NOW, messages=(Message("user", "hi"),))
    (row,) = training_rows(
        [trace],
        Labels("tone", ("good", "bad"), {"m": posterior("m")}, NOW, {}, {"m": ("thanks/code",)}),
        OVERLAP,
        None,
    )
    assert isinstance(row, TrainingRow)
    assert row.record()["messages"] == [{"role": "user", "content": "hi"}]


CHAIN = ("vote of student", "the model being trained")


@pytest.mark.parametrize(
    ("decided", "reason", "chain"),
    [
        ({}, RECYCLED, CHAIN),
        ({"own": decision("own", blind=False)}, LED, ("decided by ann after seeing votes", *CHAIN)),
    ],
)
def test_a_label_of_the_model_itself_is_refused_with_its_chain(
    decided: dict[str, Decision], reason: str, chain: tuple[str, ...]
) -> None:
    labels = Labels(
        "tone", ("good", "bad"), {"own": posterior("own")}, NOW, decided, {}, recycled={"own": CHAIN}
    )
    (refused,) = training_rows([Trace("own", NOW, input="x")], labels, OVERLAP, None)
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.chain) == (reason, chain)


def test_what_people_decided_blind_is_gold_whatever_the_model_said() -> None:
    labels = Labels("tone", ("good", "bad"), {}, None, {"own": decision("own")}, {}, recycled={"own": CHAIN})
    (row,) = training_rows([Trace("own", NOW, input="x")], labels, OVERLAP, None)
    assert isinstance(row, TrainingRow)
    assert row.is_human


@pytest.mark.parametrize(
    ("hours", "voter", "kept"),
    [
        (None, "copied/code", True),
        (1, "copied/code", True),
        (3, "copied/code", False),
        (3, "asks/judge", True),
    ],
)
def test_labels_of_code_wait_until_outcomes_are_in(hours: int | None, voter: str, kept: bool) -> None:
    window = timedelta(hours=hours) if hours else None
    labels = Labels(
        "tone", ("good", "bad"), {"t": posterior("t")}, NOW, {}, {"t": (voter,)}, matures_after=window
    )
    (found,) = training_rows([Trace("t", NOW - timedelta(hours=2), input="x")], labels, OVERLAP, None)
    assert isinstance(found, TrainingRow) == kept
    assert kept or (isinstance(found, Refusal) and found.reason == IMMATURE)
