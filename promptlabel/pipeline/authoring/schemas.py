"""JSON Schemas of a project's files, for the completion and the red squiggles of editors.

They are published in the starter project; ``python -m promptlabel.pipeline.authoring.schemas`` writes them anew after a change of
the language, and a test holds them equal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from promptlabel.rules.spec import CONDITIONS, DeclarativeSpec, RuleSpec, TaskSpec
from promptlabel.settings import Settings

FOLDER: Final = Path(__file__).parents[1] / "starter" / "schema"


class _Plain(GenerateJsonSchema):
    """Without titles, which repeat the keys."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def schemas() -> Mapping[str, dict[str, Any]]:
    """The schema of each kind of file, by the name of the file it is published in."""
    return {
        "promptlabel.json": _schema(Settings, "promptlabel.yaml"),
        "rule.json": _rule_schema(),
        "task.json": _task_schema(),
    }


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema = _without(model.model_json_schema(schema_generator=_Plain), ("default",))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def _rule_schema() -> dict[str, Any]:
    """One flat list of keys, which editors complete best; exactly one of them says what decides."""
    prompt, declarative = _schema(RuleSpec, "rule"), _schema(DeclarativeSpec, "rule")
    schema = {**prompt, "title": "A promptlabel rule", "description": RULE_DESCRIPTION}
    schema["properties"] = {**prompt["properties"], **declarative["properties"]}
    schema["$defs"] = {**prompt.get("$defs", {}), **declarative.get("$defs", {})}
    for way in CONDITIONS:
        schema["properties"][way] = _not_null(schema["properties"][way])
    schema["required"] = []
    schema["oneOf"] = [{"required": [way]} for way in ("prompt", *CONDITIONS)]
    return schema


RULE_DESCRIPTION: Final = "One question, or one condition, and the label that its answer stands for."


def _task_schema() -> dict[str, Any]:
    """Labels may be a list of names too, and a date is written as text."""
    schema = _schema(TaskSpec, "A promptlabel task")
    labels = schema["properties"]["labels"]
    names = {"type": "array", "items": {"type": "string"}, "minItems": 2}
    described = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
    schema["properties"]["labels"] = {"anyOf": [described, names], "description": labels["description"]}
    schema["properties"]["holdout_after"] = {
        "type": "string",
        "description": schema["properties"]["holdout_after"]["description"],
    }
    schema["required"].remove("labels")
    pairwise = {"required": ["kind"], "properties": {"kind": {"const": "pairwise"}}}
    schema["anyOf"] = [{"required": ["labels"]}, pairwise]
    return schema


def _not_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A condition, whose texts may be one text or a list of them."""
    chosen = next(choice for choice in schema["anyOf"] if choice.get("type") == "object")
    values = chosen["additionalProperties"]
    if values.get("type") == "array":
        values = {"anyOf": [{"type": "string"}, values]}
    return {"type": "object", "additionalProperties": values, "description": schema["description"]}


def _without(schema: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(schema, dict):
        return {
            name: _without(value, () if name == "properties" else ("default",))
            for name, value in schema.items()
            if name not in keys
        }
    return [_without(item, keys) for item in schema] if isinstance(schema, list) else schema


def write() -> None:
    """Nothing; the published files hold today's schemas."""
    FOLDER.mkdir(exist_ok=True)
    for name, schema in schemas().items():
        (FOLDER / name).write_text(json.dumps(schema, indent=2) + "\n")


if __name__ == "__main__":
    write()
