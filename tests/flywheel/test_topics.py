"""Topics separate what is about different things, and tell which of them are new."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from promptlabel.flywheel.topics import topics_of
from promptlabel.records import Trace

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SUBJECTS = {
    "travel": ["flight", "hotel", "airport", "luggage", "ticket", "boarding"],
    "money": ["invoice", "refund", "payment", "card", "bank", "charge"],
    "health": ["doctor", "fever", "medicine", "clinic", "pain", "sleep"],
}


def about(subject: str, count: int, seed: int = 0) -> list[Trace]:
    rng = np.random.default_rng(seed)
    return [
        Trace(f"{subject}{seed}-{i}", NOW, input=" ".join(rng.choice(SUBJECTS[subject], 8)))
        for i in range(count)
    ]


def test_traces_about_one_thing_share_few_topics_and_others_have_none_of_them() -> None:
    travel, money = about("travel", 60), about("money", 60)
    topics = topics_of([*travel, *money])
    assert topics is not None
    assert not set(topics.of(travel)) & set(topics.of(money))
    assert all(set(name.split()[0:1]) & set(SUBJECTS["travel"]) for name in topics.of(travel))


def test_the_same_traces_give_the_same_topics_in_any_order() -> None:
    traces = [*about("travel", 40), *about("health", 40)]
    first, second = topics_of(traces), topics_of(traces[::-1])
    assert first is not None
    assert second is not None
    assert first.topic_of == second.topic_of


def test_a_topic_that_only_recent_traces_have_is_new() -> None:
    earlier = [*about("travel", 80), *about("money", 80)]
    recent = [*about("travel", 30, 1), *about("money", 30, 1), *about("health", 30, 1)]
    topics = topics_of([*earlier, *recent])
    assert topics is not None
    new = topics.new(recent, earlier)
    assert new
    assert set(new) <= set(topics.of(about("health", 30, 1)))
    assert topics.new(about("travel", 30, 1), about("travel", 80)) == ()
    assert topics.new(recent, []) == ()


def test_too_little_text_has_no_topics() -> None:
    assert topics_of(about("travel", 10)) is None
    assert topics_of([Trace(f"t{i}", input=f"unique{i}") for i in range(80)]) is None
    assert topics_of([Trace(f"t{i}") for i in range(80)]) is None
