"""The reference names every key and every verb there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptlabel.cli import commands
from promptlabel.rules.spec import RuleSpec, TaskSpec
from promptlabel.settings import Budget, Evals, ModelSettings, Review, Routing, Training

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
KEYS = [
    key
    for model in (ModelSettings, Budget, Routing, Review, Evals, Training, TaskSpec, RuleSpec)
    for key in model.model_fields
]


@pytest.mark.parametrize("key", sorted(set(KEYS)))
def test_every_key_is_described(key):
    assert f"`{key}" in REFERENCE or f".{key}`" in REFERENCE


@pytest.mark.parametrize("verb", commands.commands)
def test_every_verb_is_named_and_has_help(verb):
    assert f"`{verb}`" in REFERENCE
    assert commands.commands[verb].help
