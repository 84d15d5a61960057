from __future__ import annotations

from promptlabel.routing.reasons import (
    audit_reason,
    conflict_reason,
    drifted_reason,
    failing_reason,
    new_reason,
    rare_reason,
    uncertain_reason,
)


def test_reasons_are_plain_sentences_with_the_figures() -> None:
    assert audit_reason(0.01) == (
        "Drawn at random, as 1 % of all traces are, so that accuracy can be measured without bias."
    )
    assert (
        uncertain_reason({"a": 0.1, "good": 0.48, "bad": 0.42})
        == "The rules leave it open: good 48 %, bad 42 %."
    )
    assert conflict_reason(
        {"heuristics": {"good": 2.0, "bad": 0.0}, "prompts of judge": {"good": 0.25, "bad": 0.75}}
    ) == (
        "Independent sources disagree: heuristics say good (100 % of 2); prompts of judge say bad (75 % of 1)."
    )
    assert (
        rare_reason("refunds", 1, 0) == 'Category "refunds" is rare (1 trace) and hardly reviewed (0 so far).'
    )
    assert failing_reason("refunds", 9, 4) == (
        'The rules fail in category "refunds": people decided against most of them on 4 of 9 traces reviewed, '
        "more than elsewhere."
    )
    assert new_reason(["visa"]) == 'Unlike what was reviewed before: it says "visa".'
    assert drifted_reason(["visa", "embassy"]) == 'Unlike earlier traffic: it says "visa", "embassy".'
