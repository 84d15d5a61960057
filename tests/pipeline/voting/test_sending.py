"""An answer that the store may not show yet is one that the sender remembers."""

from __future__ import annotations

from promptlabel.llm import sender
from promptlabel.pipeline.voting import sending
from promptlabel.store import writer
from promptlabel.store.contract import UNSEEN


def test_what_a_look_up_may_miss_is_remembered_until_it_is_asked():
    asked_since_a_look_up = 2 * sending._LONGEST_LOOK_UP
    assert UNSEEN + asked_since_a_look_up <= sender._REMEMBERED


def test_no_more_paid_votes_are_unseen_than_the_store_says():
    rows_of_a_paid_vote = 2  # itself and its attempt
    in_line_or_being_committed = writer.MOST_ROWS_WAITING + writer.ROWS_A_COMMIT + rows_of_a_paid_vote
    assert in_line_or_being_committed / rows_of_a_paid_vote <= UNSEEN + 1
