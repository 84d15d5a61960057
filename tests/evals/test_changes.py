"""What changed between two versions is said in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from promptlabel.evals.changes import describe
from promptlabel.evals.versions import Case, EvalVersion
from promptlabel.records import Trace

NOW = datetime(2026, 11, 23, tzinfo=UTC)
RULE = {"rule": "thanks", "model": "code", "rule_hash": "a", "model_hash": ""}


def case(name: str, label: str = "good", days: int = 0, **more: object) -> Case:
    trace = Trace(name, NOW - timedelta(days=days), input=name, category="chat")
    return replace(Case(trace, "tone", label, "2026.11.1", NOW, ("ann",)), **more)  # type: ignore[arg-type]


def version(name: str, *cases: Case, rules: tuple[dict[str, str], ...] = (RULE,)) -> EvalVersion:
    return EvalVersion("tone", name, cases, {"rules": rules})


def test_the_first_version_is_all_new() -> None:
    assert describe(version("2026.11.1", case("a"), case("b", "bad")), None) == (
        "2026.11.1 is the first version: 2 cases",
        "entered, by label: bad 1, good 1",
        "entered, by category: chat 2",
        "entered, by month: 2026-11 2",
    )


def test_what_entered_left_and_was_relabelled_is_said() -> None:
    before = version("2026.11.1", case("a", days=20), case("b", days=20), case("c", days=20))
    after = version(
        "2026.11.2",
        case("a", "bad", days=20),
        case("c", days=20),
        case("d", hard=("outvoted",)),
        case("e"),
        rules=({**RULE, "rule_hash": "b"}, {**RULE, "rule": "shouts"}),
    )
    assert describe(after, before) == (
        "2026.11.2 against 2026.11.1: 3 cases became 4; 2 entered, 1 left, 1 relabelled",
        "entered, by label: good 2",
        "entered, by category: chat 2",
        "entered, by month: 2026-11 2",
        "entered, hard: 1 (outvoted 1)",
        "left: b",
        "relabelled: a good -> bad",
        "share of bad: 0.0% -> 25.0%",
        "share of good: 100.0% -> 75.0%",
        "median day of the traces: 2026-11-03 -> 2026-11-13",
        "rules changed: thanks (code)",
        "rules new: shouts (code)",
    )


def test_a_long_list_is_counted() -> None:
    before = version("2026.11.1", *(case(f"t{i:02}") for i in range(15)))
    assert "left: t00, t01, t02, t03, t04, t05, t06, t07, t08, t09 and 5 more" in describe(
        version("2026.11.2"), before
    )
