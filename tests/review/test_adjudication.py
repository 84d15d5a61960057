from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from promptlabel.records import Gold, ReviewAction, ReviewEvent
from promptlabel.review.adjudication import (
    ADJUDICATOR,
    PROBE,
    Conflict,
    Decision,
    blind_labels,
    conflicts,
    decide,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def event(number: int, action: ReviewAction, label: str | None = None, **more: object) -> ReviewEvent:
    values: dict[str, object] = {
        "event_id": f"e{number}",
        "trace_id": "a",
        "task": "task",
        "reviewer": "anna",
        "action": action,
        "at": NOON + timedelta(minutes=number),
        "label": label,
        "lane": "audit",
        "probability": 0.01,
    }
    return ReviewEvent(**{**values, **more})  # type: ignore[arg-type]


def labels_of(*events: ReviewEvent) -> list[str]:
    return [decision.label for decision in decide(events)]


def test_one_blind_label_is_gold_with_its_provenance() -> None:
    decision = Decision("a", "good", ("anna",), True, NOON, "audit", 0.01)
    assert decide([event(0, "label", "good")]) == (decision,)


def test_two_reviewers_who_agree_decide_when_the_later_one_did() -> None:
    (decision,) = decide([event(0, "label", "good"), event(1, "label", "good", reviewer="ben")])
    assert decision.reviewers == ("anna", "ben")
    assert decision.at == NOON + timedelta(minutes=1)


def test_reviewers_who_differ_give_no_gold_but_a_conflict() -> None:
    events = [event(0, "label", "good"), event(1, "label", "bad", reviewer="ben")]
    assert decide(events) == ()
    assert conflicts(events) == (Conflict("a", {"anna": "good", "ben": "bad"}),)


def test_the_adjudicator_settles_a_conflict() -> None:
    events = [
        event(0, "label", "good"),
        event(1, "label", "bad", reviewer="ben"),
        event(2, "label", "bad", reviewer=ADJUDICATOR),
    ]
    (decision,) = decide(events)
    assert decision.label == "bad"
    assert decision.reviewers == (ADJUDICATOR, "anna", "ben")
    assert conflicts(events) == ()


def test_an_adjudication_settles_whoever_gives_it_and_rests_on_their_word_alone() -> None:
    events = [
        event(0, "label", "good"),
        event(1, "change", "bad", blind=False),
        event(2, "label", "good", reviewer="ben"),
        event(3, "adjudicate", "good", reviewer="cy"),
    ]
    (decision,) = decide(events)
    assert (decision.label, decision.blind, decision.adjudicator) == ("good", True, "cy")
    assert decide([*events, event(4, "undo", undoes="e3", reviewer="cy")]) == ()
    assert {one.reviewer for one in blind_labels(events)} == {"ben"}


def test_decisions_on_probes_and_what_the_server_showed_are_no_opinions() -> None:
    events = [
        event(0, "label", "good"),
        event(1, "label", "bad", reviewer="ben", lane=PROBE, probability=None),
        event(2, "suggest", "bad", reviewer="anna", lane=PROBE, blind=False),
        event(3, "told", reviewer="anna", lane=PROBE, blind=False, undoes="e2"),
    ]
    (decision,) = decide(events)
    assert (decision.label, decision.reviewers, decision.blind) == ("good", ("anna",), True)


def test_a_change_wins_and_is_not_blind_even_where_it_claims_to_be() -> None:
    (decision,) = decide([event(0, "label", "good"), event(1, "change", "bad", blind=True)])
    assert (decision.label, decision.blind) == ("bad", False)


def test_an_undone_change_leaves_the_blind_label() -> None:
    events = [
        event(0, "label", "good"),
        event(1, "change", "bad", blind=False),
        event(2, "undo", undoes="e1"),
    ]
    (decision,) = decide(events)
    assert (decision.label, decision.blind) == ("good", True)


def test_undo_takes_back_the_named_event_or_the_last() -> None:
    assert labels_of(event(0, "label", "good"), event(1, "undo")) == []
    assert labels_of(event(0, "label", "good"), event(1, "label", "bad"), event(2, "undo", undoes="e0")) == [
        "bad"
    ]
    assert labels_of(event(0, "label", "good"), event(1, "undo", undoes="another")) == ["good"]


def test_undo_reaches_only_the_reviewers_own_events() -> None:
    assert labels_of(event(0, "label", "good"), event(1, "undo", undoes="e0", reviewer="ben")) == ["good"]


def test_skips_and_flags_are_never_gold() -> None:
    assert labels_of(event(0, "skip"), event(1, "flag", trace_id="b")) == []
    assert labels_of(event(0, "label", "good"), event(1, "flag")) == []


def test_ingested_gold_counts_like_a_label_and_the_later_of_one_reviewer_wins() -> None:
    older = Gold("a", "task", "bad", "anna", NOON - timedelta(days=1))
    newer = Gold("a", "task", "bad", "anna", NOON + timedelta(days=1), blind=False)
    (decision,) = decide([event(0, "label", "good")], [older])
    assert decision.label == "good"
    (decision,) = decide([event(0, "label", "good")], [newer])
    assert (decision.label, decision.blind, decision.lane) == ("bad", False, None)
    (decision,) = decide([], [older])
    assert (decision.label, decision.lane, decision.probability) == ("bad", None, None)


def test_the_lane_is_kept_when_ingested_gold_agrees() -> None:
    (decision,) = decide([event(0, "label", "bad")], [Gold("a", "task", "bad", "ben", NOON)])
    assert (decision.lane, decision.probability) == ("audit", 0.01)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["anna", "ben"]), st.sampled_from(["good", "bad"]))
    )
)
def test_every_labelled_trace_is_either_decided_or_in_conflict(
    given_labels: list[tuple[str, str, str]],
) -> None:
    events = [
        event(number, "label", label, trace_id=trace, reviewer=reviewer)
        for number, (trace, reviewer, label) in enumerate(given_labels)
    ]
    decided = {decision.trace_id for decision in decide(events)}
    open_ones = {conflict.trace_id for conflict in conflicts(events)}
    assert decided | open_ones == {trace for trace, _, _ in given_labels}
    assert not decided & open_ones
