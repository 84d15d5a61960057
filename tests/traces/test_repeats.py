"""Keys that come back with other content, against a plain dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from promptlabel.traces.repeats import Repeats


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 2))))
def test_each_later_record_that_differs_from_the_first_of_its_key(said: list[tuple[str, int]]) -> None:
    repeats, first, expected = Repeats(), dict[str, int](), []
    for position, (key, content) in enumerate(said):
        repeats.add(key, content, position)
        if said[first.setdefault(key, position)][1] != content:
            expected.append((first[key], position))
    assert list(repeats.conflicts()) == expected
