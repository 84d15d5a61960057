"""`heuristics.py`: run apart, checked before it votes, and nothing left behind."""

import sys
from pathlib import Path

import pytest

from promptlabel.records import Trace
from promptlabel.rules.heuristics_file import load_heuristics

LABELS = ("good", "bad")
HEAD = "from promptlabel import heuristic\n"


def write(folder: Path, body: str, head: str = HEAD) -> Path:
    path = folder / "heuristics.py"
    path.write_text(head + body)
    return path


def faults(path: Path) -> list[tuple[int | None, str]]:
    return [(fault.line, fault.message) for fault in load_heuristics(path, "q", LABELS)[1]]


def test_rules_are_found_in_order_and_each_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
def plain(trace):
    return "good"

@heuristic
def second(trace):
    return "bad"

@heuristic(kind="signal")
def first(trace):
    return "good" if trace.signal("copied") else None

alias = second
""",
    )
    rules, found = load_heuristics(path, "q", LABELS)
    assert found == []
    assert [(rule.name, rule.kind) for rule in rules] == [("second", "heuristic"), ("first", "signal")]
    assert rules[0].label(Trace("t", input="x")) == "bad"


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    path = write(tmp_path, "@heuristic\ndef rule(trace):\n    return 'good'\n")
    before = (list(sys.path), set(sys.modules))
    load_heuristics(path, "q", LABELS)
    assert (list(sys.path), set(sys.modules)) == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    one = write(tmp_path, "@heuristic\ndef rule(trace):\n    return 'good'\n")
    (before,), _ = load_heuristics(one, "q", LABELS)
    (after,), _ = load_heuristics(
        write(tmp_path, "@heuristic\ndef rule(trace):\n    return 'bad'\n"), "q", LABELS
    )
    assert before.rule_hash != after.rule_hash
    assert (before.label(Trace("t", input="x")), after.label(Trace("t", input="x"))) == ("good", "bad")


@pytest.mark.parametrize(
    ("body", "line", "word"),
    [
        ("\ndef broken(:\n", 3, "cannot be imported: invalid syntax"),
        ("import not_a_module_of_ours\n", 2, "ModuleNotFoundError"),
        ("\n\nx = 1 / 0\n", 4, "ZeroDivisionError"),
        ("def f():\n    return {}['k']\n\nf()\n", 3, "KeyError"),
        ("import sys\nsys.exit(3)\n", 3, "SystemExit"),
        ("@heuristic\ndef a(t):\n    return 'goood'\n", 4, "did you mean 'good'"),
        ("@heuristic()\ndef a(t):\n    return 'good' if t else 'Bad'\n", 4, "'Bad' is not a label"),
        (
            "@heuristic\ndef a(t):\n    return 'good'\n@heuristic\ndef a(t):\n    return 'bad'\n",
            6,
            "defined twice",
        ),
        ("a = heuristic(eval('lambda t: None'))\n", None, "source cannot be read"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path: Path, body: str, line: int | None, word: str) -> None:
    ((found, message),) = faults(write(tmp_path, body))
    assert found == line
    assert word in message


@pytest.mark.parametrize(
    "body",
    [
        "@heuristic\ndef a(t):\n    def inner():\n        return 'word'\n    return 'good' if inner() else None\n",
        "@heuristic\ndef a(t):\n    key = lambda: 'word'\n    return None\n",
        "def helper(t):\n    return 'word'\n@heuristic\ndef a(t):\n    return helper(t) and 'good'\n",
    ],
)
def test_only_what_a_rule_itself_returns_is_taken_for_a_label(tmp_path: Path, body: str) -> None:
    assert faults(write(tmp_path, body)) == []


def test_without_labels_imports_are_still_checked(tmp_path: Path) -> None:
    assert load_heuristics(write(tmp_path, "@heuristic\ndef a(t):\n    return 'x'\n"), "q", None)[1] == []
    assert load_heuristics(write(tmp_path, "1 / 0\n"), "q", None)[1] != []


@pytest.mark.snorkel
def test_snorkel_functions_of_the_file_are_rules(tmp_path: Path) -> None:
    pytest.importorskip("snorkel.labeling", reason="needs the snorkel extra")
    head = "from snorkel.labeling import labeling_function, LabelingFunction\n"
    path = write(
        tmp_path, "@labeling_function()\ndef short(x):\n    return 1 if len(x.input) < 3 else -1\n", head
    )
    (rule,), found = load_heuristics(path, "q", LABELS)
    assert found == []
    assert (rule.name, rule.label(Trace("t", input="x")), rule.label(Trace("t", input="long"))) == (
        "short",
        "bad",
        None,
    )
