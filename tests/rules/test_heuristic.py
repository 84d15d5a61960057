"""Rules in Python: what they may say, what happens when they fail, when they are another rule."""

import re

import pytest

import promptlabel
from promptlabel.records import Trace
from promptlabel.rules.heuristic import (
    Heuristic,
    HeuristicError,
    HeuristicFunction,
    heuristic,
    is_snorkel_function,
)

LABELS = ("good", "bad")
TRACE = Trace("t1", input="hello", output="world", signals={"copied": 1.0})


def label(function: HeuristicFunction, trace: Trace = TRACE) -> str | None:
    return Heuristic("q", LABELS, function).label(trace)


@heuristic
def says_hello(trace: Trace) -> str | None:
    """People who greet are happy.

    More words.
    """
    return "good" if trace.input == "hello" else None


@promptlabel.heuristic(kind="signal", description="Copied the answer.")
def copied(trace: Trace) -> str | None:
    return "good" if trace.signal("copied") else None


def test_a_heuristic_votes_or_abstains() -> None:
    assert label(says_hello) == "good"
    assert label(says_hello, Trace("t2", input="bye")) is None
    assert says_hello(TRACE) == "good"


def test_a_heuristic_knows_its_name_kind_and_description() -> None:
    rule = Heuristic("q", LABELS, says_hello)
    assert (rule.task, rule.name, rule.kind, rule.description) == (
        "q",
        "says_hello",
        "heuristic",
        "People who greet are happy.",
    )
    rule = Heuristic("q", LABELS, copied)
    assert (rule.name, rule.kind, rule.description) == ("copied", "signal", "Copied the answer.")


@pytest.mark.parametrize("said", ["goood", 1, True, 0.5, "", ["good"]])
def test_what_is_no_label_is_an_error_of_that_cell(said: object) -> None:
    @heuristic
    def odd(trace: Trace) -> str | None:
        return said  # type: ignore[return-value]

    with pytest.raises(
        HeuristicError, match=r"heuristic odd, trace t1: .* is not a label \((did you mean|known)"
    ):
        label(odd)


def test_an_exception_is_an_error_of_that_cell_never_an_abstain() -> None:
    @heuristic
    def broken(trace: Trace) -> str | None:
        return trace.metadata["missing"]  # type: ignore[return-value]

    with pytest.raises(HeuristicError, match="heuristic broken, trace t1: KeyError: 'missing'") as caught:
        label(broken)
    assert isinstance(caught.value.__cause__, KeyError)


def test_hashes_tell_rules_apart_and_are_stable() -> None:
    first, second = Heuristic("q", LABELS, says_hello), Heuristic("q", LABELS, copied)
    assert first.rule_hash != second.rule_hash
    assert Heuristic("other", ("x", "y"), says_hello).rule_hash == first.rule_hash
    assert re.fullmatch("[0-9a-f]{32}", first.rule_hash)


# --- Snorkel's labeling functions, the real ones


@pytest.mark.snorkel
def test_snorkel_functions_are_taken_as_they_are() -> None:
    labeling = pytest.importorskip("snorkel.labeling", reason="needs the snorkel extra")

    @labeling.labeling_function(resources={"words": ("hello",)})
    def by_index(x: Trace, words: tuple[str, ...]) -> int:
        return 1 if x.input in words else -1

    @labeling.labeling_function(name="renamed")
    def by_name(x: Trace) -> str:
        return "bad"

    @labeling.labeling_function()
    def outside(x: Trace) -> int:
        return 2

    rules = [Heuristic("q", LABELS, function) for function in (by_index, by_name, outside)]
    assert all(map(is_snorkel_function, (by_index, by_name, outside)))
    assert [rule.name for rule in rules] == ["by_index", "renamed", "outside"]
    assert rules[0].label(TRACE) == "bad"
    assert rules[0].label(Trace("t", input="x")) is None
    assert rules[1].label(TRACE) == "bad"
    with pytest.raises(HeuristicError, match="2 is not the index of a label"):
        rules[2].label(TRACE)
    assert len({rule.rule_hash for rule in rules}) == 3


def test_other_callables_are_not_mistaken_for_snorkels() -> None:
    assert not is_snorkel_function(says_hello)
    assert not is_snorkel_function(print)
    assert not is_snorkel_function(Heuristic)
