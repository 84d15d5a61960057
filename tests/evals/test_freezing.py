"""What may enter a frozen version, what may not and why, and that a freeze is a pure function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from promptlabel.evals.duplicates import Match
from promptlabel.evals.freezing import (
    DISPUTED,
    EARLY,
    FULL,
    NEAR_TEXT,
    NO_TRACE,
    NOT_BLIND,
    OUTVOTED,
    RETIRED_STALE,
    STALE,
    EvalTask,
    Frozen,
    Policy,
    freeze_version,
    next_version,
)
from promptlabel.evals.versions import EvalVersion, cases_bytes, content_hash, manifest_bytes
from promptlabel.records import RegisteredRule, Trace
from promptlabel.review.adjudication import Decision

NOW = datetime(2026, 11, 23, tzinfo=UTC)
RULE = RegisteredRule("tone", "thanks", "heuristic", "code", "hash", "")
TASK = EvalTask("tone", ("good", "bad"), rules=(RULE,))


def trace(name: str, text: str | None = None, days: int = 0) -> Trace:
    return Trace(name, NOW - timedelta(days=days), input=text or f"text of {name}", category="chat")


def decision(name: str, label: str = "good", *, blind: bool = True, hours: int = 0) -> Decision:
    return Decision(name, label, ("bob", "ann"), blind, NOW + timedelta(hours=hours), "audit", 0.01)


def froze(
    decisions: Sequence[Decision],
    traces: Sequence[Trace],
    earlier: Sequence[EvalVersion] = (),
    task: EvalTask = TASK,
    now: datetime = NOW,
) -> Frozen:
    return freeze_version(task, decisions, {one.trace_id: one for one in traces}, earlier, now)


def version_of(frozen: Frozen) -> EvalVersion:
    assert frozen.version is not None
    return frozen.version


def test_a_blind_decision_becomes_a_case_with_its_provenance() -> None:
    (case,) = version_of(froze([decision("a")], [trace("a")])).cases
    assert (case.trace.trace_id, case.label, case.since, case.as_of) == ("a", "good", "2026.11.1", NOW)
    assert (case.reviewers, case.lane, case.probability) == (("ann", "bob"), "audit", 0.01)


def test_what_may_not_enter_is_listed_with_its_reason() -> None:
    frozen = froze(
        [decision("seen", blind=False), decision("odd", "ugly"), decision("gone"), decision("a")],
        [trace("seen"), trace("odd"), trace("a")],
    )
    assert version_of(frozen).trace_ids == {"a"}
    assert {one.trace_id: one.reason for one in frozen.refused} == {
        "seen": NOT_BLIND,
        "odd": "its label 'ugly' is not one of the task's",
        "gone": NO_TRACE,
    }


def test_only_traces_later_than_the_holdout_enter() -> None:
    task = replace(TASK, policy=Policy(holdout_after=NOW - timedelta(days=10)))
    frozen = froze(
        [decision("old"), decision("new")], [trace("old", days=20), trace("new", days=2)], task=task
    )
    assert version_of(frozen).trace_ids == {"new"}
    assert [(one.trace_id, one.reason) for one in frozen.refused] == [("old", EARLY)]


def test_texts_of_examples_and_of_earlier_cases_are_refused_with_the_pair() -> None:
    task = replace(TASK, examples=((Trace("", input="Shown  text"), "example 1 of rule greets"),))
    first = froze([decision("a")], [trace("a")], task=task)
    second = froze(
        [decision("a"), decision("b"), decision("c"), decision("d"), decision("e", hours=1)],
        [trace("a"), trace("b", "TEXT of a"), trace("c", "shown text"), trace("d"), trace("e", "text of D")],
        [version_of(first)],
        task,
    )
    assert version_of(second).trace_ids == {"a", "d"}
    assert {one.trace_id: one.match for one in second.refused} == {
        "b": "case a of version 2026.11.1",
        "c": "example 1 of rule greets",
        "e": "trace d, decided earlier",
    }


def test_a_version_holds_its_parents_cases_word_for_word() -> None:
    first = version_of(froze([decision("b")], [trace("b")]))
    second = version_of(froze([decision("a", "bad")], [trace("a")], [first]))
    assert [case.trace.trace_id for case in second.cases] == ["a", "b"]
    assert second.cases[1] == first.cases[0]
    assert second.cases[0].since == second.version == "2026.11.2"
    assert second.manifest["parent"] == first.version
    assert second.manifest["parent_content"] == first.manifest["content"]
    assert second.manifest["fresh"] == 1


def test_a_corrected_label_enters_anew() -> None:
    first = version_of(froze([decision("a"), decision("b")], [trace("a"), trace("b")]))
    second = version_of(froze([decision("a", "bad"), decision("b")], [trace("a"), trace("b")], [first]))
    assert [(case.label, case.since) for case in second.cases] == [
        ("bad", "2026.11.2"),
        ("good", "2026.11.1"),
    ]


def test_a_case_that_became_an_example_leaves() -> None:
    first = version_of(froze([decision("a"), decision("b")], [trace("a"), trace("b")]))
    task = replace(TASK, examples=((trace("x", "text of a"), "example 2 of rule new"),))
    second = froze([decision("a"), decision("b")], [trace("a"), trace("b")], [first], task)
    assert version_of(second).trace_ids == {"b"}
    assert second.refused[0].match == "example 2 of rule new"
    third = froze([decision("a"), decision("b")], [trace("a"), trace("b")], [first, version_of(second)], task)
    assert not third.changed


def test_nothing_new_makes_no_version() -> None:
    first = froze([decision("a")], [trace("a")])
    again = froze(
        [decision("a"), decision("seen", blind=False)], [trace("a"), trace("seen")], [version_of(first)]
    )
    assert not again.changed
    assert again.version is version_of(first)
    assert froze([], []).version is None


def test_the_manifest_counts_what_the_cases_hold() -> None:
    frozen = froze([decision("a"), decision("b", "bad", hours=2)], [trace("a", days=40), trace("b")])
    version = version_of(frozen)
    manifest = version.manifest
    assert manifest["counts"] == {
        "label": {"bad": 1, "good": 1},
        "category": {"chat": 2},
        "month": {"2026-10": 1, "2026-11": 1},
        "lane": {"audit": 2},
        "hard": {},
        "reviewer": {"ann": 2, "bob": 2},
    }
    assert manifest["content"] == content_hash(cases_bytes(version.cases))
    assert manifest["as_of"] == (NOW + timedelta(hours=2)).isoformat()
    assert manifest["rules"] == [
        {
            "task": "tone",
            "rule": "thanks",
            "kind": "heuristic",
            "model": "code",
            "rule_hash": "hash",
            "model_hash": "",
        }
    ]


@given(st.permutations(list("abcdef")), st.sets(st.sampled_from("abcdef"), min_size=1))
def test_the_same_store_gives_the_same_bytes_whatever_its_order(order: list[str], decided: set[str]) -> None:
    decisions = [decision(name) for name in order if name in decided]
    shuffled = version_of(froze(decisions, [trace(name) for name in order]))
    plain = version_of(
        froze(sorted(decisions, key=lambda one: one.trace_id), [trace(name) for name in "abcdef"])
    )
    assert cases_bytes(shuffled.cases) == cases_bytes(plain.cases)
    assert manifest_bytes(shuffled.manifest) == manifest_bytes(plain.manifest)


def test_versions_are_named_by_month_and_never_go_back() -> None:
    assert next_version([], NOW) == "2026.11.1"
    assert next_version(["2026.11.9", "2026.11.10"], NOW) == "2026.11.11"
    assert next_version(["2026.10.4"], NOW) == "2026.11.1"
    assert next_version(["2026.12.2"], NOW) == "2026.12.3"


LONG = "I have been waiting for my parcel since Monday and nobody answers the phone"


def test_near_duplicates_are_refused_with_both_texts() -> None:
    frozen = froze([decision("a"), decision("b", hours=1)], [trace("a", LONG), trace("b", LONG + ", really")])
    assert version_of(frozen).trace_ids == {"a"}
    (refused,) = frozen.refused
    assert (refused.reason, refused.match) == (NEAR_TEXT, "trace a, decided earlier")
    assert refused.similarity is not None
    assert 0.6 <= refused.similarity < 1
    assert (refused.text, refused.match_text) == ((LONG + ", really").casefold(), LONG.casefold())


def test_what_was_trained_on_is_refused() -> None:
    repeated = Match("row a of training.jsonl", 1.0, "text of a", "text of a")
    frozen = froze(
        [decision("a"), decision("b")], [trace("a"), trace("b")], task=replace(TASK, trained={"a": repeated})
    )
    assert version_of(frozen).trace_ids == {"b"}
    assert frozen.refused[0].match == "row a of training.jsonl"


def test_a_quota_leaves_out_by_lot_and_weights_say_so() -> None:
    task = replace(TASK, policy=Policy(most=2))
    names = [f"t{i}" for i in range(6)]
    first = froze([decision(name) for name in names], [trace(name) for name in names], task=task)
    assert len(version_of(first).cases) == 2
    assert {one.reason for one in first.refused} == {FULL}
    assert {case.weight for case in version_of(first).cases} == {1 / (0.01 * 2 / 6)}
    again = froze(
        [decision(name) for name in names], [trace(name) for name in names], [version_of(first)], task
    )
    assert not again.changed


def test_room_is_counted_by_category_and_month() -> None:
    task = replace(TASK, policy=Policy(most=1))
    traces = [trace("a"), trace("b", days=40), replace(trace("c"), category="code")]
    assert version_of(froze([decision(one.trace_id) for one in traces], traces, task=task)).trace_ids == {
        "a",
        "b",
        "c",
    }


def test_stale_cases_leave_and_do_not_come_back() -> None:
    task = replace(TASK, policy=Policy(retire_after=timedelta(days=30)))
    first = froze([decision("old")], [trace("old", days=60)])
    second = froze(
        [decision("old"), decision("new")], [trace("old", days=60), trace("new")], [version_of(first)], task
    )
    assert version_of(second).trace_ids == {"new"}
    assert {one.reason for one in second.refused} == {RETIRED_STALE, STALE}
    third = froze(
        [decision("old"), decision("new")],
        [trace("old", days=60), trace("new")],
        [version_of(first), version_of(second)],
        task,
    )
    assert not third.changed


def test_hard_cases_say_why() -> None:
    settled = replace(decision("b"), reviewers=("ann", "bob", "cy"), adjudicator="cy")
    frozen = froze(
        [replace(decision("a"), lane="uncertain"), settled, decision("c")],
        [trace("a"), trace("b"), trace("c")],
        task=replace(TASK, outvoted=frozenset({"b"})),
    )
    assert {case.trace.trace_id: case.hard for case in version_of(frozen).cases} == {
        "a": ("uncertain",),
        "b": (DISPUTED, OUTVOTED),
        "c": (),
    }
    assert version_of(frozen).manifest["counts"]["hard"] == {"disputed": 1, "outvoted": 1, "uncertain": 1}  # type: ignore[index,call-overload]


def test_the_manifest_says_who_labelled_and_how_cases_were_drawn() -> None:
    manifest = version_of(froze([decision("a"), decision("b")], [trace("a"), trace("b")])).manifest
    assert manifest["labelled_by"] == {"people": True, "blind": 2, "reviewers": 2, "by_several": 2}
    assert manifest["sampled"] == {"audit": {"cases": 2, "least": 0.01, "most": 0.01}}


def test_a_parent_with_forgotten_cases_leads_to_a_version_without_them_that_says_so() -> None:
    first = version_of(froze([decision("a"), decision("b")], [trace("a"), trace("b")]))
    known = first.without({"b"})
    made = froze([decision("a")], [trace("a")], [known])
    assert made.changed
    second = version_of(made)
    assert second.trace_ids == {"a"}
    assert second.manifest["forgotten"] == 1
    assert not froze([decision("a")], [trace("a")], [known, second]).changed
