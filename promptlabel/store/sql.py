"""The store's queries, one a file in `queries/`, by name."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def query(name: str) -> str:
    """The text of ``queries/<name>.sql``; values are always parameters, never part of it."""
    return files("promptlabel.store").joinpath("queries", f"{name}.sql").read_text("utf-8")
