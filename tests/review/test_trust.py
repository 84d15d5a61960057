from __future__ import annotations

from datetime import UTC, datetime

from promptlabel.records import Gold, ReviewAction, ReviewEvent
from promptlabel.review.adjudication import PROBE, decide
from promptlabel.review.trust import reviewer_counts

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def event(
    event_id: str, trace: str, action: ReviewAction, label: str | None = None, **more: object
) -> ReviewEvent:
    values = {"reviewer": "anna", "at": NOON, "lane": "audit", **more}
    return ReviewEvent(event_id, trace, "task", action=action, label=label, **values)  # type: ignore[arg-type]


GOLD = [Gold(name, "task", "good", "expert", NOON) for name in ("p1", "p2", "p3")]
EVENTS = [
    event("1", "a", "label", "good", seconds=1.0),
    event("2", "b", "label", "bad", seconds=5.0),
    event("3", "b", "change", "good", blind=False),
    event("4", "c", "skip"),
    event("5", "p1", "label", "good", lane=PROBE, seconds=9.0),
    event("5/s", "p1", "suggest", "bad", lane=PROBE, blind=False),
    event("6", "p1", "change", "bad", lane=PROBE, blind=False),
    event("7", "p2", "label", "bad", lane=PROBE),
    event("8", "p2", "undo", lane=PROBE, undoes="7"),
    event("9", "p2", "label", "good", lane=PROBE, blind=False),
    event("10", "p3", "label", "good", lane=PROBE),
    event("10/s", "p3", "suggest", "bad", lane=PROBE, blind=False),
    event("11", "a", "label", "bad", reviewer="ben"),
    event("12", "a", "adjudicate", "bad", reviewer="cy"),
]


def test_each_reviewers_events_are_counted() -> None:
    anna, ben, cy = reviewer_counts(EVENTS, decide(EVENTS, GOLD))
    assert (anna.reviewer, anna.labelled, anna.skipped, anna.changed) == ("anna", 6, 1, 2)
    assert (anna.seconds, anna.timed, anna.fast) == (5.0, 3, 1)
    assert (ben.labelled, ben.seconds, cy.labelled) == (1, None, 0)


def test_what_was_said_first_and_blind_of_a_probe_counts_whatever_was_done_after_the_votes_were_seen() -> (
    None
):
    anna, *_ = reviewer_counts(EVENTS, decide(EVENTS, GOLD))
    assert (anna.probes, anna.probes_right) == (3, 2)


def test_a_wrong_suggestion_is_followed_by_changing_to_it() -> None:
    anna, *_ = reviewer_counts(EVENTS, decide(EVENTS, GOLD))
    assert (anna.suggested, anna.followed) == (2, 1)


def test_confusion_is_against_known_labels_and_adjudications_of_others_alone() -> None:
    anna, ben, cy = reviewer_counts(EVENTS, decide(EVENTS, GOLD))
    assert anna.confusion == {"good": {"good": 2, "bad": 1}, "bad": {"good": 1}}
    assert ben.confusion == {"bad": {"bad": 1}}
    assert cy.confusion == {}
