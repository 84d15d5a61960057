"""Votes beside gold and beside one another, of one label and of sets: silence about a label is never held against it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.label_sets import applying, set_name
from promptlabel.records import Vote
from promptlabel.votes.comparing import contradict, is_right, said_of, tallies

LABELS = ("refund", "shipping", "bug", "praise", "spam")
shares = st.dictionaries(st.sampled_from(LABELS), st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]))
sets = st.sets(st.sampled_from(LABELS)).map(lambda members: set_name(members, LABELS))


def vote_of(label: str | None, distribution: dict[str, float] | None = None, trace_id: str = "t") -> Vote:
    status = "abstain" if label is None else "vote"
    return Vote("k", trace_id, "topics", "r", "m", status, label, distribution=distribution)


def set_vote(said: dict[str, float], trace_id: str = "t") -> Vote:
    return vote_of(set_name(applying(said), LABELS), said, trace_id)


@pytest.mark.parametrize(
    ("said", "gold", "right"),
    [
        ({"refund": 1.0}, "refund, shipping", True),
        ({"refund": 1.0}, "shipping", False),
        ({"refund": 0.0}, "shipping", True),
        ({"refund": 1.0, "shipping": 0.0}, "refund, shipping", False),
        (dict.fromkeys(LABELS, 0.0), "none", True),
        ({"refund": 0.9, "bug": 0.5}, "refund, bug", True),
    ],
)
def test_a_rule_about_one_label_is_right_about_that_label(
    said: dict[str, float], gold: str, right: bool
) -> None:
    assert is_right(set_vote(said), gold, "several") is right


def test_without_a_vote_or_gold_nothing_is_right_or_wrong() -> None:
    assert is_right(vote_of(None), "refund", "several") is None
    assert is_right(set_vote({"bug": 1.0}), None, "several") is None
    assert is_right(vote_of("good"), "good", "one") is True
    assert is_right(vote_of("good"), "bad", "ordered") is False


def test_a_set_without_probabilities_says_that_its_labels_apply() -> None:
    assert said_of(vote_of("refund, bug")) == {"refund": True, "bug": True}


@given(shares, sets)
def test_right_is_wherever_no_label_spoken_of_differs(said: dict[str, float], gold: str) -> None:
    expected = all(
        (share > 0.5) == (label in gold.split(", ")) for label, share in said.items() if share != 0.5
    )
    assert is_right(set_vote(said), gold, "several") is expected


@given(shares, shares)
def test_votes_contradict_only_on_labels_that_both_speak_of(
    one: dict[str, float], other: dict[str, float]
) -> None:
    both = [label for label in one.keys() & other.keys() if 0.5 not in (one[label], other[label])]
    expected = any((one[label] > 0.5) != (other[label] > 0.5) for label in both)
    assert contradict(set_vote(one), set_vote(other), "several") is expected
    assert contradict(set_vote(other), set_vote(one), "several") is expected


def test_votes_of_one_label_contradict_where_they_differ() -> None:
    assert contradict(vote_of("good"), vote_of("bad"), "one")
    assert not contradict(vote_of("good"), vote_of("good"), "one")
    assert not contradict(vote_of(None), vote_of("good"), "one")


@given(st.lists(st.tuples(shares, sets), max_size=8))
def test_tallies_count_every_vote_once_for_each_label(pairs: list[tuple[dict[str, float], str]]) -> None:
    votes = [set_vote(said, f"t{place}") for place, (said, _) in enumerate(pairs)]
    gold = {f"t{place}": label for place, (_, label) in enumerate(pairs)}
    for one in tallies([*votes, set_vote({"bug": 1.0}, "no gold")], gold, LABELS):
        counted = (one.applies_right, one.applies_wrong, one.denied_right, one.denied_wrong, one.silent)
        assert sum(counted) == len(pairs)
        assert one.applies_right == sum(
            said.get(one.label, 0) > 0.5 and one.label in label.split(", ") for said, label in pairs
        )
