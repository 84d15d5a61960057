"""YAML as people mean it: nothing expanded, nothing guessed, every fault with its place."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from promptlabel.errors import InputError
from promptlabel.strict_yaml import StrictModel, faults_of, load_yaml, read_text


def faults_in(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_yaml(text, "f.yaml")
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("No", "No"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-7", -7),
        ("1.10", 1.1),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".", "."),
        ("12:30:00", "12:30:00"),
        ("2024-01-31", "2024-01-31"),
        ("1_000", "1_000"),
        ("1e999", "1e999"),
        (".nan", ".nan"),
        ("12345678901234567890", "12345678901234567890"),
        ("'1'", "1"),
        ('"true"', "true"),
    ],
)
def test_plain_values_are_those_of_yaml_1_2_and_of_json(written: str, meant: object) -> None:
    value = load_yaml(f"key: {written}\n", "f").data["key"]
    assert value == meant
    assert type(value) is type(meant)


def test_keys_are_text_as_written() -> None:
    assert load_yaml("yes: 1\n1.10: 2\nnull: 3\n~: 4\n", "f").data == {"yes": 1, "1.10": 2, "null": 3, "~": 4}


def test_names_are_kept_as_written_wherever_the_caller_says() -> None:
    document = load_yaml("labels: [1.10, true, yes]\nsize: 1.10\n", "f", lambda path: path[0] == "labels")
    assert document.data == {"labels": ["1.10", "true", "yes"], "size": 1.1}


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**17), 10**17)
        | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9), inner, max_size=4
            )
        ),
        max_leaves=20,
    )
)
def test_json_is_read_as_json(value: object) -> None:
    assert load_yaml(json.dumps(value), "f").data == value


def test_positions_are_of_keys_and_items_and_text_begins_where_it_stands() -> None:
    document = load_yaml("a: 1\nb:\n  - x\n  - {c: y}\np: |\n  first\n", "f")
    assert document.position(("b", 1, "c")) == (4, 6)
    assert document.position(("b", 1, "missing")) is None
    assert document.nearest_position(("b", 1, "missing", 3)) == (4, 5)
    assert document.first_line(("p",)) == 6
    assert document.first_line(("a",)) == 1


def test_all_faults_are_listed_with_place_and_key() -> None:
    found = faults_in("a: 1\na: 2\nb: &x 1\nc: *x\nd: !!python/object/apply:os.system [ls]\n")
    assert found == [
        "f.yaml:2:1: a: key written twice (first on line 1)",
        "f.yaml:4:4: c: aliases (*name) are not allowed: write the value out",
        "f.yaml:5:4: d: tags (tag:yaml.org,2002:python/object/apply:os.system) are not allowed",
    ]


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("a: b: c", "f.yaml:1:5", "put text that holds a colon in quotes"),
        ("a: [1,\n", "f.yaml:2:1", "expected"),
        ("a: 'x\n", "f.yaml:2:1", "unexpected end"),
        ("a\0b: 1", "f.yaml:1:2", "U+0000"),
        ("x: 1\na: \ud800", "f.yaml:2:4", "U+D800"),
        ('a: "\\0"', "f.yaml:1:4", "escape"),
        ("? [a]\n: b", "f.yaml:1:3", "a key must be text"),
        ("--- 1\n--- 2\n", "f.yaml:2:1", "second document"),
        ("- " * 41 + "x", "f.yaml:1:81", "deeper than 40"),
        ("x" * 1_000_001, "f.yaml", "longer than 1,000,000"),
        ("\t- a", "f.yaml:1:1", "cannot start any token"),
    ],
)
def test_refused_text_is_named_with_its_place(text: str, place: str, word: str) -> None:
    (found,) = faults_in(text)
    assert found.startswith(f"{place}: ")
    assert word in found


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


BOMBS = [
    BOMB,
    "[" * 999_999,
    "{" * 999_999,
    "{a: " * 240_000,
    "- " * 499_999,
    "? " * 499_999,
    "a: &a [*a]",
    "a: &a {b: *a}",
    "<<: &m {x: 1}\nb: {<<: *m}",
    "'" + "a" * 900_000,
    "a: &a [x]\n" + "b: *a\n" * 100_000,
    "a: 1\n" * 150_000,
    "!!python/name:os.system x",
    "!!python/object/new:type [x, [], {}]",
    "!!binary Zm9v",
    "!local x",
    "%TAG ! tag:yaml.org,2002:python/\n--- !name:os.system x",
    "a: &a [&b [&c [x]]]\nd: [*a, *b, *c]",
    "&a a: *a",
    "*a : x",
    "a: &a\n  b: &b\n    c: [*a, *b]",
    "- &a [x]\n" + "- [*a, *a, *a, *a]\n" * 1000,
    "<<: [&a {x: 1}, *a]",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!timestamp 2001-12-14",
    "!!python/object/apply:subprocess.check_output [[id]]",
    "!!python/module:os x",
    "!!python/tuple [a, b]",
    "!!map {a: !!str b}",
    "a: 1\n---\nb: 2",
    "...\n---\na: 1\n---\nb: 2",
    "[[[[[[[[[[" * 10_000 + "x",
    "a:\n" + "".join(" " * n + f"k{n}:\n" for n in range(1, 200)),
    "? - a\n  - b\n: c",
    "{[a]: b}",
    'a: "\\x00"',
    'a: "\\ud800"',
    "\x1b[31m: a",
]


def test_there_are_thirty_bombs() -> None:
    assert len(set(BOMBS)) >= 30


@pytest.mark.timeout(5)
@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_bombs_and_payloads_are_refused_at_once(bomb: str) -> None:
    assert all(found.startswith("f.yaml") for found in faults_in(bomb))
    assert faults_in(bomb)


def test_a_file_that_is_not_utf8_or_not_there_is_named(tmp_path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"a: \xff")
    with pytest.raises(InputError, match=r"x\.yaml: not UTF-8 text \(byte 3\)"):
        read_text(tmp_path / "x.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path / "none.yaml")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert load_yaml(read_text(tmp_path / "x.yaml"), "x").data == {"a": 1}


class Inner(StrictModel):
    price: float | None = None
    size: int = 1


class Outer(StrictModel):
    name: str
    parts: Mapping[str, Inner] = Field(default_factory=dict)
    several: tuple[Inner, ...] | None = None


def test_validation_errors_become_faults_with_the_nearest_valid_key() -> None:
    document = load_yaml("nam: x\nparts:\n  one: {prise: 2}\n  two: {size: big}\n", "f.yaml")
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(document.data)
    assert sorted(map(str, faults_of(caught.value, document, Outer))) == [
        "f.yaml:1:1: nam: unknown key (did you mean 'name'?)",
        "f.yaml:1:1: name: is missing",
        "f.yaml:3:9: parts.one.prise: unknown key (did you mean 'price'?)",
        "f.yaml:4:9: parts.two.size: should be a valid integer, not 'big'",
    ]
