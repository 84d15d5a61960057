"""The meaning of code stays when its looks change, and changes with what it does."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from promptlabel.rules.code_meaning import constant_meaning, function_meaning

BASE = """
import re
WORDS = {"thanks", "great"}
PATTERN = re.compile("x+")
LIMIT = 3
UNUSED = 1
def helper(text):
    return len(text) > LIMIT
def rule(trace):
    if helper(trace.input) and trace.input in WORDS or PATTERN.match(trace.input):
        return "good"
    return None
"""

SAME = [
    ("def rule(trace):", "def rule(trace):  # why\n    # more\n"),
    ("def rule(trace):", 'def rule(trace):\n    """What it does."""\n'),
    ("def rule(trace):", "@staticmethod\ndef rule( trace ):"),
    ('return "good"', "return 'good'"),
    ('{"thanks", "great"}', '{"great", "thanks"}'),
    ("UNUSED = 1", "UNUSED = 2"),
    ("    return None\n", "    return (\n        None\n    )\n"),
]
OTHER = [
    ('return "good"', 'return "bad"'),
    ('{"thanks", "great"}', '{"thanks"}'),
    ('"x+"', '"y+"'),
    ('"x+"', '"x+", re.IGNORECASE'),
    ("LIMIT = 3", "LIMIT = 4"),
    ("len(text) >", "len(text) >="),
    ("and trace.input", "or trace.input"),
]


def module(folder: Path, text: str, name: str) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def meaning(folder: Path, text: str, name: str = "changed", rule: str = "rule") -> object:
    found = getattr(module(folder, text, name), rule)
    return function_meaning(getattr(found, "__func__", found))


@pytest.mark.parametrize(("old", "new"), SAME)
def test_looks_do_not_matter(tmp_path: Path, old: str, new: str) -> None:
    assert old in BASE
    assert meaning(tmp_path, BASE.replace(old, new)) == meaning(tmp_path, BASE, "base")


@pytest.mark.parametrize(("old", "new"), OTHER)
def test_deeds_do(tmp_path: Path, old: str, new: str) -> None:
    assert old in BASE
    assert meaning(tmp_path, BASE.replace(old, new)) != meaning(tmp_path, BASE, "base")


def test_a_functions_own_name_does_not_matter(tmp_path: Path) -> None:
    renamed = meaning(tmp_path, BASE.replace("def rule", "def other"), rule="other")
    assert renamed == meaning(tmp_path, BASE, "base")


def test_functions_that_call_themselves_and_each_other_end(tmp_path: Path) -> None:
    text = "def a(t):\n    return b(t)\ndef b(t):\n    return a(t) or b(t)\n"
    assert meaning(tmp_path, text, rule="a") != meaning(tmp_path, text, "base", rule="b")


def test_closures_are_told_apart_by_what_they_hold(tmp_path: Path) -> None:
    text = "def make(word):\n    def rule(t):\n        return word\n    return rule\none, two = make('a'), make('b')\n"
    assert meaning(tmp_path, text, rule="one") != meaning(tmp_path, text, rule="two")


def test_numbers_and_texts_are_told_apart() -> None:
    assert constant_meaning(1) != constant_meaning("1") != constant_meaning(1.0)
    assert constant_meaning(["a"]) != constant_meaning({"a"})
