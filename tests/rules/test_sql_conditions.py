"""SQL conditions: what is offered works, what is not is refused before anything runs, and nothing is reached."""

from __future__ import annotations

import pytest

from promptlabel.records import Message, Trace
from promptlabel.rules.sql_conditions import condition_faults, holds, matching, pattern_fault

OFFERED = [
    "length(output) < 20",
    "len(messages) > 10 AND messages[-1].role = 'user'",
    "output NOT ILIKE '%sorry%'",
    "output LIKE 'd_mn'",
    "regexp_matches(text, '(?i)still (not|no)')",
    "CASE WHEN category = 'a' THEN true ELSE input IS NULL END",
    "try_cast(metadata['n'] AS INTEGER) BETWEEN 1 AND 4",
    "hour(timestamp) >= 22 OR dayofweek(timestamp) IN (0, 6)",
    "len(string_split(input, ' ')) > 3 -- words",
    "coalesce(category, '') = ''",
]
REFUSED = [
    "(SELECT 1) = 1",
    "exists(SELECT 1)",
    "repeat('x', 1000000000) = 'a'",
    "rpad(input, 2000000000, 'a') = 'a'",
    "len(range(1000000000)) > 1",
    "len(list_transform([1], x -> x)) > 0",
    "true) FROM traces; DROP TABLE traces; SELECT (true",
    "true) , (false",
    "true) WHERE (true",
    "true) ORDER BY (1",
    "true UNION SELECT true",
    "read_text('/etc/passwd') = ''",
    "getenv('HOME') = ''",
    "getvariable('x')",
    "current_setting('threads') = '1'",
    "random() > 0.5",
    "count(*) > 1",
    "row_number() OVER () > 1",
    "2 ^ 9 > 1",
    "output LIKE '%a%_b%_c'",
    "output LIKE input",
    "replace(input, 'a', output) = ''",
    "$1",
    "*",
    "COLUMNS(*)",
    "'unfinished",
    "/* unfinished",
    "",
    "input",
    "length(input)",
    "(" * 5000 + "true" + ")" * 5000,
    "true OR " * 2000 + "true",
]


@pytest.mark.parametrize("condition", OFFERED)
def test_what_is_offered_is_found_in_order_and_runs(condition: str):
    assert condition_faults(condition) == []
    assert len(holds([condition], [Trace("a", output="damn", messages=(Message("user", "x"),))], [""])) == 1


@pytest.mark.timeout(5)
@pytest.mark.parametrize("condition", REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_offered_is_refused_with_a_reason(condition: str):
    faults = condition_faults(condition)
    assert faults
    assert all(faults)


def test_a_name_that_is_nearly_right_is_corrected():
    assert condition_faults("lenn(input) > 1") == ["no function is named 'lenn' here (did you mean 'len'?)"]
    assert "input" in condition_faults("inptu = 'a'")[0]


def test_every_batch_sees_its_own_traces_alone():
    for _ in range(3):
        assert holds(["true", "input = 'a'"], [Trace("a", input="a"), Trace("b", input="b")], ["", ""]) == [
            [True, True],
            [True, False],
        ]
    assert holds(["true"], [], []) == []


def test_patterns_are_re2():
    assert matching(["(?i)hell", "^x"], ["Hello", "x"]) == [[True, False], [False, True]]
    assert pattern_fault("(?=a)")
    assert pattern_fault("(")
    assert pattern_fault(r"\d+") is None
