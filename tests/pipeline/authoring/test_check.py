"""A renamed rule is told from a new one."""

from __future__ import annotations

from promptlabel.pipeline.authoring.check import Renamed, renamed_rules
from promptlabel.records import RegisteredRule


def rule(name: str, meaning: str) -> RegisteredRule:
    return RegisteredRule("tone", name, "prompt", "judge", meaning, "m")


def test_the_same_meaning_under_a_new_name_is_a_rename():
    before, now = [rule("old", "a"), rule("stays", "b")], [rule("new", "a"), rule("stays", "b")]
    assert renamed_rules(before, now) == [Renamed("tone", "old", "new")]


def test_a_copy_beside_the_original_is_no_rename():
    assert renamed_rules([rule("one", "a")], [rule("one", "a"), rule("two", "a")]) == []


def test_an_edited_rule_is_no_rename():
    assert renamed_rules([rule("one", "a")], [rule("one", "b")]) == []
