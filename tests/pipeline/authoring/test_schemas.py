"""The published JSON Schemas are those of the language, and judge files as `check` does."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from promptlabel.pipeline.authoring.schemas import FOLDER, schemas
from promptlabel.strict_yaml import load_yaml

STARTER = FOLDER.parent
EXAMPLE = Path(__file__).parents[3]
GOOD = [
    (STARTER / "promptlabel.yaml", "promptlabel"),
    *((path, "rule") for path in (STARTER / "rules").glob("*/*.yaml") if path.name != "task.yaml"),
    *((path, "task") for path in (STARTER / "rules").glob("*/task.yaml")),
    (EXAMPLE / "promptlabel.yaml", "promptlabel"),
    *((path, "rule") for path in (EXAMPLE / "rules").glob("*/*.yaml") if path.name != "task.yaml"),
    *((path, "task") for path in (EXAMPLE / "rules").glob("*/task.yaml")),
]


def validate(text: str, kind: str) -> None:
    document = load_yaml(text, "file")
    jsonschema.Draft202012Validator(schemas()[f"{kind}.json"]).validate(document.data)


@pytest.mark.parametrize("name", schemas())
def test_the_published_file_is_todays(name: str):
    published = json.loads((FOLDER / name).read_text())
    assert published == schemas()[name], "run: python -m promptlabel.pipeline.authoring.schemas"
    jsonschema.Draft202012Validator.check_schema(published)


@pytest.mark.parametrize(("path", "kind"), GOOD, ids=lambda value: getattr(value, "name", value))
def test_good_files_are_valid(path: Path, kind: str):
    validate(path.read_text(), kind)


@pytest.mark.parametrize(
    "text",
    [
        "prompt: x\nshots: {nearest: 4}\ninputs: {last_tokens: 300}\nwhen: trace.input",
        "prompt: x\nshots: balanced\ninputs: [input, metadata.plan]",
        "keyword: {good: thanks, bad: [no, wrong]}",
        "regex: {bad: '(?i)x'}\ninputs: {last_turn_of: user}",
        "sql: {bad: 'length(output) < 3'}",
        "signal: {good: copied >= 1}\nexamples: [{input: a, vote: good}]",
    ],
)
def test_the_whole_language_is_valid(text: str):
    validate(text, "rule")


@pytest.mark.parametrize(
    "text",
    [
        "promt: x",
        "description: nothing decides",
        "prompt: x\nsql: {bad: 'true'}",
        "prompt: x\nshots: {nearst: 3}",
        "prompt: x\ninputs: {last_tokens: 0}",
        "prompt: x\ndecode: guess",
        "keyword: [a]",
    ],
)
def test_faulty_files_are_not(text: str):
    with pytest.raises(jsonschema.ValidationError):
        validate(text, "rule")


def test_every_key_has_a_description():
    for name in ("rule.json", "task.json"):
        for key, schema in schemas()[name]["properties"].items():
            assert schema.get("description"), key
