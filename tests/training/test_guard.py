"""What may never be trained on is refused, with the frozen case that it repeats; all else passes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from promptlabel.evals.freezing import Refusal
from promptlabel.evals.versions import Case, EvalVersion
from promptlabel.records import Trace
from promptlabel.training.guard import FROZEN, HELD_BACK, NEAR_TEXT, SAME_TEXT, EvalOverlap, guarded

NOW = datetime(2026, 11, 23, tzinfo=UTC)


TOLD = "They told me the parcel would be here on Monday and it is not"


def refusal(trace: Trace, overlap: EvalOverlap, holdout: datetime | None) -> Refusal | None:
    ((_, found),) = guarded([trace], overlap, holdout)
    return found


def version(name: str, *traces: Trace, task: str = "tone") -> EvalVersion:
    cases = tuple(Case(trace, task, "good", name, NOW, ("ann",)) for trace in traces)
    return EvalVersion(task, name, cases, {})


OVERLAP = EvalOverlap.of(
    [
        version("2026.10.1", Trace("a", input="Hello there")),
        version("2026.11.1", Trace("b", input="Bye"), Trace("c", input=TOLD), task="other"),
    ]
)


@pytest.mark.parametrize(
    ("trace", "reason", "match"),
    [
        (Trace("a", input="anything"), FROZEN, "case a of tone 2026.10.1"),
        (Trace("b", input="anything"), FROZEN, "case b of other 2026.11.1"),
        (Trace("x", input="HELLO  there"), SAME_TEXT, "case a of tone 2026.10.1"),
        (Trace("x", input=TOLD + "!"), NEAR_TEXT, "case c of other 2026.11.1"),
    ],
)
def test_frozen_cases_are_refused_by_id_and_by_text(trace: Trace, reason: str, match: str) -> None:
    found = refusal(trace, OVERLAP, None)
    assert found is not None
    assert (found.trace_id, found.reason, found.match) == (trace.trace_id, reason, match)


def test_traces_after_the_holdout_are_kept_for_judging() -> None:
    late = refusal(Trace("x", NOW + timedelta(1), input="new"), OVERLAP, NOW)
    assert late is not None
    assert late.reason == HELD_BACK
    assert refusal(Trace("x", NOW, input="new"), OVERLAP, NOW) is None


def test_nothing_else_is_refused() -> None:
    assert refusal(Trace("x", NOW, input="hello there, friend"), OVERLAP, None) is None
    assert refusal(Trace("a2"), EvalOverlap.of([]), None) is None
