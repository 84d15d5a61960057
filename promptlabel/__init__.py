"""promptlabel turns production traces of AI products into trustworthy labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptlabel.labelmodel import LabelModel, SeveralLabels
    from promptlabel.records import ABSTAIN
    from promptlabel.rules.heuristic import heuristic
    from promptlabel.votes.analysis import analyze_votes

__all__ = ["ABSTAIN", "LabelModel", "SeveralLabels", "analyze_votes", "heuristic"]

_HOMES = {
    "ABSTAIN": "promptlabel.records",
    "LabelModel": "promptlabel.labelmodel",
    "SeveralLabels": "promptlabel.labelmodel",
    "analyze_votes": "promptlabel.votes.analysis",
    "heuristic": "promptlabel.rules.heuristic",
}


def __getattr__(name: str) -> object:
    """The public name, imported from its home when it is first asked for, so that the command line starts at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
