"""The history as a chain: whatever is done to one entry is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlabel.deeds import Deed, Entry, first_broken, sealed

START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
deeds = st.builds(
    Deed,
    at=st.datetimes(timezones=st.just(UTC)),
    person=st.text(max_size=8),
    via=st.sampled_from(["page", "cli"]),
    host=st.text(max_size=8),
    verb=st.sampled_from(["freeze", "export", "sign in"]),
    task=st.none() | st.text(max_size=8),
    outcome=st.sampled_from(["done", "refused", "failed: StoreError"]),
    details=st.dictionaries(
        st.text(max_size=4), st.integers(-(2**31), 2**31) | st.text(max_size=4), max_size=3
    ),
)


def chain(items: Sequence[Deed]) -> list[Entry]:
    entries: list[Entry] = []
    for deed in items:
        entries.append(sealed(entries[-1] if entries else None, deed))
    return entries


@given(st.lists(deeds, max_size=6))
def test_an_untouched_history_is_sound(items: list[Deed]) -> None:
    entries = chain(items)
    assert first_broken(entries) is None
    assert [entry.number for entry in entries] == list(range(1, len(items) + 1))
    assert len({entry.seal for entry in entries}) == len(entries)


@given(st.lists(deeds, min_size=1, max_size=6), deeds, st.data())
def test_a_changed_entry_is_the_first_broken_one(items: list[Deed], other: Deed, data: st.DataObject) -> None:
    entries = chain(items)
    at = data.draw(st.integers(0, len(items) - 1))
    entries[at] = replace(entries[at], deed=other)
    broken = first_broken(entries)
    assert (broken is None) == (other == items[at])
    assert broken is None or broken.number == at + 1


@given(st.lists(deeds, min_size=2, max_size=6), st.data())
def test_an_entry_that_is_gone_is_seen_unless_it_was_the_last(items: list[Deed], data: st.DataObject) -> None:
    entries = chain(items)
    at = data.draw(st.integers(0, len(items) - 2))
    del entries[at]
    broken = first_broken(entries)
    assert broken is not None
    assert broken.number == at + 2


@given(st.lists(deeds, min_size=2, max_size=6), st.data())
def test_swapped_entries_are_seen_whatever_their_numbers(items: list[Deed], data: st.DataObject) -> None:
    entries = chain(items)
    at = data.draw(st.integers(0, len(items) - 2))
    one, two = entries[at], entries[at + 1]
    entries[at], entries[at + 1] = replace(two, number=one.number), replace(one, number=two.number)
    assert first_broken(entries) is not None


@given(st.lists(deeds, min_size=2, max_size=6))
def test_a_history_written_anew_is_sound_but_has_other_seals(items: list[Deed]) -> None:
    entries = chain(items)
    forged = chain([replace(items[0], person=items[0].person + "!"), *items[1:]])
    assert first_broken(forged) is None
    assert not {entry.seal for entry in entries} & {entry.seal for entry in forged}


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5))])
def test_a_moment_is_sealed_as_such_whatever_its_zone(zone: timezone) -> None:
    here = sealed(None, Deed(START, "anna", "cli", "h", "freeze"))
    assert sealed(None, Deed(START.astimezone(zone), "anna", "cli", "h", "freeze")).seal == here.seal
