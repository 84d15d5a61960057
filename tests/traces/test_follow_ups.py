"""Turns of the asker against one another: said again, in other words, hours later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.records import Message
from promptlabel.traces.follow_ups import asked, follow_up_signals, similarity, words_of

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
WORDS = st.frozensets(st.sampled_from("abcdef"))


def talk(*said: tuple[str, str, float]) -> list[Message]:
    return [Message(role, content, NOON + timedelta(hours=hours)) for role, content, hours in said]


class TestSimilarity:
    @given(WORDS, WORDS)
    def test_it_is_symmetric_between_0_and_1_and_1_for_equals_alone(
        self, one: frozenset[str], other: frozenset[str]
    ) -> None:
        assert similarity(one, other) == similarity(other, one)
        assert 0 <= similarity(one, other) <= 1
        assert (similarity(one, other) == 1) == (one == other and bool(one))

    @given(WORDS, WORDS, WORDS)
    def test_its_distance_keeps_the_triangle_inequality(
        self, a: frozenset[str], b: frozenset[str], c: frozenset[str]
    ) -> None:
        assert similarity(a, b) + similarity(b, c) - 1 <= similarity(a, c) + 1e-12 or not (a and b and c)

    def test_case_and_punctuation_are_no_words(self) -> None:
        assert words_of("Re-set, MY password!") == {"re", "set", "my", "password"}


class TestTheAsker:
    @pytest.mark.parametrize(
        ("roles", "expected"),
        [("user assistant user", 2), ("system user assistant", 1), ("ann bob ann bob", 2), ("system", 0)],
    )
    def test_is_the_user_or_whoever_opened(self, roles: str, expected: int) -> None:
        assert len(asked([Message(role, "x") for role in roles.split()])) == expected


class TestFollowUps:
    def test_asked_again_in_other_words(self) -> None:
        signals = follow_up_signals(
            talk(
                ("user", "how do I reset my password", 0),
                ("assistant", "see the page", 0),
                ("user", "how can I reset the password", 0),
                ("assistant", "see the page", 0),
                ("user", "thanks", 0),
            )
        )
        assert signals == {
            "follow_up_similarity": 4 / 8, "rephrased_turns": 1, "returned_after_hours": 0,
        }  # fmt: skip

    def test_short_turns_say_nothing_again(self) -> None:
        signals = follow_up_signals(talk(("user", "yes please", 0), ("user", "yes please", 0)))
        assert (signals["follow_up_similarity"], signals["rephrased_turns"]) == (0, 0)

    def test_answers_that_repeat_themselves_are_not_the_askers(self) -> None:
        said = "I am sorry, try it again"
        signals = follow_up_signals(
            talk(("user", "it fails", 0), ("assistant", said, 0), ("assistant", said, 0))
        )
        assert signals["rephrased_turns"] == 0

    @pytest.mark.parametrize(
        ("said", "hours", "expected"),
        [
            ("the invoice again please", 5, 5),
            ("the invoice again please", 1, 1),
            ("the invoice again please", 0.99, 0),
            ("something quite different", 5, 0),
        ],
    )
    def test_back_to_the_topic_hours_later(self, said: str, hours: float, expected: float) -> None:
        conversation = talk(
            ("user", "where is my invoice", 0), ("assistant", "here", 0), ("user", said, hours)
        )
        assert follow_up_signals(conversation)["returned_after_hours"] == pytest.approx(expected)

    def test_without_all_timestamps_no_return(self) -> None:
        assert "returned_after_hours" not in follow_up_signals([Message("user", "x")])

    @given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text("abc ", max_size=12))))
    def test_what_others_say_changes_no_likeness(self, said: list[tuple[str, str]]) -> None:
        conversation = [Message(role, content) for role, content in said]
        alone = [message for message in conversation if message.role == "user"]
        if alone:
            both = [follow_up_signals(part) for part in (conversation, alone)]
            assert both[0]["follow_up_similarity"] == both[1]["follow_up_similarity"]
            assert both[0]["rephrased_turns"] == both[1]["rephrased_turns"]
